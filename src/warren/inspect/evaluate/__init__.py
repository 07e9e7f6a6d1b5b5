"""Packets through the tables of bridges, as Open vSwitch sends them; what is not modelled is said, never guessed."""
