"""The hooks of netfilter in one namespace: which tables a packet meets in which order, with conntrack and NAT between.

Order and priorities: include/uapi/linux/netfilter_ipv4.h (raw -300, conntrack -200, mangle -150, nat dst -100,
filter 0, nat src 100, confirm last).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from warren.inspect.filter.conntrack import Connection, Tracker, apply_nat
from warren.inspect.filter.evaluate import Outcome, RuleHit, walk
from warren.inspect.filter.match import Known
from warren.inspect.filter.model import Chain, RuleSet
from warren.inspect.filter.packet import IpPacket

_TRACK: Final = "conntrack"
_ORDER: Final[Mapping[str, tuple[str, ...]]] = {
    "PREROUTING": ("raw", _TRACK, "mangle", "nat"),
    "INPUT": ("mangle", "filter", "nat"),
    "FORWARD": ("mangle", "filter"),
    "OUTPUT": ("raw", _TRACK, "mangle", "nat", "filter"),
    "POSTROUTING": ("mangle", "nat"),
}
_SOURCE_NAT: Final = frozenset({"INPUT", "POSTROUTING"})
_LAST: Final = frozenset({"INPUT", "POSTROUTING"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """What one hook did to a packet."""

    hook: str
    outcome: Outcome
    packet: IpPacket
    hits: tuple[RuleHit, ...] = ()
    because: str = ""


@dataclass(slots=True)
class Netfilter:
    """The packet filter of one namespace and the connections that a trace opened through it."""

    rules: RuleSet
    known: Known = field(default_factory=Known)
    tracker: Tracker = field(default_factory=Tracker)
    _under_way: Connection | None = None

    def hook(self, name: str, packet: IpPacket, *, own_address: str = "") -> Passage:
        """A packet at one hook. Hooks are called in the order in which the packet meets them.

        `own_address` is the outgoing interface's at POSTROUTING (MASQUERADE), the incoming one's at PREROUTING
        (REDIRECT).
        """
        hits: tuple[RuleHit, ...] = ()
        for table in _ORDER[name]:
            if table == _TRACK:
                packet, self._under_way = self.tracker.track(packet)
                continue
            if table == "nat":
                passage = self._nat(name, packet, own_address)
            else:
                passage = self._table(table, name, packet, own_address)
            packet, hits = passage.packet, (*hits, *passage.hits)
            if passage.outcome is not Outcome.ACCEPT:
                return replace(passage, hits=hits)
        if self._under_way:
            self._under_way.mark = packet.tracked.mark
        if name in _LAST:
            self.tracker.confirm(self._under_way)
            self._under_way = None
        return Passage(hook=name, outcome=Outcome.ACCEPT, packet=packet, hits=hits)

    def _table(self, table: str, hook: str, packet: IpPacket, own_address: str) -> Passage:
        chains: Mapping[str, Chain] = self.rules.tables.get(table, {})
        walked = walk(table, chains, hook, packet, self.known, own_address=own_address)
        return Passage(
            hook=hook, outcome=walked.outcome, packet=walked.packet, hits=walked.hits, because=walked.because
        )

    def _nat(self, hook: str, packet: IpPacket, own_address: str) -> Passage:
        """The nat table decides for a connection's first packet; the others follow what it decided."""
        connection, is_source = self._under_way, hook in _SOURCE_NAT
        if connection is None:
            return Passage(hook=hook, outcome=Outcome.ACCEPT, packet=packet)
        hits: tuple[RuleHit, ...] = ()
        if not connection.is_confirmed and is_source not in connection.nat_done:
            connection.nat_done.add(is_source)
            chains: Mapping[str, Chain] = self.rules.tables.get("nat", {})
            walked = walk("nat", chains, hook, packet, self.known, own_address=own_address)
            hits = walked.hits
            if walked.outcome is not Outcome.ACCEPT:
                return Passage(hook=hook, outcome=walked.outcome, packet=packet, hits=hits, because=walked.because)
            if walked.translation:
                connection.translate(walked.translation)
        translated = apply_nat(packet, connection, is_source=is_source)
        if translated != replace(packet, tracked=translated.tracked) and not hits:
            side = f"source {packet.source}" if is_source else f"destination {packet.destination}"
            new = translated.source if is_source else translated.destination
            hits = (
                RuleHit(
                    table="nat", chain=hook, rule="conntrack", effect=f"{side} becomes {new}, as for its connection"
                ),
            )
        return Passage(hook=hook, outcome=Outcome.ACCEPT, packet=translated, hits=hits)
