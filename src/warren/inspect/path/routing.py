"""Where a namespace sends a packet: rules, tables, longest prefix (ip-rule(8), ip-route(8))."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface, ip_network
from itertools import zip_longest
from typing import Final

from warren.inspect.filter.match import has_mark
from warren.inspect.parse.values import ethernet_text
from warren.inspect.path.frame import BROADCAST
from warren.inspect.snapshot.model import REFUSING_TYPES, KernelRoute, Link, Namespace, RoutingRule

STRICT: Final = 1
"""Value of rp_filter that lets in only what comes by the interface that leads back to its source."""
LIMITED_BROADCAST: Final = "255.255.255.255"
_MARK: Final = re.compile(r"(0x[0-9a-f]+|[1-9]\d*)(/0x[0-9a-f]+)?")
_DEFAULT_TABLES: Final = ("local", "main", "default")


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """The decision: `kind` is `local`, `unicast`, `many`, `none` (no route), `unreachable` and so on, or `unknown`."""

    kind: str
    device: str = ""
    next_hop: str = ""
    source: str = ""
    evidence: str = ""
    undo: str = ""
    """The words behind ip(8) that take out the route or rule which refuses."""


def route(namespace: Namespace, destination: str, source: str = "", *, came_by: str = "lo", mark: int = 0) -> Routed:
    """Where a packet for `destination` goes; `came_by` is the interface it came in by, `lo` for one made here."""
    asked = _Asked(destination=destination, source=source, came_by=came_by, mark=mark)
    holder = namespace.holder_of(destination)
    if holder or destination.startswith("127."):
        return Routed(kind="local", device=holder.name if holder else "lo", evidence=f"{destination} is its own")
    for rule in _rules_for(namespace, asked):
        if isinstance(rule, Routed):
            return rule
        found = _longest(namespace, rule, destination)
        if found and found.type != "throw":
            return _decision(namespace, found, destination)
    return Routed(kind="none", evidence="no route matches")


def is_broadcast(namespace: Namespace, destination: str) -> bool:
    """Whether all on a link of a namespace are to take what goes there (RFC 919)."""
    return destination == LIMITED_BROADCAST or any(
        destination == str(ip_interface(f"{a.ip}/{a.prefix_length}").network.broadcast_address)
        for link in namespace.links
        for a in link.addresses
        if ":" not in a.ip and a.prefix_length < 31
    )


def is_multicast(destination: str) -> bool:
    return ip_address(destination).is_multicast


def link_address(destination: str) -> str:
    """The MAC address that a packet to many goes to (RFC 1112, 6.4; RFC 2464, 7)."""
    address = ip_address(destination)
    if not address.is_multicast:
        return BROADCAST
    group = int(address)
    is_ipv4 = address.version == 4
    return ethernet_text(0x01005E000000 | group & 0x7FFFFF if is_ipv4 else 0x333300000000 | group & 0xFFFFFFFF)


def setting(namespace: Namespace, device: str, name: str) -> int:
    """An IPv4 setting of an interface: the larger of its own and that of all (ip-sysctl.rst)."""
    prefix = "net.ipv4.conf"
    own = namespace.sysctls.get(f"{prefix}.{device.replace('.', '/')}.{name}")
    texts = (own or namespace.sysctls.get(f"{prefix}.default.{name}"), namespace.sysctls.get(f"{prefix}.all.{name}"))
    return max(int(text) if text and text.isdecimal() else 0 for text in texts)


def refused_source(namespace: Namespace, device: str, source: str) -> str:
    """Why a namespace takes nothing from an address by an interface; empty where it does (RFC 3704, rp_filter)."""
    if ":" in source:
        return ""
    if namespace.holder_of(source):
        return f"{source} is its own address"
    mode = setting(namespace, device, "rp_filter")
    routed = route(namespace, source) if mode else None
    if routed is None or routed.kind == "unknown":
        return ""
    if routed.kind == "unicast" and (mode != STRICT or routed.device == device):
        return ""
    return f"its way back to {source} is not by {device}: {routed.evidence}"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """What rules may ask a packet for."""

    destination: str
    source: str
    came_by: str
    mark: int


def _rules_for(namespace: Namespace, asked: _Asked) -> Iterator[str | Routed]:
    """The tables to look in, in the order of the rules; the decision where a rule refuses or cannot be told."""
    rules = namespace.rules6 if ":" in asked.destination else namespace.rules
    if not rules:
        yield from _DEFAULT_TABLES
        return
    for rule in sorted(rules, key=lambda rule: rule.preference):
        takes = _takes(rule, asked)
        if takes and not rule.refusal:
            yield rule.table
        elif takes:
            shown = f"rule {rule.preference}: from {rule.source} {rule.selector.replace('action ', '')}"
            family = "-6 " if ":" in asked.destination else ""
            yield Routed(kind=rule.refusal, evidence=shown, undo=f"{family}rule del pref {rule.preference}")
        elif takes is None:
            yield Routed(
                kind="unknown", evidence=f"rule {rule.preference} asks for {rule.selector}, which is not modelled"
            )


def _takes(rule: RoutingRule, asked: _Asked) -> bool | None:
    """Whether a rule is for a packet; `None` where that cannot be told. One part that is not decides."""
    if rule.source not in ("all", "") and not (asked.source and _within(asked.source, rule.source)):
        return False
    words = rule.selector.split()
    answers = [_fits(name, value, asked) for name, value in zip_longest(words[::2], words[1::2], fillvalue="")]
    if False in answers:
        return False
    return None if None in answers else True


def _fits(name: str, value: str, asked: _Asked) -> bool | None:
    """Whether a packet has what one part of a rule's selector asks for (ip-rule(8))."""
    if name == "to":
        return _within(asked.destination, value)
    if name == "iif":
        return asked.came_by == value
    if name == "fwmark" and _MARK.fullmatch(value):
        return has_mark(asked.mark, value)
    return True if name == "action" and value in REFUSING_TYPES else None


def _within(address: str, prefix: str) -> bool:
    try:
        return ip_address(address) in ip_network(prefix, strict=False)
    except (ValueError, TypeError):
        return False


def _longest(namespace: Namespace, table: str, destination: str) -> KernelRoute | None:
    links = {link.name: link for link in namespace.links}
    matching = [
        (ip_network(found.destination).prefixlen, -found.metric, found)
        for found in namespace.routes
        if found.table == table and _usable(found, links) and _within(destination, found.destination)
    ]
    return max(matching, key=lambda item: item[:2])[2] if matching else None


def _usable(found: KernelRoute, links: dict[str, Link]) -> bool:
    link = links.get(found.device)
    return found.is_up and (not found.device or link is None or link.is_up)


def _decision(namespace: Namespace, found: KernelRoute, destination: str) -> Routed:
    via = f" via {found.via}" if found.via else ""
    shown = f"{found.destination}{via}" + (f" dev {found.device}" if found.device else "")
    if found.type in ("local", "anycast"):
        return Routed(kind="local", device=found.device, evidence=shown)
    if found.type not in ("unicast", "broadcast", "multicast"):
        table = "" if found.table == "main" else f" table {found.table}"
        return Routed(
            kind=found.type, evidence=f"{found.type} {shown}", undo=f"route del {found.type} {found.destination}{table}"
        )
    is_to_many = found.type != "unicast" or is_multicast(destination) or is_broadcast(namespace, destination)
    return Routed(
        kind="many" if is_to_many else "unicast",
        device=found.device,
        next_hop=found.via if found.via and not is_to_many else destination,
        source=found.source or first_address(namespace, found.device, is_ipv6=":" in destination),
        evidence=shown,
    )


def first_address(namespace: Namespace, device: str, *, is_ipv6: bool = False) -> str:
    """The address that a device's own packets have."""
    link = namespace.link(device)
    if link is None:
        return ""
    return next((a.ip for a in link.addresses if (":" in a.ip) is is_ipv6 and a.scope in ("global", "")), "")
