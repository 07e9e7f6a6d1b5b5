"""`warren trace`: a packet there, its answer back, and a second packet there, by what the first two taught."""

from dataclasses import dataclass, replace
from typing import Final

from warren.core.errors import Invalid
from warren.inspect.filter.packet import ICMP, ICMPV6, PORT_PROTOCOLS, PROTOCOLS, TCP, IpPacket, Tracked
from warren.inspect.path.blame import Wanted, blame
from warren.inspect.path.endpoint import Endpoint, address_near, address_towards, behind_floating, instance, is_to_many
from warren.inspect.path.frame import Arp, Frame, request
from warren.inspect.path.hop import Path, Trace, Verdict
from warren.inspect.path.kernel import leave_instance, send, settle
from warren.inspect.path.outside import astray, unanswered
from warren.inspect.path.routing import route
from warren.inspect.path.topology import Interface
from warren.inspect.path.walk import Delivery, Departure, Walk, plain
from warren.inspect.path.world import World, world_of
from warren.inspect.snapshot.model import Estate

EPHEMERAL_PORT: Final = 40_000
OUTSIDE_MAC: Final = "02:00:00:00:00:01"
"""Of whoever is outside, where no neighbour table tells the real one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked: `protocol` by number; ports of TCP and UDP; the packet's size."""

    protocol: int = ICMP
    source_port: int = EPHEMERAL_PORT
    destination_port: int = 0
    size_bytes: int = 84


def protocol_number(word: str) -> int:
    """The number of a protocol's name.

    Raises:
        Invalid: there is none.
    """
    found = PROTOCOLS.get(word.lower(), int(word) if word.isdecimal() and int(word) < 256 else None)
    if found is None:
        raise Invalid("UnknownProtocol", f"{word} is no protocol that is known here; give its number")
    return found


def trace(estate: Estate, source: Endpoint, target: Endpoint, question: Question) -> Trace:
    """Follow a packet from one endpoint to another, its answer, and the next packet.

    Raises:
        Invalid: an end has no address of the other's family, or both are outside.
    """
    world = world_of(estate)
    packet = _packet(source, target, question)
    if source.is_outside and not _is_there(world, target):
        raise Invalid("NothingToTrace", f"neither {source.name} nor {target.name} is on a captured host")
    paths: list[Path] = []
    meant = behind_floating(packet.destination, world.topology) or target
    there = _there(world, source, packet, f"{source.name} -> {target.name}", meant)
    paths.append(there.path)
    is_answered = packet.protocol in {ICMP, ICMPV6, *PORT_PROTOCOLS} and not is_to_many(
        source, packet.destination, world.topology
    )
    if there.path.verdict.is_success and is_answered:
        back = unanswered(world, there.path, _back(world, there, target, source).path)
        paths.append(back)
        if back.verdict.is_success:
            paths.append(_there(world, source, _second(packet), "the next packet", meant).path)
    return Trace(source=source.name, target=target.name, paths=tuple(paths), problems=tuple(world.problems))


def arp_request(source: Endpoint, target: Endpoint) -> Frame:
    """The frame with which an endpoint asks who has another's address.

    Raises:
        Invalid: one of them has no IPv4 address, or nothing leads from one to the other.
    """
    packet = _packet(source, target, Question())
    if packet.is_ipv6:
        raise Invalid("NotIpv4", f"{packet.destination} is no IPv4 address: ARP asks for none else")
    mac = source.mac
    if not mac and source.namespace:
        link = source.namespace.link(route(source.namespace, packet.destination).device)
        mac = link.mac if link else ""
    if not mac:
        raise Invalid("NoInterface", f"{source.name} has no interface that leads to {packet.destination}")
    return request(sender_mac=mac, sender_ip=packet.source, target_ip=packet.destination)


def trace_frame(estate: Estate, source: Endpoint, frame: Frame, target: Endpoint | None = None) -> Trace:
    """Follow a raw frame that an endpoint sends as it is: no routes, no ARP, no answer.

    Of the copies of a flood the one for `target` is told, where one is named.

    Raises:
        Invalid: nothing is known of where it would enter.
    """
    world = world_of(estate)
    walk = Walk(world=world, title=f"{source.name} sends {frame}")
    name = target.name if target else frame.destination
    if target and target.is_outside:
        target = None
    if source.host and source.namespace:
        link = source.namespace.link(source.device) or next(
            (link for link in source.namespace.links if link.mac == frame.source), None
        )
        if link is None:
            raise Invalid(
                "NoInterface", f"no interface of {source.name} has {frame.source}, the frame's source address"
            )
        walk.transmit(Interface(source.host, source.namespace, link), frame, -1)
    elif source.port:
        leave_instance(walk, source, frame, -1)
    else:
        raise Invalid("NothingToTrace", f"{source.name} is on no captured host")
    settle(walk)
    path = _ended_frame(walk, frame, source, target).path
    return Trace(source=source.name, target=name, paths=(path,), problems=tuple(world.problems))


def _ended_frame(walk: Walk, frame: Frame, source: Endpoint, target: Endpoint | None) -> "Ended":
    """A raw frame may end well as ARP, too: the first copy that somebody took.

    Of a question that was answered, what came of the answer decides.
    """
    taken = next((i for i, hop in enumerate(walk.hops) if hop.end is Verdict.DELIVERED), None)
    if taken is not None and not walk.delivered:
        return Ended(walk.path(taken, Verdict.DELIVERED, Verdict.DELIVERED.value))
    if target and frame.is_to_many:
        walk.delivered = [each for each in walk.delivered if _is_with(each, target)]
    ended = _ended(walk, source if _is_answered(walk, frame) else target)
    if ended.path.verdict is Verdict.DROPPED_NOT_FOR_US and isinstance(frame.payload, Arp) and target is None:
        hop, ip = walk.hops[0], frame.payload.target_ip
        because = f"{hop.host}, {hop.place}: nobody answers for {ip}"
        return Ended(walk.path(0, Verdict.DROPPED_NO_NEIGHBOUR, because, f"nothing that was captured has {ip}"))
    return ended


@dataclass(frozen=True, slots=True)
class Ended:
    """One direction: as a value, and where the packet came out."""

    path: Path
    delivery: Delivery | None = None
    departure: Departure | None = None


def _is_answered(walk: Walk, frame: Frame) -> bool:
    """Whether somebody answered ARP: what came to nothing was then lost on its way back."""
    return isinstance(frame.payload, Arp) and bool(walk.accepted)


def _packet(source: Endpoint, target: Endpoint, question: Question) -> IpPacket:
    is_ipv6 = bool(target.ips) and all(":" in ip for ip in target.ips)
    target_ip = address_near(target, source, is_ipv6=is_ipv6)
    source_ip = address_towards(source, target_ip) if target_ip else source.ip(is_ipv6=is_ipv6)
    for end, ip in ((source, source_ip), (target, target_ip)):
        if not ip:
            family = "IPv6" if is_ipv6 else "IPv4"
            raise Invalid("NoAddress", f"{end.name} has no {family} address in the capture; give one, or --names")
    if question.protocol == ICMPV6 and not is_ipv6:
        raise Invalid("NotIpv6", f"{target_ip} is no IPv6 address: what goes there is icmp")
    return IpPacket(
        source=source_ip,
        destination=target_ip,
        protocol=ICMPV6 if is_ipv6 and question.protocol == ICMP else question.protocol,
        source_port=question.source_port,
        destination_port=question.destination_port,
        icmp_type=8 if not is_ipv6 else 128,
        size_bytes=question.size_bytes,
    )


def _second(packet: IpPacket) -> IpPacket:
    return replace(packet, tcp_flags=frozenset({"ACK"})) if packet.protocol == TCP else packet


def _there(world: World, source: Endpoint, packet: IpPacket, title: str, target: Endpoint) -> Ended:
    walk = Walk(world=world, title=f"{title}: {packet}")
    if source.is_outside:
        _enter_from_outside(walk, packet)
    else:
        send(walk, source, packet)
    return _ended(walk, target)


def _ended(walk: Walk, target: Endpoint | None) -> Ended:
    """Choose the copy that decided."""
    if walk.delivered:
        delivery = next((each for each in walk.delivered if _is_meant(each, target)), None)
        if delivery is None:
            where = walk.hops[walk.delivered[0].hop]
            because = f"{where.host}, {where.place}: {where.what}"
            mend = _misdelivered(walk.delivered[0], target)
            return Ended(walk.path(walk.delivered[0].hop, Verdict.MISDELIVERED, because, mend))
        return Ended(walk.path(delivery.hop, Verdict.DELIVERED, Verdict.DELIVERED.value), delivery=delivery)
    if walk.departed and _may_be_outside(walk, target):
        departure = walk.departed[0]
        return Ended(walk.path(departure.hop, Verdict.LEFT, Verdict.LEFT.value), departure=departure)
    index = blame(walk, _wanted(target))
    hop = walk.hops[index]
    if lost := astray(walk, index, target):
        return Ended(lost)
    verdict = hop.end or Verdict.DROPPED_FLOW
    because = f"{hop.host}, {hop.place}: {hop.what}"
    return Ended(walk.path(index, verdict, because, hop.mend))


def _misdelivered(delivery: Delivery, target: Endpoint | None) -> str:
    ip = delivery.packet.destination
    if target and target.ips and ip not in target.ips:
        return f"a rule that translates {ip} to {target.ips[0]}, where it was taken"
    return "one holder for each address: take it from this one, or its MAC address out of neighbour tables"


def _wanted(target: Endpoint | None) -> Wanted | None:
    if target is None or target.host is None:
        return None
    namespace = target.namespace.name if target.namespace and not target.port else ""
    return Wanted(
        host=target.host.name, port=target.port.port.name if target.port else target.device, namespace=namespace
    )


def _is_meant(delivery: Delivery, target: Endpoint | None) -> bool:
    """Whether who took the packet is who it was for; of an address that is translated nobody can say before."""
    if target is None or target.is_outside:
        return True
    if target.port is None and delivery.packet.destination not in target.ips:
        return True
    return _is_with(delivery, target)


def _is_with(delivery: Delivery, target: Endpoint) -> bool:
    """Whether a packet was taken where an endpoint is: at its port, or in its namespace."""
    if delivery.port is not None:
        taken_by = (delivery.port.host.name, delivery.port.port.name)
        return target.port is not None and taken_by == (target.port.host.name, target.port.port.name)
    interface, namespace = delivery.interface, target.namespace
    if interface is None or namespace is None or target.host is None:
        return False
    return (interface.host.name, interface.namespace.name) == (target.host.name, namespace.name)


def _may_be_outside(walk: Walk, target: Endpoint | None) -> bool:
    """Whether leaving the captured hosts is the right way: the target is not on them."""
    return target is None or (target.is_outside and not _is_there(walk.world, target))


def _is_there(world: World, target: Endpoint) -> bool:
    """Whether a captured host has the target, or translates its address."""
    if not target.is_outside:
        return True
    ip = target.ips[0] if target.ips else ""
    if any(floating.address == ip for floating in world.estate.names.floating_ips.values()):
        return True
    return any(ns.holder_of(ip) for host in world.estate.hosts for ns in host.namespaces)


# Back.


def _back(world: World, there: Ended, target: Endpoint, source: Endpoint) -> Ended:
    if there.delivery:
        packet = _answer(there.delivery.packet)
        walk = Walk(world=world, title=f"the answer: {packet}")
        send(walk, _where(world, there.delivery, target), packet)
        return _ended(walk, source)
    if there.departure and isinstance(there.departure.frame.payload, IpPacket):
        sent = there.departure.frame
        packet = _answer(there.departure.frame.payload)
        walk = Walk(world=world, title=f"the answer from outside: {packet}")
        frame = Frame(source=sent.destination, destination=sent.source, payload=packet, vlan=sent.vlan)
        walk.receive(there.departure.interface, frame, -1)
        settle(walk)
        return _ended(walk, source)
    return there


def _where(world: World, delivery: Delivery, target: Endpoint) -> Endpoint:
    if delivery.interface:
        interface = delivery.interface
        return Endpoint(name=target.name, ips=target.ips, host=interface.host, namespace=interface.namespace)
    return instance(delivery.port, world.topology) if delivery.port else target


def _answer(packet: IpPacket) -> IpPacket:
    fresh = plain(packet)
    return replace(
        fresh,
        source=packet.destination,
        destination=packet.source,
        source_port=packet.destination_port,
        destination_port=packet.source_port,
        icmp_type={8: 0, 128: 129}.get(packet.icmp_type, packet.icmp_type),
        tcp_flags=frozenset({"SYN", "ACK"}),
        tracked=Tracked(),
        ttl=64,
    )


# From outside.


def _enter_from_outside(walk: Walk, packet: IpPacket) -> None:
    """In by every physical interface of a bridge that an external network is on, asking by ARP first."""
    for interface in walk.world.topology.outer_lan:
        asked = Walk(world=walk.world, title=f"ARP for {packet.destination}")
        asked.receive(
            interface, request(sender_mac=OUTSIDE_MAC, sender_ip=packet.source, target_ip=packet.destination), -1
        )
        settle(asked)
        replies = [d.frame for d in asked.departed if d.frame.destination == OUTSIDE_MAC]
        if replies:
            frame = Frame(source=OUTSIDE_MAC, destination=replies[0].source, payload=packet)
            index = walk.hop(
                -1, interface.host, "outside", f"{packet.destination} answers ARP with {replies[0].source}"
            )
            walk.receive(interface, frame, index)
            settle(walk)
            return
    host = walk.world.estate.hosts[0]
    index = walk.hop(-1, host, "outside", f"nobody answers ARP for {packet.destination}")
    walk.end(index, Verdict.DROPPED_NO_NEIGHBOUR, "a router with this address on its gateway")
