"""Connections as a trace sees them: what the first packet sets up and what the later ones and the replies then meet.

Starts empty: a trace asks what a new connection would meet, not what an old one is remembered for.
"""

from dataclasses import dataclass, field, replace
from typing import Final, TypeAlias

from warren.inspect.filter.evaluate import Translation
from warren.inspect.filter.packet import ICMP, ICMPV6, PORT_PROTOCOLS, TCP, IpPacket, Tracked

Endpoints: TypeAlias = tuple[int, str, int, str, int]
"""(protocol, source, source port, destination, destination port); ICMP has its query id as both ports."""

_ANSWERS: Final = {0: 8, 129: 128, 14: 13, 18: 17}
"""ICMP reply type -> the request's type."""


def endpoints(packet: IpPacket) -> Endpoints:
    if packet.protocol in PORT_PROTOCOLS:
        ports = (packet.source_port, packet.destination_port)
    else:
        ports = (packet.icmp_id, packet.icmp_id) if packet.protocol in (ICMP, ICMPV6) else (0, 0)
    return (packet.protocol, packet.source, ports[0], packet.destination, ports[1])


def turned(ends: Endpoints) -> Endpoints:
    """The same endpoints, the other way."""
    protocol, source, source_port, destination, destination_port = ends
    return (protocol, destination, destination_port, source, source_port)


@dataclass(slots=True)
class Connection:
    """A connection: what its first packet looked like, and what its replies look like where they come in."""

    zone: int
    original: Endpoints
    reply: Endpoints
    mark: int = 0
    seen_reply: bool = False
    is_confirmed: bool = False
    nat_done: set[bool] = field(default_factory=set)
    """The sides (True: source) on which the nat table was asked; it is asked once."""

    def translate(self, translation: Translation) -> None:
        """Replies now come from, or go to, what the nat table said."""
        protocol, source, source_port, destination, destination_port = self.reply
        if translation.is_source:
            destination = translation.address or destination
            destination_port = destination_port if translation.port is None else translation.port
        else:
            source = translation.address or source
            source_port = source_port if translation.port is None else translation.port
        self.reply = (protocol, source, source_port, destination, destination_port)

    @property
    def has_dnat(self) -> bool:
        return turned(self.reply)[3:] != self.original[3:]

    @property
    def has_snat(self) -> bool:
        return turned(self.reply)[1:3] != self.original[1:3]


@dataclass(slots=True)
class Tracker:
    """All connections of one conntrack: a network namespace's, or a userspace datapath's."""

    connections: list[Connection] = field(default_factory=list)

    def track(self, packet: IpPacket) -> tuple[IpPacket, Connection | None]:
        """The packet with what is known of it, and its connection (a new one is kept only once confirmed)."""
        tracked = packet.tracked
        if tracked.zone < 0:
            return packet, None
        ends = endpoints(packet)
        for connection in self.connections:
            if connection.zone == tracked.zone and ends in (connection.original, connection.reply):
                is_reply = ends == connection.reply and ends != connection.original
                connection.seen_reply |= is_reply
                state = "ESTABLISHED" if connection.seen_reply else "NEW"
                return replace(packet, tracked=_tracked(connection, state, is_reply=is_reply)), connection
        if _cannot_begin(packet):
            return replace(packet, tracked=replace(tracked, state="INVALID")), None
        connection = Connection(zone=tracked.zone, original=ends, reply=turned(ends))
        return replace(packet, tracked=_tracked(connection, "NEW", is_reply=False)), connection

    def confirm(self, connection: Connection | None) -> None:
        """A packet of it left the hooks alive: it exists from now on."""
        if connection and not connection.is_confirmed:
            connection.is_confirmed = True
            self.connections.append(connection)


def _tracked(connection: Connection, state: str, *, is_reply: bool) -> Tracked:
    return Tracked(
        state=state,
        is_reply=is_reply,
        has_dnat=connection.has_dnat,
        has_snat=connection.has_snat,
        mark=connection.mark,
        zone=connection.zone,
    )


def _cannot_begin(packet: IpPacket) -> bool:
    """An answer to nothing: conntrack calls it INVALID."""
    if packet.protocol in (ICMP, ICMPV6):
        return packet.icmp_type in _ANSWERS
    return packet.protocol == TCP and {"SYN", "ACK"} <= packet.tcp_flags


def apply_nat(packet: IpPacket, connection: Connection, *, is_source: bool) -> IpPacket:
    """Rewrite one side of a packet as its connection says (nf_nat_packet): the other direction is undone alike."""
    wanted = turned(connection.original if packet.tracked.is_reply else connection.reply)
    _, source, source_port, destination, destination_port = wanted
    tracked = replace(packet.tracked, has_dnat=connection.has_dnat, has_snat=connection.has_snat)
    has_ports = packet.protocol in PORT_PROTOCOLS
    if is_source:
        port = source_port if has_ports else packet.source_port
        return replace(packet, source=source, source_port=port, tracked=tracked)
    port = destination_port if has_ports else packet.destination_port
    return replace(packet, destination=destination, destination_port=port, tracked=tracked)
