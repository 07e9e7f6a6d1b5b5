"""Packets that leave the captured hosts, and should not have, or do so with an address that nobody can answer."""

from dataclasses import replace
from ipaddress import ip_address, ip_interface
from typing import Final

from warren.core.names import ROUTER_NAMESPACE_PREFIX
from warren.inspect.filter.packet import IpPacket
from warren.inspect.filter.source_nat import source_nat_rule
from warren.inspect.path.endpoint import Endpoint
from warren.inspect.path.hop import Hop, Path, Verdict
from warren.inspect.path.walk import Walk
from warren.inspect.path.world import World
from warren.inspect.snapshot.model import Host, Namespace

GATEWAY: Final = "qg-"
"""Begin of the name of the interface by which a router leads outside."""


def astray(walk: Walk, index: int, target: Endpoint | None) -> Path | None:
    """The path of a packet that ended outside, at a hop, though its destination is inside; `None` for any other.

    Whoever sent it out is named. What the outside does with an address of its own was not captured.
    """
    ended = walk.hops[index]
    holders = [holder for ip in (target.ips if target else ()) for holder in walk.world.holders.inside(ip)]
    way = [i for i in range(index + 1) if walk.is_behind(index, i)]
    inside = frozenset(holder.ip for holder in holders)
    out = next((i for i in way if _is_sent_out(walk.hops[i], inside)), None)
    if not holders or out is None:
        if ended.end is not Verdict.LEFT:
            return None
        because = f"{ended.host}, {ended.place}: {ended.what}; what is behind that interface was not captured"
        return walk.path(index, Verdict.NOT_CAPTURED, because, "capture the host that it goes to, and its interfaces")
    routed = max((i for i in way if i < out and _is_route(walk, walk.hops[i])), default=out)
    hop = walk.hops[routed]
    who = f"{holders[0].ip}, which is on {holders[0].host}"
    mend = f"an interface of the router on the network of {who}; or see which route leads out"
    walk.end(routed, Verdict.DROPPED_ELSEWHERE, mend)
    return walk.path(routed, Verdict.DROPPED_ELSEWHERE, f"{hop.host}, {hop.place}: {hop.what}", mend)


def _is_sent_out(hop: Hop, ips: frozenset[str]) -> bool:
    """Whether a router sends a packet for one of some addresses by its gateway there."""
    destination = hop.packet.rpartition(" > ")[2].partition(" ")[0]
    is_for = any(destination == ip or destination.startswith(f"{ip}:") for ip in ips)
    return is_for and hop.interface.startswith(GATEWAY) and hop.place.startswith(hop.interface)


def _is_route(walk: Walk, hop: Hop) -> bool:
    """Whether a namespace, or a host, chose the way there."""
    host = walk.world.estate.host(hop.host)
    return bool(hop.evidence and host and (hop.place == host.name or host.namespace(hop.place)))


def keeps_inside_address(namespace: Namespace, device: str, packet: IpPacket, sent: IpPacket) -> bool:
    """Whether a packet goes out by a router's gateway with a source address that is on no network there."""
    link = namespace.link(device)
    if not device.startswith(GATEWAY) or link is None or packet.is_ipv6 or sent.source != packet.source:
        return False
    source = ip_address(packet.source)
    return not any(source in ip_interface(f"{a.ip}/{a.prefix_length}").network for a in link.addresses)


def unanswered(world: World, there: Path, back: Path) -> Path:
    """The way back, judged: an answer to an address of the inside does not come to its router by itself.

    With source NAT switched off in the API somebody outside is meant to know the way: then what the outside did counts.
    """
    hop = next((hop for hop in there.way if hop.is_untranslated), None)
    host = world.estate.host(hop.host) if hop else None
    namespace = host.namespace(hop.place) if hop and host else None
    if hop is None or host is None or namespace is None:
        return back
    is_asked = _is_translation_asked(world, namespace)
    is_seen = there.verdict is Verdict.DELIVERED
    if is_asked is False or (is_seen and (back.verdict.is_success or _came_to(back, hop))):
        return back
    verdict = Verdict.DROPPED_UNTRANSLATED if is_asked or is_seen else Verdict.NOT_CAPTURED
    because = f"{hop.host}, {hop.place}: {hop.what}; nobody outside is known to have a way back to it"
    mend = _mend(world, host, namespace)
    named = replace(hop, end=verdict, mend=mend)
    return replace(back, way=(*(back.way if is_seen else ()), named), verdict=verdict, because=because, mend=mend)


def _came_to(back: Path, hop: Hop) -> bool:
    """Whether the answer reached the router again."""
    return any((each.host, each.place) == (hop.host, hop.place) for each in back.way)


def _is_translation_asked(world: World, namespace: Namespace) -> bool | None:
    """What the API says of the router's source NAT; `None` where it was not asked."""
    found = world.estate.names.routers.get(namespace.name.removeprefix(ROUTER_NAMESPACE_PREFIX).removeprefix("snat-"))
    return found.has_source_nat if found else None


def _mend(world: World, host: Host, namespace: Namespace) -> str:
    chains = world.netfilter(host, namespace, is_ipv6=False).rules.tables.get("nat", {})
    gateway = next(link for link in namespace.links if link.name.startswith(GATEWAY))
    address = next((a.ip for a in gateway.addresses if ":" not in a.ip and a.prefix_length < 32), "ITS ADDRESS THERE")
    return source_nat_rule(namespace.name, chains, gateway.name, address)
