"""`ofproto/trace`: what the real switch would do with a frame, table by table. Text of Open vSwitch to values; pure."""

import re
from dataclasses import dataclass
from typing import Final

from warren.lab.experiments.record import Hop

_BRIDGE: Final = re.compile(r'^bridge\("([^"]+)"\)')
_TABLE: Final = re.compile(r"^\s*(\d+)\. ")
_DATAPATH: Final = re.compile(r"^Datapath actions: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Tables of one bridge, in the order in which the frame went through them."""

    bridge: str
    tables: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One answer of ofproto/trace."""

    text: str
    visits: tuple[Visit, ...]
    datapath_actions: str

    @property
    def is_dropped(self) -> bool:
        return self.datapath_actions == "drop"

    def tables(self, bridge: str) -> tuple[int, ...]:
        """All tables of a bridge that were visited."""
        return tuple(table for visit in self.visits if visit.bridge == bridge for table in visit.tables)

    def hops(self, host: str, evidence: str) -> list[Hop]:
        """As steps of a packet's way."""
        return [
            Hop(
                host=host,
                place=visit.bridge,
                detail="tables " + " → ".join(map(str, visit.tables)),
                evidence=evidence,
            )
            for visit in self.visits
        ]


def read_trace(text: str) -> Trace:
    """What `ovs-appctl ofproto/trace` printed."""
    visits: list[tuple[str, list[int]]] = []
    for line in text.splitlines():
        if bridge := _BRIDGE.match(line):
            visits.append((bridge[1], []))
        elif (table := _TABLE.match(line)) and visits:
            visits[-1][1].append(int(table[1]))
    found = _DATAPATH.search(text)
    return Trace(
        text=text,
        visits=tuple(Visit(bridge=bridge, tables=tuple(tables)) for bridge, tables in visits),
        datapath_actions=found[1] if found else "",
    )
