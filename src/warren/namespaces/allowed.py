"""What a port may send and receive: the API's rules as iptables matches, and as questions about a connection.

Both readings are here so that they cannot drift apart: `match` writes the rule, `admits` asks it about a connection
that exists already.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from warren.core.ids import MacAddress
from warren.core.protocols import NUMBERS, link_local
from warren.core.state import GroupRule, HostState, Port
from warren.namespaces.rules import SPELLED, commented

Prefix = IPv4Network | IPv6Network

TCP, UDP, ICMP, ICMP6, DCCP, SCTP, UDPLITE = 6, 17, 1, 58, 33, 132, 136
PORTS: Final = {TCP: "tcp", UDP: "udp", SCTP: "sctp", DCCP: "dccp", UDPLITE: "multiport"}
"""Protocols with ports -> the match that knows them."""

ROUTER_ADVERTISEMENT: Final = 134
_NEIGHBOURS_INTO = (130, ROUTER_ADVERTISEMENT, 135, 136)
_NEIGHBOURS_OUT = (131, 132, 133, 135, 136, 143)
_UNADDRESSED_OUT = (131, 133, 135, 143)


def _icmp6(kind: int, target: str, comment: str) -> str:
    return commented(f"-p ipv6-icmp -m icmp6 --icmpv6-type {kind}", target, comment)


def _udp(source: int, destination: int, target: str, comment: str, addresses: str = "") -> str:
    return commented(f"{addresses}-p udp -m udp --sport {source} --dport {destination}", target, comment)


LINK: Final = {
    "into": {
        4: (_udp(67, 68, "ACCEPT", "DHCP answers"),),
        6: (
            *(_icmp6(kind, "ACCEPT", "neighbour discovery") for kind in _NEIGHBOURS_INTO),
            _udp(547, 546, "ACCEPT", "DHCP answers"),
        ),
    },
    "first": {
        4: (_udp(68, 67, "ACCEPT", "DHCP requests", "-s 0.0.0.0/32 -d 255.255.255.255/32 "),),
        6: tuple(
            commented(f"-s ::/128 -d ff02::/16 -p ipv6-icmp -m icmp6 --icmpv6-type {kind}", "ACCEPT", "first words")
            for kind in _UNADDRESSED_OUT
        ),
    },
    "out": {
        4: (_udp(68, 67, "ACCEPT", "DHCP requests"), _udp(67, 68, "DROP", "no DHCP server")),
        6: (
            _icmp6(ROUTER_ADVERTISEMENT, "DROP", "no router"),
            *(_icmp6(kind, "ACCEPT", "neighbour discovery") for kind in _NEIGHBOURS_OUT),
            _udp(546, 547, "ACCEPT", "DHCP requests"),
            _udp(547, 546, "DROP", "no DHCP server"),
        ),
    },
}
"""Rules of every port, by IP version. `into`: what it receives (br-int lets no instance send answers of a DHCP server
or router). `first`: what it sends before it has an address. `out`: what it sends, and never sends, from its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A tracked connection, by the packet that began it. For ICMP the ports are type and code."""

    zone: int
    protocol: int
    source: str
    destination: str
    source_port: int = 0
    destination_port: int = 0
    icmp_id: int | None = None


def version_of(rule: GroupRule) -> int:
    """4 or 6."""
    return 6 if rule.ethertype == "IPv6" else 4


def protocol_of(rule: GroupRule) -> int | None:
    """Protocol number of a rule; None for any. `icmp` of an IPv6 rule is ICMPv6."""
    if rule.protocol in (None, "any", "0"):
        return None
    number = NUMBERS.get(rule.protocol.lower()) or int(rule.protocol)
    return ICMP6 if number == ICMP and version_of(rule) == 6 else number


def match(rule: GroupRule, set_name: str | None) -> str:
    """A rule's conditions as iptables-save prints them.

    Args:
        rule: of a group.
        set_name: the set with the addresses of its remote group, if it has one.
    """
    incoming = rule.direction == "ingress"
    words = []
    remote = ip_network(rule.remote_ip_prefix, strict=False) if rule.remote_ip_prefix else None
    if remote is not None and remote.prefixlen:
        words.append(f"{'-s' if incoming else '-d'} {remote}")
    protocol = protocol_of(rule)
    if protocol is not None:
        words.append(f"-p {SPELLED.get(protocol, protocol)}")
    if set_name is not None:
        words.append(f"-m set --match-set {set_name} {'src' if incoming else 'dst'}")
    if protocol in (ICMP, ICMP6):
        words += _icmp(rule, protocol)
    elif protocol in PORTS and rule.port_range_min is not None:
        words.append(_ports(rule, PORTS[protocol]))
    return " ".join(words)


def _icmp(rule: GroupRule, protocol: int) -> Iterator[str]:
    if rule.port_range_min is None:
        return
    kind = f"{rule.port_range_min}" if rule.port_range_max is None else f"{rule.port_range_min}/{rule.port_range_max}"
    yield f"-m icmp --icmp-type {kind}" if protocol == ICMP else f"-m icmp6 --icmpv6-type {kind}"


def _ports(rule: GroupRule, module: str) -> str:
    low = rule.port_range_min
    high = low if rule.port_range_max is None else rule.port_range_max
    span = f"{low}" if low == high else f"{low}:{high}"
    return f"-m multiport --dports {span}" if module == "multiport" else f"-m {module} --dport {span}"


@lru_cache(maxsize=4096)
def sources(port: Port, version: int) -> tuple[tuple[MacAddress, Prefix], ...]:
    """Every (MAC, prefix) that a port may send from. Remembered: parsing addresses is most of what rendering costs."""
    own = [(port.mac_address, fixed.ip_address) for fixed in port.fixed_ips]
    own += [(pair.mac_address, pair.ip_address) for pair in port.allowed_address_pairs]
    own += [(mac, str(link_local(mac))) for mac in dict.fromkeys(mac for mac, _ in [(port.mac_address, ""), *own])]
    prefixes = [(mac, prefix) for mac, address in own if (prefix := prefix_of(address))]
    return tuple(sorted({each for each in prefixes if each[1].version == version}, key=str))


def prefix_of(text: str) -> Prefix | None:
    """An address or prefix; None for what is none, which then allows nothing."""
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None


def admits(state: HostState, port: Port, connection: Connection) -> bool:
    """Whether a port's rules allow a connection that exists. What the link itself needs is always allowed."""
    version = ip_address(connection.source).version
    if _is_of_the_link(connection):
        return True
    own = [prefix for _, prefix in sources(port, version)]
    direction = "egress" if _began_here(own, connection) else "ingress"
    groups = [group for group_id in port.security_groups if (group := state.group(group_id))]
    return any(
        rule.direction == direction and version_of(rule) == version and _covers(state, rule, connection)
        for group in groups
        for rule in group.rules
    )


def _began_here(own: list[Prefix], connection: Connection) -> bool:
    """Whether the port began a connection: its source is the more closely the port's own. A port may own 0.0.0.0/0."""
    by_source, by_destination = (
        max((prefix.prefixlen for prefix in own if ip_address(each) in prefix), default=-1)
        for each in (connection.source, connection.destination)
    )
    return by_source >= max(by_destination, 0)


def _is_of_the_link(connection: Connection) -> bool:
    if connection.protocol == UDP:
        return (connection.source_port, connection.destination_port) in {(67, 68), (68, 67), (546, 547), (547, 546)}
    return connection.protocol == ICMP6 and connection.source_port in range(130, 144)


def _covers(state: HostState, rule: GroupRule, connection: Connection) -> bool:
    remote = ip_address(connection.source if rule.direction == "ingress" else connection.destination)
    if rule.remote_ip_prefix and not _contains(rule.remote_ip_prefix, remote):
        return False
    if rule.remote_group_id is not None:
        group = state.group(rule.remote_group_id)
        if group is None or not any(_contains(each, remote) for each in group.members):
            return False
    protocol = protocol_of(rule)
    if protocol is None:
        return True
    return protocol == connection.protocol and _covers_ports(rule, protocol, connection)


def _contains(prefix: str, address: IPv4Address | IPv6Address) -> bool:
    network = prefix_of(prefix)
    return network is not None and address in network


def _covers_ports(rule: GroupRule, protocol: int, connection: Connection) -> bool:
    low, high = rule.port_range_min, rule.port_range_max
    if low is None:
        return True
    if protocol in (ICMP, ICMP6):
        return connection.source_port == low and high in (None, connection.destination_port)
    return protocol not in PORTS or low <= connection.destination_port <= (low if high is None else high)
