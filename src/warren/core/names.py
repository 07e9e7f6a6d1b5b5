"""Interface, namespace and tunnel-port names, the same that Neutron gives.

A name is at most 15 characters (IFNAMSIZ 16 with its NUL); `prefix + first 11 characters of the port id` is 14.
"""

from ipaddress import IPv4Address
from typing import Final

from warren.core.ids import NetworkId, PortId, RouterId

ID_CHARS_IN_NAME: Final = 11

INTEGRATION_BRIDGE: Final = "br-int"
TUNNEL_BRIDGE: Final = "br-tun"
UNDERLAY_BRIDGE: Final = "br-phy"
PATCH_TO_TUNNEL: Final = "patch-tun"
"""Port of br-int that leads to br-tun."""
PATCH_TO_INTEGRATION: Final = "patch-int"
"""Port of br-tun that leads to br-int."""

ON_LINUX_BRIDGE: Final = ("tap", "qvb")
"""Prefixes of what the hybrid plug puts on a port's `qbr`."""

ROUTER_NAMESPACE_PREFIX: Final = "qrouter-"
DHCP_NAMESPACE_PREFIX: Final = "qdhcp-"


def tap(port: PortId) -> str:
    """The instance's own interface, or the DHCP server's."""
    return f"tap{port[:ID_CHARS_IN_NAME]}"


def qbr(port: PortId) -> str:
    """Linux bridge of the hybrid plug, on which iptables filters."""
    return f"qbr{port[:ID_CHARS_IN_NAME]}"


def qvb(port: PortId) -> str:
    """The hybrid plug's veth end on the Linux bridge."""
    return f"qvb{port[:ID_CHARS_IN_NAME]}"


def qvo(port: PortId) -> str:
    """The hybrid plug's veth end on br-int."""
    return f"qvo{port[:ID_CHARS_IN_NAME]}"


def router_interface(port: PortId) -> str:
    """A router's port on a tenant network, inside its namespace."""
    return f"qr-{port[:ID_CHARS_IN_NAME]}"


def router_gateway(port: PortId) -> str:
    """A router's port on an external network, inside its namespace."""
    return f"qg-{port[:ID_CHARS_IN_NAME]}"


def router_namespace(router: RouterId) -> str:
    """Network namespace of a router."""
    return f"{ROUTER_NAMESPACE_PREFIX}{router}"


def dhcp_namespace(network: NetworkId) -> str:
    """Network namespace of a network's DHCP server."""
    return f"{DHCP_NAMESPACE_PREFIX}{network}"


def tunnel_port(network_type: str, remote_ip: str) -> str:
    """Port of br-tun towards a peer: `vxlan-0a090002` for 10.9.0.2."""
    return f"{network_type}-{int(IPv4Address(remote_ip)):08x}"


def to_physical(bridge: str) -> tuple[str, str]:
    """The patch pair between br-int and a physical bridge: (`int-br-ex` on br-int, `phy-br-ex` on br-ex)."""
    return f"int-{bridge}", f"phy-{bridge}"
