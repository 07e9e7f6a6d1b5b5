"""Read flow tables as a person would: parse, explain, compare, evaluate, follow across hosts, verify. Pure."""
