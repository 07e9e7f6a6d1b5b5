"""What ovs-vswitchd says that it would do with a frame: `ofproto/trace` of a private switch, as a value."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

_BRIDGE: Final = re.compile(r'bridge\("([^"]+)"\)')
_LOOKUP: Final = re.compile(r"\s*(\d+)\. (.*)")
_MISS: Final = re.compile(r"No match\.|priority 0(,|$)")
_SEGMENT: Final = re.compile(r"\s*load:(0x[0-9a-f]+|0)->NXM_NX_TUN_ID\[\]")
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
    hits: set[tuple[str, int]] = set()
    misses: set[tuple[str, int]] = set()
    segmentation_ids: set[int] = set()
    bridge = ""
    for line in text.splitlines():
        if found := _BRIDGE.match(line):
            bridge = found[1]
        elif found := _LOOKUP.match(line):
            (misses if _MISS.match(found[2]) else hits).add((bridge, int(found[1])))
        elif found := _SEGMENT.match(line):
            segmentation_ids.add(int(found[1], 16))
    return Trace(
        hits=frozenset(hits),
        misses=frozenset(misses),
        delivered=frozenset(_delivered(_actions(text), datapath_ports)),
        segmentation_ids=frozenset(segmentation_ids),
    )


def _actions(text: str) -> str:
    return text.rpartition("Datapath actions: ")[2].partition("\n")[0].strip()


def _delivered(actions: str, names: Mapping[int, str]) -> Iterator[tuple[str, int | None]]:
    tag: int | None = None
    for action in _BETWEEN_ACTIONS.split(actions):
        if found := _TAG.match(action):
            tag = int(found[1])
        elif action == "pop_vlan":
            tag = None
        elif action.isdigit():
            yield names[int(action)], tag
