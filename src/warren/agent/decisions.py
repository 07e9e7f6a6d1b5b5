"""What the log says of a change: one line, what was there, what should be, and why.

A repair (the host had been right, and nobody asked for another thing) is a warning: somebody else touched it. What
follows from a new desired state is only worth a line when one looks closely.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

import structlog

from warren.agent.loop import Pass
from warren.core.errors import Impossible
from warren.reconcile.plan import Plan

K = TypeVar("K")
V = TypeVar("V")

REPAIRS_SAID: Final = 20
"""Of one plan; after a restart of the switch there are thousands, and one line says how many."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording(Generic[K, V]):
    """How one kind of thing is spoken of."""

    event: str
    where: Callable[[K, V], Mapping[str, object]]
    text: Callable[[V], str]
    because: Callable[[V], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change(Generic[K, V]):
    """One entry of a plan; `had` or `want` is None where there was, or should be, nothing."""

    key: K
    had: V | None
    want: V | None


def changes_of(planned: Plan[K, V]) -> Iterator[Change[K, V]]:
    """The entries of a plan, one by one."""
    for key, value in planned.remove.items():
        yield Change(key=key, had=value, want=None)
    for key, (had, want) in planned.change.items():
        yield Change(key=key, had=had, want=want)
    for key, value in planned.add.items():
        yield Change(key=key, had=None, want=value)


def say(planned: Plan[K, V], wording: Wording[K, V], known: Mapping[K, V] | None, now: Pass) -> None:
    """Log the changes of a plan.

    `known` is what was desired and read back before (None: this process has not seen the host right yet).
    """
    planned_event, change_event, repair_event = (f"{wording.event}.{verb}" for verb in ("plan", "change", "repair"))
    repairs = 0
    for change in changes_of(planned):
        if now.is_dry:
            log.info(planned_event, **_line(change, wording, now))
        elif known is None or known.get(change.key) != change.want:
            if log.is_enabled_for(logging.DEBUG):
                log.debug(change_event, **_line(change, wording, now))
        else:
            repairs += 1
            if repairs <= REPAIRS_SAID:
                log.warning(repair_event, **_line(change, wording, now))
    if repairs > REPAIRS_SAID:
        log.warning("repairs.total", event_of_each=repair_event, count=repairs, said=REPAIRS_SAID)


def _line(change: Change[K, V], wording: Wording[K, V], now: Pass) -> dict[str, object]:
    value = change.had if change.want is None else change.want
    if value is None:
        raise Impossible("a change has neither a before nor an after")
    because = wording.because(value) if change.want is not None else "nothing asks for it"
    had, want = ("nothing" if each is None else wording.text(each) for each in (change.had, change.want))
    if had == want:  # they differ in what is not worth a word usually, a flow's cookie for instance
        had, want = str(change.had), str(change.want)
    return {
        **wording.where(change.key, value),
        "had": had,
        "want": want,
        "because": because,
        "revision": now.state.revision,
    }
