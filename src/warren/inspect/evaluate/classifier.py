"""Which flow of a table a packet meets: a search over sets of masks, not over flows.

All flows of a table with the same masks are one hash table (tuple space search, as in Open vSwitch's lib/classifier.c),
so that a lookup costs as many steps as there are different sets of masks, however many flows. Conjunctive matches as
in ovs-fields(7), "conj_id".
"""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Final, TypeAlias

from warren.inspect.evaluate.packet import Values
from warren.inspect.parse import fields as f
from warren.inspect.parse.actions import Action, Conjunction
from warren.inspect.parse.dump import Flow
from warren.inspect.parse.match import VLAN_PRESENT, Match

_CONJ_ID: Final = f.CONJ_ID.order
Mask: TypeAlias = tuple[tuple[int, int], ...]
"""(place in a packet, mask) of each cell that is looked at."""


@dataclass(frozen=True, slots=True, eq=False)
class Rule:
    """A flow, decoded."""

    flow: Flow
    match: Match
    actions: tuple[Action, ...]

    @property
    def conjunctions(self) -> tuple[Conjunction, ...]:
        return tuple(action for action in self.actions if isinstance(action, Conjunction))

    @property
    def matches_tag(self) -> bool:
        """It takes tagged frames only."""
        tag = self.match.get(f.VLAN_TCI)
        return tag is not None and bool(tag.value & VLAN_PRESENT)


@dataclass(slots=True)
class Subtable:
    """All flows of a table that look at the same bits."""

    key: Callable[[Values], Hashable]
    """The packet's bits under the masks."""
    rules: dict[Hashable, list[Rule]] = field(default_factory=dict)
    """What the packet's bits must be -> its flows, highest priority first."""
    max_priority: int = -1

    def add(self, rule: Rule) -> None:
        """Take a flow in; one with the same priority and match is replaced."""
        key = tuple(term.value for term in rule.match)
        others = [each for each in self.rules.get(key, ()) if each.flow.priority != rule.flow.priority]
        self.rules[key] = sorted((*others, rule), key=lambda each: -each.flow.priority)
        self.max_priority = max(self.max_priority, rule.flow.priority)


def _key(match: Match) -> Callable[[Values], Hashable]:
    """How to take the bits that a match looks at out of a packet, as a tuple."""
    places = [term.cell.order for term in match]
    if len(places) > 1 and all(term.is_exact for term in match):
        return itemgetter(*places)
    masks = [(term.cell.order, term.mask) for term in match]
    return lambda values: tuple([values[place] & mask for place, mask in masks])


@dataclass(slots=True)
class Table:
    """The flows of one table."""

    subtables: list[Subtable] = field(default_factory=list)
    """Those with the highest priorities first."""
    conjunctive: bool = False
    """Some flow is one dimension of a conjunctive match."""
    unread: tuple[int, ...] = ()
    """Priorities of flows that could not be read."""
    _by_mask: dict[Mask, Subtable] = field(default_factory=dict)

    def add(self, rules: Iterable[Rule]) -> None:
        """Take flows in; one with the same priority and match is replaced."""
        for rule in rules:
            mask = tuple((term.cell.order, term.mask) for term in rule.match)
            subtable = self._by_mask.get(mask)
            if subtable is None:
                subtable = self._by_mask[mask] = Subtable(_key(rule.match))
            subtable.add(rule)
            self.conjunctive = self.conjunctive or bool(rule.conjunctions)
        self.subtables = sorted(self._by_mask.values(), key=lambda subtable: -subtable.max_priority)

    def lookup(self, values: Values) -> Rule | None:
        """The flow that the packet meets; `None` for a miss."""
        return self._conjunctive_lookup(values) if self.conjunctive else self._lookup(values)

    def _lookup(self, values: Values) -> Rule | None:
        best: Rule | None = None
        priority = -1
        for subtable in self.subtables:
            if priority >= subtable.max_priority:
                break
            found = subtable.rules.get(subtable.key(values))
            if found is not None and found[0].flow.priority > priority:
                best = found[0]
                priority = best.flow.priority
        return best

    def _conjunctive_lookup(self, values: Values) -> Rule | None:
        """As classifier_lookup__ of lib/classifier.c: a complete set of dimensions looks up again with its conj_id."""
        hard: Rule | None = None
        soft: dict[int, list[Rule]] = defaultdict(list)
        for rule in self._matching(values):
            if rule.conjunctions:
                soft[rule.flow.priority].append(rule)
            elif hard is None or rule.flow.priority > hard.flow.priority:
                hard = rule
        floor = hard.flow.priority if hard is not None else -1
        for priority in sorted((each for each in soft if each > floor), reverse=True):
            for conj_id in _complete(soft[priority]):
                found = self._with_conj_id(values, conj_id)
                if found is not None:
                    return found
        return hard

    def _with_conj_id(self, values: Values, conj_id: int) -> Rule | None:
        kept, values[_CONJ_ID] = values[_CONJ_ID], conj_id
        hard = [rule for rule in self._matching(values) if not rule.conjunctions]
        values[_CONJ_ID] = kept
        return max(hard, key=lambda rule: rule.flow.priority, default=None)

    def _matching(self, values: Values) -> Iterator[Rule]:
        for subtable in self.subtables:
            yield from subtable.rules.get(subtable.key(values), ())


def _complete(rules: Iterable[Rule]) -> Iterator[int]:
    """The ids of which every dimension is met."""
    met: dict[int, set[int]] = defaultdict(set)
    for rule in rules:
        for conjunction in rule.conjunctions:
            met[conjunction.id].add(conjunction.clause)
            if len(met[conjunction.id]) == conjunction.n_clauses:
                yield conjunction.id
