"""Several hosts on one machine, each with its own Open vSwitch, and the experiments on them."""
