"""Which of many ends of a flood is the one to name: where the copy that should have arrived was lost."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from warren.core.names import INTEGRATION_BRIDGE
from warren.inspect.path.holders import Holder
from warren.inspect.path.hop import Hop, Verdict
from warren.inspect.path.walk import Aim, Walk

_FAULT: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Where a packet should have come to: the host, and the switch port, interface or namespace of who takes it."""

    host: str
    port: str = ""
    namespace: str = ""


def blame(walk: Walk, wanted: Wanted | None) -> int:
    """The hop that ended a packet for something (`None` where nobody knows who has it).

    A MAC address that the next hop does not have is to blame before all that came of it. Else, of the copies for the
    next hop: where one ended on its host; where frames left for other hosts or ports without a copy for it; where a
    tunnel lost one. What others did with copies that were not theirs is no fault, and once somebody took the packet
    only what came of that counts.
    """
    misled = next((index for index, aim in sorted(walk.aims.items()) if _is_misled(walk, aim)), None)
    if misled is not None:
        aim = walk.aims[misled]
        walk.end(aim.blamed, Verdict.DROPPED_WRONG_NEIGHBOUR, aim.mend)
        return aim.blamed
    leg = max(walk.accepted, key=walk.depth, default=-1)
    hops = [(i, hop) for i, hop in enumerate(walk.hops) if leg < 0 or walk.is_behind(i, leg)]
    wanted = _next(walk, [walk.aims[i] for i, _ in hops if i in walk.aims]) if walk.aims else wanted
    ends = [(i, hop) for i, hop in hops if hop.end and hop.end is not Verdict.DROPPED_NOT_FOR_US]
    found = _lost(walk, wanted, hops, ends) if wanted else None
    if found is not None:
        return found
    if ends:
        return max(ends, key=lambda item: (_weight(item[1], is_known=wanted is not None), walk.depth(item[0])))[0]
    return max(len(walk.hops) - 1, 0)


def _holders(walk: Walk, aim: Aim) -> tuple[Holder, ...]:
    """Who has the next hop's address on the network that the packet was sent to."""
    holders = walk.world.holders
    return holders.of(aim.ip, holders.network(aim.host, aim.sent_from))


def _is_misled(walk: Walk, aim: Aim) -> bool:
    """Whether others than the owner of the MAC address have the next hop's address."""
    found = _holders(walk, aim)
    return bool(found) and all(holder.mac != aim.mac for holder in found)


def _next(walk: Walk, aims: Sequence[Aim]) -> Wanted | None:
    """Who has the MAC address that the packet went to last."""
    holders = (holder for aim in reversed(aims) for holder in _holders(walk, aim) if holder.mac == aim.mac)
    return next((Wanted(host=holder.host, port=holder.port) for holder in holders), None)


def _lost(walk: Walk, wanted: Wanted, hops: Sequence[tuple[int, Hop]], ends: Sequence[tuple[int, Hop]]) -> int | None:
    """The end of the copy for somebody who is known, or where no copy for it was made."""
    came = [index for index, hop in hops if hop.end and hop.host == wanted.host and _is_at(walk, index, wanted)]
    there = came or [index for index, hop in ends if hop.host == wanted.host]
    if there:
        return max(there, key=lambda i: (walk.hops[i].end is not Verdict.DROPPED_NOT_FOR_US, walk.depth(i)))
    if any(hop.end and hop.end.is_unknown for _, hop in ends):
        return None
    lost = [index for index, hop in ends if hop.is_tunnel and _weight(hop, is_known=True) == _FAULT]
    if lost:
        return max(lost, key=walk.depth)
    index = _last_lookup(walk, wanted, hops)
    if index is not None:
        mend = "its flow must send to the destination too"
        walk.hops[index] = replace(walk.hops[index], end=Verdict.DROPPED_ELSEWHERE, mend=mend)
    return index


def _is_at(walk: Walk, index: int, wanted: Wanted) -> bool:
    """Whether a copy came as far as the interface or namespace that it was for."""
    if wanted.namespace and walk.hops[index].place.endswith(wanted.namespace):
        return True
    return bool(wanted.port) and any(
        hop.interface == wanted.port for hop in walk.way_to(index) if hop.host == wanted.host
    )


def _last_lookup(walk: Walk, wanted: Wanted, hops: Sequence[tuple[int, Hop]]) -> int | None:
    """The last lookup on the destination's host, or else the one that sent copies into tunnels, none of them there.

    On that host what br-int did counts: it has the port, whatever it sent elsewhere besides.
    """
    here = [
        (hop.place.startswith(INTEGRATION_BRIDGE), walk.depth(index), index)
        for index, hop in hops
        if hop.host == wanted.host and hop.is_lookup
    ]
    if here:
        return max(here)[-1]
    if any(hop.host == wanted.host for _, hop in hops):
        return None
    return next((hop.parent for _, hop in hops if hop.is_tunnel), None)


def _weight(hop: Hop, *, is_known: bool) -> int:
    """A fault before what went well; what is not known before both, unless it is known whose copies count."""
    if hop.end is None or hop.end.is_success:
        return 0
    if hop.end.is_unknown:
        return 1 if is_known else _FAULT + 1
    return _FAULT
