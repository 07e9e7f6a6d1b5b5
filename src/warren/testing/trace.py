"""What ovs-vswitchd says that it would do with a frame: `ofproto/trace` of a private switch, as a value."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from warren.inspect.snapshot.text import Page
from warren.inspect.snapshot.trace import read_trace

_SEGMENT: Final = re.compile(r"load:(0x[0-9a-f]+|0)->NXM_NX_TUN_ID\[\]")
_TAG: Final = re.compile(r"push_vlan\(vid=(\d+)")
_BETWEEN_ACTIONS: Final = re.compile(r",(?![^(]*\))")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """A frame's way through the bridges."""

    hits: frozenset[tuple[str, int]]
    """(bridge, table) in which a flow matched."""
    misses: frozenset[tuple[str, int]]
    """(bridge, table) in which none did but the declared miss."""
    delivered: frozenset[tuple[str, int | None]]
    """(interface, 802.1Q tag or None) by which copies leave the switch; tunnel ports are interfaces too."""
    segmentation_ids: frozenset[int]
    """What the frame was marked with for tunnels."""

    @property
    def interfaces(self) -> frozenset[str]:
        return frozenset(name for name, _ in self.delivered)


def parse_trace(text: str, datapath_ports: Mapping[int, str]) -> Trace:
    """The output of `ofproto/trace`; `datapath_ports` names the numbers in its last line."""
    found = read_trace(Page(file="ofproto/trace", text=text))
    misses = [lookup for lookup in found.lookups if not (lookup.priority or lookup.match)]
    marks = [_SEGMENT.match(action) for lookup in found.lookups for action in lookup.actions]
    return Trace(
        hits=frozenset((lookup.bridge, lookup.table) for lookup in found.lookups if lookup not in misses),
        misses=frozenset((lookup.bridge, lookup.table) for lookup in misses),
        delivered=frozenset(_delivered(found.datapath_actions, datapath_ports)),
        segmentation_ids=frozenset(int(mark[1], 16) for mark in marks if mark),
    )


def _delivered(actions: str, names: Mapping[int, str]) -> Iterator[tuple[str, int | None]]:
    tag: int | None = None
    for action in _BETWEEN_ACTIONS.split(actions):
        if found := _TAG.match(action):
            tag = int(found[1])
        elif action == "pop_vlan":
            tag = None
        elif action.isdigit():
            yield names[int(action)], tag
