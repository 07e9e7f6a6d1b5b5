"""Does a rule match a packet? Each option of iptables-extensions(8) that is modelled, one function each.

Every function answers True, False, or `None`: it cannot tell, which is never the same as False.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Final, TypeAlias

from warren.inspect.filter.model import AddressSet, Option, Rule
from warren.inspect.filter.packet import ICMP, ICMPV6, PORT_PROTOCOLS, PROTOCOLS, TCP, IpPacket

Sets: TypeAlias = Mapping[str, AddressSet]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What rules ask for besides the packet: the ipsets, and the namespace's own addresses (`None`: not captured)."""

    sets: Sets = field(default_factory=dict)
    addresses: frozenset[str] | None = None


_Test: TypeAlias = Callable[[IpPacket, str], "bool | None"]

_ICMP_NAMES: Final = {
    "echo-request": (8, None), "echo-reply": (0, None), "destination-unreachable": (3, None), "any": (None, None),
    "fragmentation-needed": (3, 4), "time-exceeded": (11, None), "router-advertisement": (134, None),
    "neighbour-solicitation": (135, None), "neighbor-solicitation": (135, None),
    "neighbour-advertisement": (136, None), "neighbor-advertisement": (136, None),
}  # fmt: skip


def matches(rule: Rule, packet: IpPacket, known: Known) -> tuple[bool | None, str]:
    """Whether a rule matches; with `None`, the option that cannot be told.

    An option that does not match decides, whatever the others are: netfilter takes all or none.
    """
    module, unknown = "", ""
    for option in rule.matches:
        if option.name == "-m":
            module = option.values[0] if option.values else ""
            continue
        try:
            answer = _answer(option, module, packet, known)
        except ValueError:
            answer = None
        if answer is None:
            unknown = unknown or f"{option.name} {' '.join(option.values)}".strip()
        elif answer is option.inverted:
            return False, ""
    return (None, unknown) if unknown else (True, "")


def _answer(option: Option, module: str, packet: IpPacket, known: Known) -> bool | None:
    value = option.values[0] if option.values else ""
    if option.name == "--match-set":
        directions = option.values[1] if len(option.values) > 1 else ""
        return in_set(known.sets.get(value), directions.split(","), packet)
    if option.name in ("--src-type", "--dst-type"):
        address = packet.source if option.name == "--src-type" else packet.destination
        return _has_type(address, value, known)
    if option.name == "--tcp-flags":
        return _tcp_flags(option.values, packet)
    if option.name == "--mark":
        mark = {"mark": packet.mark, "connmark": packet.tracked.mark}.get(module)
        return None if mark is None else has_mark(mark, value)
    if option.name in ("--state", "--ctstate"):
        return _state(packet, value)
    test = _TESTS.get(option.name)
    return test(packet, value) if test else None


def has_mark(mark: int, text: str) -> bool:
    """`0x1/0xffff`: value and mask."""
    value, _, mask = text.partition("/")
    return mark & int(mask or "0xffffffff", 0) == int(value, 0)


def within(address: str, prefixes: str) -> bool:
    """Whether an address is in one of a comma-separated list of prefixes."""
    ip = ip_address(address)
    networks = [ip_network(prefix, strict=False) for prefix in prefixes.split(",")]
    return any(ip.version == network.version and ip in network for network in networks)


def named(interface: str, pattern: str) -> bool:
    """iptables(8): a trailing `+` stands for any ending."""
    return interface.startswith(pattern[:-1]) if pattern.endswith("+") else interface == pattern


def _protocol(packet: IpPacket, value: str) -> bool | None:
    if value in ("all", "0"):
        return True
    number = PROTOCOLS.get(value, int(value) if value.isdecimal() else None)
    return None if number is None else packet.protocol == number


def in_ranges(number: int, text: str) -> bool:
    """`22`, `1000:2000`, `22,80:90`."""
    for part in text.split(","):
        low, colon, high = part.partition(":")
        if int(low or 0) <= number <= (int(high or 65535) if colon else int(low)):
            return True
    return False


def _source_port(packet: IpPacket, value: str) -> bool | None:
    return packet.protocol in PORT_PROTOCOLS and in_ranges(packet.source_port, value)


def _destination_port(packet: IpPacket, value: str) -> bool | None:
    return packet.protocol in PORT_PROTOCOLS and in_ranges(packet.destination_port, value)


def _any_port(packet: IpPacket, value: str) -> bool | None:
    return _source_port(packet, value) or _destination_port(packet, value)


def _icmp(packet: IpPacket, value: str) -> bool | None:
    if packet.protocol not in (ICMP, ICMPV6):
        return False
    if value in _ICMP_NAMES:
        wanted_type, wanted_code = _ICMP_NAMES[value]
    else:
        text, _, code = value.partition("/")
        wanted_type, wanted_code = int(text), int(code) if code else None
    return wanted_type in (None, packet.icmp_type, 255) and wanted_code in (None, packet.icmp_code)


def _state(packet: IpPacket, value: str) -> bool | None:
    tracked = packet.tracked
    held = {tracked.state} | ({"DNAT"} if tracked.has_dnat else set()) | ({"SNAT"} if tracked.has_snat else set())
    return bool(held.intersection(value.split(",")))


def _direction(packet: IpPacket, value: str) -> bool | None:
    return packet.tracked.is_reply == (value.upper() == "REPLY")


def _has_type(address: str, types: str, known: Known) -> bool | None:
    """`-m addrtype`, for the types that need no more than the namespace's own addresses."""
    if known.addresses is None or not set(types.split(",")) <= {"LOCAL", "UNICAST", "MULTICAST", "BROADCAST"}:
        return None
    ip = ip_address(address)
    if address in known.addresses or ip.is_loopback:
        return "LOCAL" in types.split(",")
    kind = "MULTICAST" if ip.is_multicast else "BROADCAST" if address == "255.255.255.255" else "UNICAST"
    return kind in types.split(",")


def _tcp_flags(values: tuple[str, ...], packet: IpPacket) -> bool | None:
    if len(values) != 2:
        return None
    mask, wanted = ({flag for flag in value.split(",") if flag != "NONE"} for value in values)
    mask = {"FIN", "SYN", "RST", "PSH", "ACK", "URG"} if "ALL" in mask else mask
    return packet.protocol == TCP and packet.tcp_flags & mask == wanted


def _syn(packet: IpPacket, _: str) -> bool | None:
    return packet.protocol == TCP and packet.tcp_flags & {"FIN", "SYN", "RST", "ACK"} == {"SYN"}


_TESTS: Final[Mapping[str, _Test]] = {
    "-s": lambda packet, value: within(packet.source, value),
    "-d": lambda packet, value: within(packet.destination, value),
    "-i": lambda packet, value: named(packet.in_interface, value),
    "-o": lambda packet, value: named(packet.out_interface, value),
    "-p": _protocol,
    "--sport": _source_port,
    "--dport": _destination_port,
    "--sports": _source_port,
    "--dports": _destination_port,
    "--ports": _any_port,
    "--icmp-type": _icmp,
    "--icmpv6-type": _icmp,
    "--ctdir": _direction,
    "--ctproto": _protocol,
    "--syn": _syn,
    "--ttl-eq": lambda packet, value: packet.ttl == int(value),
    "--ttl-lt": lambda packet, value: packet.ttl < int(value),
    "--ttl-gt": lambda packet, value: packet.ttl > int(value),
    "--hl-eq": lambda packet, value: packet.ttl == int(value),
    "--hl-lt": lambda packet, value: packet.ttl < int(value),
    "--hl-gt": lambda packet, value: packet.ttl > int(value),
    "--length": lambda packet, value: in_ranges(packet.size_bytes, value),
    "--mac-source": lambda packet, value: packet.source_mac.lower() == value.lower(),
    "--physdev-in": lambda packet, value: bool(packet.physdev_in) and named(packet.physdev_in, value),
    "--physdev-out": lambda packet, value: bool(packet.physdev_out) and named(packet.physdev_out, value),
    "--physdev-is-bridged": lambda packet, _: bool(packet.physdev_in and packet.physdev_out),
    "--physdev-is-in": lambda packet, _: bool(packet.physdev_in),
    "--physdev-is-out": lambda packet, _: bool(packet.physdev_out),
    "--src-range": lambda packet, value: _in_range(packet.source, value),
    "--dst-range": lambda packet, value: _in_range(packet.destination, value),
}


def _in_range(address: str, text: str) -> bool:
    low, _, high = text.partition("-")
    ip, first, last = ip_address(address), ip_address(low), ip_address(high or low)
    return ip.version == first.version and int(first) <= int(ip) <= int(last)


def in_set(found: AddressSet | None, directions: list[str], packet: IpPacket) -> bool | None:
    """Whether a packet is in an ipset, one direction for each dimension of the set (ipset(8)).

    `None` where the set was not captured or its type is not modelled.
    """
    if found is None or not found.type.startswith(("hash:", "bitmap:")):
        return None
    kinds = found.type.partition(":")[2].split(",")
    if len(kinds) > len(directions) or not set(kinds) <= {"ip", "net", "port", "mac"}:
        return None
    if any(_is_member(member, kinds, directions, packet) for member in found.excluded):
        return False
    return any(_is_member(member, kinds, directions, packet) for member in found.members)


def _is_member(member: str, kinds: list[str], directions: list[str], packet: IpPacket) -> bool:
    parts = member.split(",")
    return len(parts) == len(kinds) and all(
        _dimension(part, kind, packet, is_source=direction == "src")
        for part, kind, direction in zip(parts, kinds, directions, strict=False)
    )


def _dimension(part: str, kind: str, packet: IpPacket, *, is_source: bool) -> bool:
    if kind == "mac":
        return is_source and part.lower() == packet.source_mac.lower()
    if kind == "port":
        protocol, colon, port = part.rpartition(":")
        has_protocol = not colon or PROTOCOLS.get(protocol) == packet.protocol
        return has_protocol and port.isdecimal() and int(port) == _port(packet, is_source=is_source)
    try:
        return within(packet.source if is_source else packet.destination, part)
    except ValueError:
        return False


def _port(packet: IpPacket, *, is_source: bool) -> int:
    return packet.source_port if is_source else packet.destination_port
