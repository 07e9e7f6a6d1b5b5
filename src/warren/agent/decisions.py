"""What the log says of a change: one line, what was there, what should be, and why.

A repair (the host had been right, and nobody asked for another thing) is a warning: somebody else touched it. What
follows from a new desired state is only worth a line when one looks closely.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
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

LINES_SAID: Final = 10
"""Of those that only one of two texts has; the others are not said."""
ALL_BUT_THAT: Final = "all but that"
LETTERS_SAID: Final = 2000
"""Of each value: a flood list may have a thousand ports."""
LETTERS_BEFORE: Final = 100
"""So much of what two long values have in common is said before they part."""

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
    had, want = _what_differs(had, want)
    return {
        **wording.where(change.key, value),
        "had": had,
        "want": want,
        "because": because,
        "revision": now.state.revision,
    }


def _what_differs(had: str, want: str) -> tuple[str, str]:
    """Two values as far as a person needs them: of texts the lines that only one has, and not too much of either."""
    before, after = had.splitlines(), want.splitlines()
    if len(before) < 2 or len(after) < 2:
        return _bounded(had, want), _bounded(want, had)
    gone, new = _without(before, after), _without(after, before)
    if not gone and not new:  # the same lines in another order, and perhaps not to the same end
        return _bounded(had, want), _bounded(want, had)
    return _said(gone or [ALL_BUT_THAT]), _said(new or [ALL_BUT_THAT])


def _without(lines: Iterable[str], others: Iterable[str]) -> list[str]:
    return list((Counter(lines) - Counter(others)).elements())


def _said(lines: list[str]) -> str:
    more = [f"… and {len(lines) - LINES_SAID} lines more"] if len(lines) > LINES_SAID else []
    return _bounded("\n".join([*lines[:LINES_SAID], *more]), "")


def _bounded(text: str, other: str) -> str:
    """A text, or where it is long what is in it from just before it is another than `other`."""
    if len(text) <= LETTERS_SAID:
        return text
    parts_at = next((at for at, (mine, its) in enumerate(zip(text, other, strict=False)) if mine != its), 0)
    begin = max(0, parts_at - LETTERS_BEFORE)
    rest = len(text) - begin - LETTERS_SAID
    more = f"… and {rest} letters more" if rest > 0 else ""
    return f"{'…' if begin else ''}{text[begin : begin + LETTERS_SAID]}{more}"
