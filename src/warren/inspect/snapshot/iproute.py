"""Output of ip(8), as text or as JSON (`-j`), -> links, routes, rules, neighbours. IPv4 and IPv6."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from ipaddress import ip_interface, ip_network
from itertools import pairwise
from typing import Any, Final

from warren.inspect.parse.text import printable
from warren.inspect.snapshot.model import (
    REFUSING_TYPES,
    Address,
    BridgeAddress,
    KernelNeighbour,
    KernelRoute,
    Link,
    RoutingRule,
)
from warren.inspect.snapshot.text import Page, ip_of, mac_of, whole

_LINK: Final = re.compile(r"^([0-9]{1,10}): ([^:@\s]+)(?:@(\S+))?: <([^>]*)>(.*)$")
_INDEX: Final = re.compile(r"if\d{1,9}")
"""What stands for an interface in a namespace that has no name here."""
_ONE_LINE: Final = re.compile(r"^([0-9]{1,10}): (\S+)\s+(inet6?) (\S+)")
_ROUTE_TYPES: Final = frozenset({"unicast", "local", "broadcast", "multicast", "anycast", "throw", *REFUSING_TYPES})
_KINDS: Final = frozenset({"bridge", "veth", "tun", "vxlan", "gretap", "bond", "vlan", "dummy", "openvswitch"})


def is_json(page: Page) -> bool:
    return page.text.lstrip()[:1] == "["


def _objects(page: Page) -> Iterator[Mapping[str, Any]]:
    try:
        parsed = json.loads(page.text)
    except (ValueError, RecursionError) as error:
        page.complain(getattr(error, "lineno", 1), getattr(error, "colno", 1), "this is not the JSON of ip(8)")
        return
    for item in parsed if isinstance(parsed, list) else []:
        if isinstance(item, dict) and item:
            yield item


def read_links(page: Page) -> tuple[Link, ...]:
    """`ip address` or `ip link`, with or without `-d`, `-j`; `ip -o addr` gives addresses and names only."""
    return tuple(_json_links(page) if is_json(page) else _text_links(page))


def _json_links(page: Page) -> Iterator[Link]:
    for item in _objects(page):
        flags = item.get("flags", ())
        details = item.get("linkinfo")
        yield Link(
            name=str(item.get("ifname", "")),
            index=_number(item.get("ifindex")),
            mac=mac_of(str(item.get("address", ""))),
            mtu=_number(item.get("mtu")),
            is_up=isinstance(flags, list) and "UP" in flags,
            kind=str(details.get("info_kind", "")) if isinstance(details, dict) else "",
            master=str(item.get("master", "")),
            peer_index=_number(item.get("link_index")),
            peer_name=str(item.get("link", "")),
            peer_namespace=str(item.get("link_netns", "")),
            peer_namespace_id=_number(item["link_netnsid"]) if "link_netnsid" in item else None,
            addresses=tuple(_json_addresses(page, item)),
        )


def _json_addresses(page: Page, item: Mapping[str, Any]) -> Iterator[Address]:
    addresses = item.get("addr_info", ())
    for entry in addresses if isinstance(addresses, list) else ():
        if not isinstance(entry, dict) or "local" not in entry:
            continue
        try:
            interface = ip_interface(f"{entry['local']}/{_number(entry.get('prefixlen'))}")
        except ValueError:
            page.complain(1, 1, f"this is not an address of {printable(str(item.get('ifname', '')))}")
            continue
        prefix_length = interface.network.prefixlen
        yield Address(ip=str(interface.ip), prefix_length=prefix_length, scope=str(entry.get("scope", "")))


def _number(value: object) -> int:
    return value if isinstance(value, int) else 0


def _text_links(page: Page) -> Iterator[Link]:
    link: Link | None = None
    one_line: dict[str, Link] = {}
    for number, line in page.lines():
        if found := _LINK.match(line):
            if link:
                yield link
            link = _text_link(found)
        elif found := _ONE_LINE.match(line):
            before = one_line.get(found.group(2), Link(name=found.group(2), index=int(found.group(1)), is_up=True))
            one_line[before.name] = _with_address(page, number, before, line[found.start(3) :].split())
        elif link and line.startswith(" "):
            link = _detailed(page, number, link, line.split())
        else:
            page.complain(number, 1, "this is not a line of ip address")
    if link:
        yield link
    yield from one_line.values()


def _text_link(found: re.Match[str]) -> Link:
    index, name, other, flags, rest = found.groups()
    words = rest.split()
    settings = dict(pairwise(words))
    return Link(
        name=name,
        index=int(index),
        mtu=whole(settings.get("mtu", "")) or 0,
        is_up="UP" in flags.split(","),
        master=settings.get("master", ""),
        peer_index=int(other[2:]) if other and _INDEX.fullmatch(other) else 0,
        peer_name=other if other and not _INDEX.fullmatch(other) else "",
    )


def _detailed(page: Page, number: int, link: Link, words: list[str]) -> Link:
    """A link with what one of its indented lines says."""
    if words[0].startswith("link/"):
        settings = dict(pairwise(words))
        return replace(
            link,
            mac=mac_of(words[1]) if len(words) > 1 else "",
            peer_namespace=settings.get("link-netns", ""),
            peer_namespace_id=whole(settings.get("link-netnsid", "")),
        )
    if words[0] in ("inet", "inet6"):
        return _with_address(page, number, link, words)
    if words[0] in _KINDS and not link.kind:
        return replace(link, kind=words[0])
    return link


def _with_address(page: Page, number: int, link: Link, words: list[str]) -> Link:
    try:
        interface = ip_interface(words[1])
    except (ValueError, IndexError):
        page.complain(number, 1, "this is not an address")
        return link
    scope = words[words.index("scope") + 1] if "scope" in words[:-1] else ""
    address = Address(ip=str(interface.ip), prefix_length=interface.network.prefixlen, scope=scope)
    return replace(link, addresses=(*link.addresses, address))


def read_routes(page: Page) -> tuple[KernelRoute, ...]:
    """`ip route`, of one table or of all."""
    return tuple(_json_routes(page) if is_json(page) else _text_routes(page))


def _json_routes(page: Page) -> Iterator[KernelRoute]:
    for item in _objects(page):
        hops = item.get("nexthops")
        hop = hops[0] if isinstance(hops, list) and hops and isinstance(hops[0], dict) else item
        via = hop.get("via")
        gateway = hop.get("gateway") or (via.get("host", "") if isinstance(via, dict) else "")
        settings = {
            "dev": str(hop.get("dev", "")),
            "via": str(gateway or ""),
            "src": str(item.get("prefsrc", "")),
            "table": str(item.get("table", "main")),
            "metric": str(item.get("metric", 0)),
            "proto": str(item.get("protocol", "")),
        }
        flags = item.get("flags", ())
        is_up = not (isinstance(flags, list) and ("linkdown" in flags or "dead" in flags))
        is_ipv6 = ":" in str(item.get("dst", "")) or ":" in settings["via"] or "pref" in item
        if route := _route(str(item.get("dst", "")), settings, kind=str(item.get("type", "unicast")), is_ipv6=is_ipv6):
            yield replace(route, is_up=is_up)


def _text_routes(page: Page) -> Iterator[KernelRoute]:
    for number, line in page.lines():
        words = line.split()
        kind = words.pop(0) if words[0] in _ROUTE_TYPES and len(words) > 1 else "unicast"
        settings = dict(pairwise(words[1:]))
        is_ipv6 = ":" in settings.get("via", "") or "pref" in settings
        route = _route(words[0], settings, kind=kind, is_ipv6=is_ipv6)
        if route is None:
            page.complain(number, 1, "this is not a route")
        else:
            yield replace(route, is_up="linkdown" not in words and "dead" not in words)


def _route(destination: str, settings: Mapping[str, str], *, kind: str, is_ipv6: bool) -> KernelRoute | None:
    if destination == "default":
        destination = "::/0" if is_ipv6 else "0.0.0.0/0"
    try:
        prefix = str(ip_network(destination, strict=False))
    except ValueError:
        return None
    metric = settings.get("metric", "0")
    return KernelRoute(
        destination=prefix,
        device=settings.get("dev", ""),
        via=ip_of(settings.get("via", "")),
        source=ip_of(settings.get("src", "")),
        type=kind,
        table=settings.get("table", "main"),
        protocol=settings.get("proto", ""),
        metric=whole(metric) or 0,
    )


def read_rules(page: Page) -> tuple[RoutingRule, ...]:
    """`ip rule`."""
    return tuple(_json_rules(page) if is_json(page) else _text_rules(page))


def _json_rules(page: Page) -> Iterator[RoutingRule]:
    known = {"priority", "src", "srclen", "table", "protocol", "dst", "dstlen", "fwmark", "fwmask"}
    for item in _objects(page):
        source = str(item.get("src", "all")) + (f"/{item['srclen']}" if "srclen" in item else "")
        joined = (("dst", "/", "dstlen", "to"), ("fwmark", "/", "fwmask", "fwmark"))
        words = [
            f"{word} {item[key]}" + (f"{sign}{item[other]}" if other in item else "")
            for key, sign, other, word in joined
            if key in item
        ]
        words += [f"{key} {value}" for key, value in item.items() if key not in known]
        yield RoutingRule(
            preference=_number(item.get("priority")),
            source=source,
            table=str(item.get("table", "")),
            selector=" ".join(words),
        )


def _text_rules(page: Page) -> Iterator[RoutingRule]:
    for number, line in page.lines():
        preference, _, rest = line.partition(":")
        words = rest.split()
        place = whole(preference.strip())
        is_looking, is_refusing = words[-2:-1] == ["lookup"], words[-1:] and words[-1] in REFUSING_TYPES
        if place is None or words[:1] != ["from"] or len(words) < 3 or not (is_looking or is_refusing):
            page.complain(number, 1, "this is not a line of ip rule that can be read")
            continue
        yield RoutingRule(
            preference=place,
            source=words[1],
            table=words[-1] if is_looking else "",
            selector=" ".join(words[2:-2] if is_looking else [*words[2:-1], "action", words[-1]]),
        )


def read_neighbours(page: Page) -> tuple[KernelNeighbour, ...]:
    """`ip neigh`."""
    return tuple(_json_neighbours(page) if is_json(page) else _text_neighbours(page))


def _json_neighbours(page: Page) -> Iterator[KernelNeighbour]:
    for item in _objects(page):
        states = item.get("state", ())
        state = str(states[0]) if isinstance(states, list) and states else ""
        yield KernelNeighbour(
            ip=str(item.get("dst", "")),
            device=str(item.get("dev", "")),
            mac=mac_of(str(item.get("lladdr", ""))),
            state=state,
        )


def _text_neighbours(page: Page) -> Iterator[KernelNeighbour]:
    for number, line in page.lines():
        words = line.split()
        settings = dict(pairwise(words[1:]))
        if "dev" not in settings:
            page.complain(number, 1, "this is not a line of ip neigh")
            continue
        state = words[-1] if words[-1].isupper() else ""
        yield KernelNeighbour(ip=words[0], device=settings["dev"], mac=mac_of(settings.get("lladdr", "")), state=state)


def read_namespace_ids(page: Page) -> Mapping[int, str]:
    """`ip -j netns list-id`: the numbers that a namespace has for others, and their names as far as they have one."""
    named = ((_number(item.get("nsid")), str(item.get("name", ""))) for item in _objects(page))
    return {number: name for number, name in named if name}


def read_bridge_fdb(page: Page) -> tuple[BridgeAddress, ...]:
    """`bridge fdb`: the unicast addresses that Linux bridges learned or have themselves."""
    return tuple(_json_bridge_fdb(page) if is_json(page) else _text_bridge_fdb(page))


def _json_bridge_fdb(page: Page) -> Iterator[BridgeAddress]:
    for item in _objects(page):
        entry = BridgeAddress(
            mac=mac_of(str(item.get("mac", ""))), port=str(item.get("ifname", "")), bridge=str(item.get("master", ""))
        )
        if _is_unicast(entry.mac):
            yield entry


def _text_bridge_fdb(page: Page) -> Iterator[BridgeAddress]:
    for number, line in page.lines():
        words = line.split()
        settings = dict(pairwise(words[1:]))
        if not mac_of(words[0]) or "dev" not in settings:
            page.complain(number, 1, "this is not a line of bridge fdb")
        elif _is_unicast(words[0]):
            yield BridgeAddress(mac=mac_of(words[0]), port=settings["dev"], bridge=settings.get("master", ""))


def _is_unicast(mac: str) -> bool:
    return mac.count(":") == 5 and mac[1:2].lower() in "02468ace"
