"""Flows in sentences: what is looked at, what happens, why, and for how long."""
