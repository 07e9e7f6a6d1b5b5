"""Two dumps compared by what their flows mean: spelling, OpenFlow version and counters are no difference."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from warren.inspect.decode import Decoder, Meaning
from warren.inspect.normal import normal_actions
from warren.inspect.parse.actions import Action, Learn
from warren.inspect.parse.dump import Flow, TableId
from warren.inspect.parse.match import Match
from warren.reconcile.plan import plan

Key: TypeAlias = tuple[TableId, int, Match | str]
"""Table, priority and match: what makes a flow the same flow to a switch. The match is text where it cannot be read."""


@dataclass(frozen=True, slots=True)
class Side:
    """One of two dumps, and how its names are read."""

    flows: Iterable[Flow]
    decoder: Decoder


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Flows of one dump and of a later or other one; pairs are (before, after). All in the order of tables."""

    same: tuple[tuple[Flow, Flow], ...]
    added: tuple[Flow, ...]
    removed: tuple[Flow, ...]
    changed: tuple[tuple[Flow, Flow], ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Compared:
    """What of a flow is compared; the flow itself comes along."""

    actions: tuple[Action, ...] | str
    timeouts_s: tuple[int, int]
    flags: str
    cookie: int


def difference(before: Side, after: Side, *, with_cookies: bool = False) -> Difference:
    """Compare two sets of flows.

    Neutron draws new cookies at each start of its agent, and learn() hands them on: `with_cookies` compares them.
    """
    old = {_key(flow, before.decoder): flow for flow in before.flows}
    new = {_key(flow, after.decoder): flow for flow in after.flows}
    found = plan(
        {key: _compared(flow, after.decoder, with_cookies=with_cookies) for key, flow in new.items()},
        {key: _compared(flow, before.decoder, with_cookies=with_cookies) for key, flow in old.items()},
    )
    in_both = [(old[key], flow, key) for key, flow in new.items() if key in old]
    return Difference(
        same=_pairs((was, now) for was, now, key in in_both if key not in found.change),
        added=tuple(sorted((new[key] for key in found.add), key=table_order)),
        removed=tuple(sorted((old[key] for key in found.remove), key=table_order)),
        changed=_pairs((was, now) for was, now, key in in_both if key in found.change),
    )


def table_order(flow: Flow) -> tuple[bool, TableId, int, str]:
    """Tables by number, those with names only last; in a table the highest priority first, as they are looked up."""
    return isinstance(flow.table, str), flow.table, -flow.priority, flow.match_text


def _pairs(pairs: Iterable[tuple[Flow, Flow]]) -> tuple[tuple[Flow, Flow], ...]:
    return tuple(sorted(pairs, key=lambda pair: table_order(pair[1])))


def _key(flow: Flow, decoder: Decoder) -> Key:
    meaning = decoder.meaning(flow)
    return flow.table, flow.priority, meaning.match if isinstance(meaning, Meaning) else flow.match_text


def _compared(flow: Flow, decoder: Decoder, *, with_cookies: bool) -> _Compared:
    meaning = decoder.meaning(flow)
    actions = normal_actions(meaning.actions) if isinstance(meaning, Meaning) else flow.actions_text
    if not with_cookies and not isinstance(actions, str):
        actions = tuple(replace(action, cookie=0) if isinstance(action, Learn) else action for action in actions)
    return _Compared(
        actions=actions,
        timeouts_s=(flow.idle_timeout_s, flow.hard_timeout_s),
        flags=flow.flags.replace("reset_counts", "").strip(),
        cookie=flow.cookie if with_cookies else 0,
    )
