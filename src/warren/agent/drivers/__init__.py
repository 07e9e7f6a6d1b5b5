"""Everything that touches a host. A driver reads what is there and applies a plan; it decides nothing."""
