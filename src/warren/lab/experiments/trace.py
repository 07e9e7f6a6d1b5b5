"""`ofproto/trace`: what the real switch would do with a frame, table by table. Text of Open vSwitch to values; pure."""

import re
from dataclasses import dataclass
from typing import Final

from warren.core.names import UNDERLAY_BRIDGE
from warren.lab.experiments.record import Hop

_BRIDGE: Final = re.compile(r'bridge\("([^"]+)"\)')
_TABLE: Final = re.compile(r"(\d+)\. ")
_OUTPUT: Final = re.compile(r"output:(\w+)$")
_DATAPATH: Final = re.compile(r"^Datapath actions: (.*)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """Tables of one bridge, in the order in which the frame went through them."""

    bridge: str
    tables: tuple[int, ...]
    outputs: tuple[str, ...]
    """Numbers of the bridge's ports that it was sent to."""


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

    def outputs(self, bridge: str) -> tuple[str, ...]:
        """Numbers of all ports of a bridge that the frame was sent to."""
        return tuple(port for visit in self.visits if visit.bridge == bridge for port in visit.outputs)

    def hops(self, host: str, evidence: str) -> list[Hop]:
        """As steps of a packet's way; the bridge below the tunnels is not one."""
        return [
            Hop(
                host=host,
                place=visit.bridge,
                detail="tables " + " → ".join(map(str, visit.tables)),
                evidence=evidence,
            )
            for visit in self.visits
            if visit.bridge != UNDERLAY_BRIDGE
        ]


def read_trace(text: str) -> Trace:
    """What `ovs-appctl ofproto/trace` printed. A bridge that an output leads into (br-phy) is indented."""
    visits: list[tuple[str, list[int], list[str]]] = []
    nested: list[tuple[int, int]] = []  # indentation of a bridge's heading, and which visit it is
    for line in text.splitlines():
        words = line.lstrip()
        indent = len(line) - len(words)
        if found := _BRIDGE.match(words):
            nested = [outer for outer in nested if outer[0] < indent] + [(indent, len(visits))]
            visits.append((found[1], [], []))
        elif nested and (table := _TABLE.match(words)):
            visits[nested[-1][1]][1].append(int(table[1]))
        elif words and len(nested) > 1 and indent <= nested[-1][0] and not words.startswith("---"):
            nested.pop()
        if nested and (output := _OUTPUT.match(words)):
            visits[nested[-1][1]][2].append(output[1])
    actions = _DATAPATH.search(text)
    return Trace(
        text=text,
        visits=tuple(
            Visit(bridge=bridge, tables=tuple(tables), outputs=tuple(outputs)) for bridge, tables, outputs in visits
        ),
        datapath_actions=actions[1] if actions else "",
    )
