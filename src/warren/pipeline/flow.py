"""A flow as a value, in the spelling of a plain `ovs-ofctl dump-flows` (OpenFlow 1.0 with NXM).

`flow()` is the only way that the renderers make one: it refuses what the table's declaration does not allow.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from warren.core.errors import Impossible
from warren.pipeline.cookies import Concern, encode
from warren.pipeline.table import Table

_GROUP_BIT: Final = "01:00:00:00:00:00"
TO_MANY: Final = f"dl_dst={_GROUP_BIT}/{_GROUP_BIT}"
"""Match of broadcast and multicast."""
TO_ONE: Final = f"dl_dst=00:00:00:00:00:00/{_GROUP_BIT}"
"""Match of unicast."""


class FlowKey(NamedTuple):
    """What makes a flow the same flow, to us as to the switch."""

    table: int
    priority: int
    match: str
    """Comma-separated as printed, without `priority=`; empty for a miss."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """One flow, desired or installed. Two are equal when the switch would treat a frame alike.

    `options` is what a dump prints of timeouts and flags (`hard_timeout=300`, `send_flow_rem`); ours have none.
    `owner` is the key of the HostState object that asked for the flow, `reason` one sentence; both are unknown to the
    switch, so an installed flow has neither.
    """

    table: int
    priority: int
    match: str
    actions: str
    cookie: int
    options: str = ""
    owner: str = field(default="", compare=False)
    reason: str = field(default="", compare=False)

    @property
    def key(self) -> FlowKey:
        return FlowKey(self.table, self.priority, self.match)

    def __str__(self) -> str:
        match = f",{self.match}" if self.match else ""
        options = f"{self.options}, " if self.options else ""
        return (
            f"cookie={self.cookie:#x}, table={self.table}, {options}priority={self.priority}{match} "
            f"actions={self.actions}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Why:
    """Who asks for a flow, and why: its cookie, its owner's key in the HostState and a sentence."""

    concern: Concern
    obj: str = ""
    """The object's UUID or address, for the cookie."""
    owner: str = ""
    reason: str


def flow(table: Table, priority: int, match: str, actions: str, why: Why) -> Flow:
    """A flow that the table's declaration allows.

    Raises:
        Impossible: it matches a field, or goes to a table, that the declaration does not name.
    """
    for name in field_names(match):
        if name not in table.matches:
            raise Impossible(f"table {table.id} ({table.name}) does not declare the match field {name}: {match}")
    for target in targets(actions):
        if target not in table.goes_to:
            raise Impossible(f"table {table.id} ({table.name}) does not declare that it goes to {target}: {actions}")
    return Flow(
        table=table.id,
        priority=priority,
        match=match,
        actions=actions,
        cookie=encode(why.concern, why.obj),
        owner=why.owner,
        reason=why.reason,
    )


def miss(table: Table) -> Iterator[Flow]:
    """The flow for frames that nothing else in the table matches, where one is declared."""
    if table.miss is not None:
        yield flow(table, 0, "", table.miss, Why(concern=Concern.FRAME, reason=f"nothing in {table.name} matched"))


def field_names(match: str) -> Iterator[str]:
    """The names of the fields and protocols that a match text mentions."""
    return (part.partition("=")[0] for part in match.split(",") if part)


_TARGET: Final = re.compile(r"resubmit\(,(\d+)\)|learn\(table=(\d+)")


def targets(actions: str) -> Iterator[int]:
    """The tables that an action text sends frames to, or writes into by learn()."""
    return (int(found[1] or found[2]) for found in _TARGET.finditer(actions))


def number(value: int) -> str:
    """A number as OVS prints it in matches and loads: hexadecimal, but a plain 0."""
    return f"{value:#x}" if value else "0"
