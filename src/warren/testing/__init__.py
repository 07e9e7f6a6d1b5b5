"""Fixtures that others may use as well: a private Open vSwitch, network namespaces, generators of states."""
