"""Which of many ends of a flood is the one to name: where the copy that should have arrived was lost."""

from dataclasses import replace
from typing import Final

from warren.inspect.path.hop import Hop, Verdict
from warren.inspect.path.walk import Walk

_FAULT: Final = 2


def blame(walk: Walk, host: str) -> int:
    """The hop that ended a packet for something on `host` ("" where nobody knows who has it).

    On that host if a copy came there; else where frames went into tunnels without a copy for it, or where a tunnel lost
    one; else the deepest end that is a fault. What other hosts did with copies that were not theirs is no fault, and
    once somebody took the packet only what came of that counts.
    """
    leg = max(walk.accepted, key=walk.depth, default=-1)
    hops = (
        [(i, hop) for i, hop in enumerate(walk.hops) if walk.is_behind(i, leg)]
        if leg >= 0
        else list(enumerate(walk.hops))
    )
    ends = [(i, hop) for i, hop in hops if hop.end and hop.end is not Verdict.DROPPED_NOT_FOR_US]
    there = [item for item in ends if item[1].host == host]
    if there:
        return max(there, key=lambda item: walk.depth(item[0]))[0]
    if host and not any(hop.host == host for _, hop in hops):
        flood = _last_before_tunnels(walk, hops)
        if flood is not None and not any(hop.end and hop.end.is_unknown for _, hop in ends):
            return flood
        if lost := [index for index, hop in ends if hop.is_tunnel and _weight(hop) == _FAULT]:
            return max(lost, key=walk.depth)
    if ends:
        return max(ends, key=lambda item: (_weight(item[1]), walk.depth(item[0])))[0]
    return max(len(walk.hops) - 1, 0)


def _weight(hop: Hop) -> int:
    """A fault before what is not known, before what went well."""
    if hop.end is None or hop.end.is_success:
        return 0
    return 1 if hop.end.is_unknown else _FAULT


def _last_before_tunnels(walk: Walk, hops: list[tuple[int, Hop]]) -> int | None:
    """The lookup that sent copies into tunnels, none of them to the right host."""
    tunnels = [hop for _, hop in hops if hop.is_tunnel]
    index = tunnels[0].parent if tunnels and not any(hop.end for hop in tunnels) else None
    if index is not None:
        mend = "its flow must send to the destination's host too"
        walk.hops[index] = replace(walk.hops[index], end=Verdict.DROPPED_ELSEWHERE, mend=mend)
    return index
