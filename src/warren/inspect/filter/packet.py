"""An IP packet with what netfilter knows about it at one moment."""

from dataclasses import dataclass
from typing import Final

PROTOCOLS: Final = {
    "icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "gre": 47, "esp": 50, "ah": 51, "icmpv6": 58, "ipv6-icmp": 58,
    "icmp6": 58, "vrrp": 112, "sctp": 132, "udplite": 136,
}  # fmt: skip
"""Names in iptables-save(8), in the Networking API and of tcpdump -> numbers (RFC 5237's registry)."""
PORT_PROTOCOLS: Final = frozenset({6, 17, 132, 136})
ICMP: Final = 1
ICMPV6: Final = 58
TCP: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """What conntrack says of a packet: `state` as `-m conntrack --ctstate` names it, and its connection's NAT."""

    state: str = "UNTRACKED"
    is_reply: bool = False
    has_dnat: bool = False
    has_snat: bool = False
    mark: int = 0
    zone: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class IpPacket:
    """Addresses as text in their shortest form; `protocol` by number; interfaces as they are at the present hook."""

    source: str
    destination: str
    protocol: int = 1
    source_port: int = 0
    destination_port: int = 0
    icmp_type: int = 8
    icmp_code: int = 0
    icmp_id: int = 1
    tcp_flags: frozenset[str] = frozenset({"SYN"})
    ttl: int = 64
    size_bytes: int = 84
    mark: int = 0
    source_mac: str = ""
    in_interface: str = ""
    out_interface: str = ""
    physdev_in: str = ""
    """Port of a Linux bridge that the frame came in by (br_netfilter), with the interface then the bridge."""
    physdev_out: str = ""
    tracked: Tracked = Tracked()

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.source

    def __str__(self) -> str:
        name = next((name for name, number in PROTOCOLS.items() if number == self.protocol), str(self.protocol))
        if self.protocol in PORT_PROTOCOLS:
            return f"{name} {self.source}:{self.source_port} > {self.destination}:{self.destination_port}"
        detail = f" type {self.icmp_type}" if self.protocol in (ICMP, ICMPV6) else ""
        return f"{name} {self.source} > {self.destination}{detail}"
