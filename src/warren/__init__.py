"""Warren: tenant networks across hosts through VXLAN and GRE tunnels on Open vSwitch."""

__version__ = "0.1.0"
