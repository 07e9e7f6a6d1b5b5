"""A trace as a value: hops, the verdict, and why."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from warren.inspect.parse.problem import Problem

TABLE: Final = " table "
"""Between a bridge and a table's number in the place of a lookup."""


class Verdict(Enum):
    """How a packet ended; each has one condition."""

    DELIVERED = "delivered to who owns the destination address"
    MISDELIVERED = "delivered to somebody else who has the destination's address"
    LEFT = "left the captured hosts by a physical interface, towards the destination"
    DROPPED_FLOW = "dropped by a flow"
    DROPPED_MISS = "dropped: no flow of the table matches"
    DROPPED_NO_PORT = "dropped: the bridge has no port to send it by"
    DROPPED_ELSEWHERE = "dropped: sent to other hosts than the one that has the destination"
    DROPPED_RULE = "dropped by a rule of the packet filter"
    DROPPED_NO_ROUTE = "dropped: no route leads to the destination"
    DROPPED_NO_NEIGHBOUR = "dropped: nobody answers for the next hop's address"
    DROPPED_WRONG_NEIGHBOUR = "dropped: sent to a MAC address that the next hop does not have"
    DROPPED_NOT_FORWARDED = "dropped: the namespace does not forward"
    DROPPED_SOURCE = "dropped: its source address cannot come in by this interface"
    DROPPED_DOWN = "dropped: an interface is down"
    DROPPED_PORT_CONFIG = "dropped: the switch's port is told not to receive or not to forward"
    DROPPED_NO_TUNNEL = "dropped: the other host has no tunnel that takes it"
    DROPPED_TOO_BIG = "dropped: larger than the MTU on its way"
    DROPPED_NOT_FOR_US = "ignored: it is for another address"
    DROPPED_UNTRANSLATED = "lost: it is for an inside address with which its question left the router"
    DROPPED_TTL = "dropped: its time to live is used up"
    LOOPED = "goes round without end"
    NOT_MODELLED = "not modelled here"
    NOT_CAPTURED = "the capture does not show what comes next"

    @property
    def is_success(self) -> bool:
        return self in (Verdict.DELIVERED, Verdict.LEFT)

    @property
    def is_unknown(self) -> bool:
        return self in (Verdict.NOT_MODELLED, Verdict.NOT_CAPTURED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One thing that happened to one copy of the packet.

    `parent` is the index of the hop before it (a flood makes several with one parent). `interface` is set where a
    packet passes an interface that tcpdump could listen on. `end` is set on the last hop of a copy.
    """

    host: str
    place: str
    what: str
    parent: int
    packet: str = ""
    interface: str = ""
    evidence: str = ""
    object: str = ""
    is_tunnel: bool = False
    """The packet enters a tunnel here."""
    is_untranslated: bool = False
    """The packet leaves its router here with an address of the inside."""
    writes_arp: bool = False
    """A flow makes an ARP answer of a question here."""
    end: Verdict | None = None
    mend: str = ""

    @property
    def is_lookup(self) -> bool:
        """A flow of a table, or the miss of one."""
        return TABLE in self.place


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """The way of one packet in one direction. `way` are the hops of the copy that decided, first to last."""

    title: str
    way: tuple[Hop, ...]
    verdict: Verdict
    because: str
    mend: str = ""
    others: tuple[Hop, ...] = ()
    """The ends of the other copies, where a frame was flooded."""
    learned: tuple[str, ...] = ()

    @property
    def interfaces(self) -> tuple[tuple[str, str], ...]:
        """(host, interface) that a packet was seen on, in order."""
        return tuple((hop.host, hop.interface) for hop in self.way if hop.interface)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """All that one question brought up: the first packet, its answer, and the second packet."""

    source: str
    target: str
    paths: tuple[Path, ...] = field(default=())
    problems: tuple[Problem, ...] = ()
    """What of the tables and rules that the packets met could not be read."""

    @property
    def verdict(self) -> Verdict:
        """Of the first path that did not succeed; of the last where all did."""
        failed = [path.verdict for path in self.paths if not path.verdict.is_success]
        return failed[0] if failed else self.paths[-1].verdict
