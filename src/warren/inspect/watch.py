"""What happened to a bridge's flows between two looks at it: written, refreshed, changed, expired, removed."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from warren.inspect.diff import Side, difference
from warren.inspect.parse.dump import Flow


class Happening(str, Enum):
    """What can happen to a flow."""

    WRITTEN = "written"
    REFRESHED = "refreshed"
    CHANGED = "changed"
    EXPIRED = "expired"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that happened to one flow; for what is gone, the flow as it was last seen."""

    happening: Happening
    flow: Flow


_SLACK_S: Final = 1.5
"""Ages are printed in whole seconds, and a timeout is carried out up to a second late."""


def events(before: Side, after: Side, elapsed_s: float) -> Iterator[Event]:
    """Everything that two dumps, `elapsed_s` apart, tell; counters alone are nothing."""
    found = difference(before, after)
    yield from _all(Happening.WRITTEN, found.added)
    yield from _all(Happening.CHANGED, (now for _, now in found.changed))
    yield from _all(Happening.REFRESHED, (now for was, now in found.same if _is_refreshed(was, now)))
    for flow in found.removed:
        remaining = flow.remaining_s
        is_due = remaining is not None and remaining <= elapsed_s + _SLACK_S
        yield Event(happening=Happening.EXPIRED if is_due else Happening.REMOVED, flow=flow)


def _all(happening: Happening, flows: Iterable[Flow]) -> Iterator[Event]:
    return (Event(happening=happening, flow=flow) for flow in flows)


def _is_refreshed(was: Flow, now: Flow) -> bool:
    """Learned again: its timer started anew, which shows as an age less than before."""
    if not now.hard_timeout_s or now.hard_age_s is None:
        return False
    return was.hard_age_s is None or now.hard_age_s < was.hard_age_s
