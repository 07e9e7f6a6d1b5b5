"""`ovs-appctl ofproto/trace` text -> which tables and flows a packet met and what the datapath would do."""

import re
from dataclasses import dataclass
from typing import Final

from warren.inspect.snapshot.text import Page

_RULE: Final = re.compile(r"^\s*([0-9]{1,3})\. (?:(.*), )?priority ([0-9]{1,10})(?:, cookie (0x[0-9a-f]+))?$")
_MISS: Final = re.compile(r"^\s*([0-9]{1,3})\. No match\.")
_BRIDGE: Final = re.compile(r'^\s*bridge\("([^"]*)"\)')


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedLookup:
    """A table visited; `priority` is None for a miss. Actions are as printed below the rule."""

    bridge: str
    table: int
    priority: int | None
    match: str = ""
    cookie: int = 0
    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchTrace:
    """The whole answer of ofproto/trace."""

    lookups: tuple[TracedLookup, ...]
    datapath_actions: str = ""


def read_trace(page: Page) -> SwitchTrace:
    """The output of ofproto/trace (ovs-vswitchd(8)), of one packet."""
    lookups: list[TracedLookup] = []
    bridge, datapath_actions = "", ""
    for _, line in page.lines():
        if found := _BRIDGE.match(line):
            bridge = found.group(1)
        elif found := _RULE.match(line):
            table, match, priority, cookie = found.groups()
            lookups.append(
                TracedLookup(
                    bridge=bridge,
                    table=int(table),
                    priority=int(priority),
                    match=match or "",
                    cookie=int(cookie or "0", 0),
                )
            )
        elif found := _MISS.match(line):
            lookups.append(TracedLookup(bridge=bridge, table=int(found.group(1)), priority=None))
        elif line.startswith("Datapath actions:"):
            datapath_actions = line.partition(":")[2].strip()
        elif line.startswith(" ") and lookups and not line.lstrip().startswith(("-", ">")):
            last = lookups[-1]
            lookups[-1] = TracedLookup(
                bridge=last.bridge,
                table=last.table,
                priority=last.priority,
                match=last.match,
                cookie=last.cookie,
                actions=(*last.actions, line.strip()),
            )
    if not lookups and not datapath_actions:
        page.complain(1, 1, "this is not the output of ofproto/trace")
    return SwitchTrace(lookups=tuple(lookups), datapath_actions=datapath_actions)
