"""What standards fix and several parts must agree on: the server accepts by it, hosts build and checks judge by it."""

from collections.abc import Mapping
from ipaddress import IPv6Address
from typing import Final

from warren.core.ids import MacAddress

NUMBERS: Final[Mapping[str, int]] = {
    "ah": 51, "dccp": 33, "egp": 8, "esp": 50, "gre": 47, "icmp": 1, "icmpv6": 58, "igmp": 2, "ipip": 4,
    "ipv6-encap": 41, "ipv6-frag": 44, "ipv6-icmp": 58, "ipv6-nonxt": 59, "ipv6-opts": 60, "ipv6-route": 43,
    "ospf": 89, "pgm": 113, "rsvp": 46, "sctp": 132, "tcp": 6, "udp": 17, "udplite": 136, "vrrp": 112,
}  # fmt: skip
"""Names of IP protocols that the Networking API takes -> IANA's numbers."""

TUNNEL_OVERHEAD_BYTES: Final[Mapping[str, int]] = {"vxlan": 50, "gre": 42, "geneve": 50}
"""Type of a tunnel port -> what it adds to an IP packet of a tenant. VXLAN: outer IPv4 20, UDP 8, VXLAN 8, inner
Ethernet 14 (RFC 7348); Geneve without options as much (RFC 8926); GRE: outer IPv4 20, GRE with key 8, Ethernet 14."""

TUNNEL_UDP_PORT: Final[Mapping[str, str]] = {"vxlan": "4789", "geneve": "6081"}
"""Type of a tunnel port -> the port that its packets go to where its `dst_port` says nothing (IANA's numbers)."""


def link_local(mac: MacAddress) -> IPv6Address:
    """The IPv6 address that an interface gives itself (RFC 4291, appendix A: modified EUI-64)."""
    octets = bytes.fromhex(mac.replace(":", ""))
    return IPv6Address(b"\xfe\x80" + bytes(6) + bytes([octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:])
