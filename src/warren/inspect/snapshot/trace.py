"""`ovs-appctl ofproto/trace` text -> which tables and flows a packet met and what the datapath would do."""

import re
from dataclasses import dataclass, replace
from typing import Final

from warren.inspect.snapshot.text import Page

_RULE: Final = re.compile(r"([0-9]{1,3})\. (?:(.*), )?priority ([0-9]{1,10})(?:, cookie (0x[0-9a-f]+))?$")
_MISS: Final = re.compile(r"([0-9]{1,3})\. No match\.")
_BRIDGE: Final = re.compile(r'bridge\("([^"]*)"\)')


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
    """The whole answer of ofproto/trace; of several passes through the datapath, `datapath_actions` are the last's."""

    lookups: tuple[TracedLookup, ...]
    datapath_actions: str = ""


@dataclass(slots=True)
class _Block:
    """What is printed below a bridge's heading: how far that is indented, and the lookup whose actions follow."""

    indent: int
    bridge: str = ""
    lookup: int = -1


def read_trace(page: Page) -> SwitchTrace:
    """The output of ofproto/trace (ovs-vswitchd(8)), of one packet.

    A bridge that an output leads into, as that below native tunnels, is indented; then the one before it goes on.
    """
    lookups: list[TracedLookup] = []
    blocks = [_Block(-1)]
    datapath_actions = ""
    for _, line in page.lines():
        words = line.strip()
        indent = line.index(words[0])
        if found := _BRIDGE.match(words):
            blocks = [*(outer for outer in blocks if outer.indent < indent), _Block(indent, found[1])]
            continue
        if words.startswith(("-", ">")):
            continue
        while indent <= blocks[-1].indent and blocks[-1].indent > 0:
            blocks.pop()
        block = blocks[-1]
        if lookup := _lookup(words, block.bridge):
            block.lookup = len(lookups)
            lookups.append(lookup)
        elif words.startswith("Datapath actions:"):
            datapath_actions = words.partition(":")[2].strip()
        elif indent and block.lookup >= 0:
            last = lookups[block.lookup]
            lookups[block.lookup] = replace(last, actions=(*last.actions, words))
    if not lookups and not datapath_actions:
        page.complain(1, 1, "this is not the output of ofproto/trace")
    return SwitchTrace(lookups=tuple(lookups), datapath_actions=datapath_actions)


def _lookup(words: str, bridge: str) -> TracedLookup | None:
    if _MISS.match(words):
        return TracedLookup(bridge=bridge, table=int(words.partition(".")[0]), priority=None)
    found = _RULE.match(words)
    if found is None:
        return None
    table, match, priority, cookie = found.groups()
    return TracedLookup(
        bridge=bridge, table=int(table), priority=int(priority), match=match or "", cookie=int(cookie or "0", 0)
    )
