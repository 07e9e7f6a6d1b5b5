"""What an instance may say of itself: table 24 its IP addresses in ARP and ND, table 25 its MAC addresses.

IP source addresses are the security group's business (iptables on qbr), as in Neutron.
"""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from warren.core.ids import MacAddress
from warren.core.protocols import link_local
from warren.core.state import Port
from warren.pipeline.br_int.tables import ARP_SPOOF, MAC_SPOOF, TRANSIENT
from warren.pipeline.cookies import Concern
from warren.pipeline.flow import Flow, Why, flow
from warren.pipeline.wiring import WiredPort

NEVER_FROM_AN_INSTANCE = {
    "udp,tp_src=67,tp_dst=68": "an instance must not answer DHCP",
    "udp6,tp_src=547,tp_dst=546": "an instance must not answer DHCPv6",
    "icmp6,icmp_type=134": "an instance must not advertise itself as a router",
}


def never_from_an_instance() -> Iterator[Flow]:
    """Table 25, whatever the port."""
    for match, reason in NEVER_FROM_AN_INSTANCE.items():
        yield flow(MAC_SPOOF, 10, match, "drop", Why(concern=Concern.FRAME, reason=reason))


def guarded(wired: WiredPort) -> Iterator[Flow]:
    """Tables 24 and 25 for one port; nothing for a port without port security."""
    if not wired.is_guarded:
        return
    port, in_port = wired.port, f"in_port={wired.ofport}"
    for prefix in arp_sources(port):
        why = _why(port, f"port {port.id} may say that it has {prefix}")
        yield flow(ARP_SPOOF, 2, _with("arp", in_port, f"arp_spa={prefix}"), f"resubmit(,{MAC_SPOOF.id})", why)
    for prefix in nd_targets(port):
        why = _why(port, f"port {port.id} may say that it has {prefix}")
        match = _with("icmp6", in_port, "icmp_type=136", f"nd_target={prefix}")
        yield flow(ARP_SPOOF, 2, match, f"resubmit(,{MAC_SPOOF.id})", why)
    for mac in macs(port):
        why = _why(port, f"port {port.id} owns {mac}")
        yield flow(MAC_SPOOF, 2, f"{in_port},dl_src={mac}", f"resubmit(,{TRANSIENT.id})", why)


def _why(port: Port, reason: str) -> Why:
    return Why(concern=Concern.SPOOFING, obj=port.id, owner=port.key, reason=reason)


def _with(*parts: str) -> str:
    """A match; a field whose value is every address is left out, as OVS does not print it."""
    return ",".join(part for part in parts if not part.endswith(("=0.0.0.0/0", "=::/0")))


def macs(port: Port) -> tuple[MacAddress, ...]:
    """Every MAC address that the port may send from."""
    return tuple(sorted({port.mac_address, *(pair.mac_address for pair in port.allowed_address_pairs)}))


def arp_sources(port: Port) -> tuple[str, ...]:
    """Every IPv4 prefix that the port may claim, as OVS prints it (no `/32`)."""
    return _spelled({prefix for prefix in _prefixes(port) if isinstance(prefix, IPv4Network)})


def nd_targets(port: Port) -> tuple[str, ...]:
    """Every IPv6 prefix that the port may claim, its MAC addresses' link-local ones included."""
    own = {ip_network(link_local(mac)) for mac in macs(port)}
    return _spelled({prefix for prefix in {*_prefixes(port), *own} if isinstance(prefix, IPv6Network)})


def _prefixes(port: Port) -> set[IPv4Network | IPv6Network]:
    addresses = [fixed.ip_address for fixed in port.fixed_ips]
    addresses += [pair.ip_address for pair in port.allowed_address_pairs]
    return {ip_network(address, strict=False) for address in addresses}


def _spelled(prefixes: set[IPv4Network | IPv6Network]) -> tuple[str, ...]:
    return tuple(
        sorted(
            str(prefix.network_address) if prefix.prefixlen == prefix.max_prefixlen else str(prefix)
            for prefix in prefixes
        )
    )
