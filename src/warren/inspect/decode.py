"""A flow's texts -> its match and actions, each distinct text once: most flows of a dump share their actions."""

from dataclasses import dataclass, field

from warren.inspect.parse.actions import Action
from warren.inspect.parse.dump import Dump, Flow
from warren.inspect.parse.match import Match, Term, read_match
from warren.inspect.parse.problem import Problem, Unreadable
from warren.inspect.parse.read_actions import NO_NAMES, Names, read_actions


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a flow matches and does."""

    match: Match
    actions: tuple[Action, ...]


@dataclass(slots=True, kw_only=True)
class Decoder:
    """Reads flows of one bridge; `names` says what its ports and tables are called."""

    names: Names = NO_NAMES
    _matches: dict[str, Match] = field(default_factory=dict)
    _actions: dict[str, tuple[Action, ...]] = field(default_factory=dict)
    _terms: dict[str, tuple[Term, ...]] = field(default_factory=dict)
    _single: dict[str, Action] = field(default_factory=dict)

    def match(self, text: str) -> Match:
        """The match of a text.

        Raises:
            Unreadable: with the offset in `text`.
        """
        found = self._matches.get(text)
        if found is None:
            found = self._matches[text] = read_match(text, self.names.ports, self._terms)
        return found

    def actions(self, text: str) -> tuple[Action, ...]:
        """The actions of a text.

        Raises:
            Unreadable: with the offset in `text`.
        """
        found = self._actions.get(text)
        if found is None:
            found = self._actions[text] = read_actions(text, self.names, known=self._single)
        return found

    def meaning(self, flow: Flow, file: str = "-") -> Meaning | Problem:
        """Both of a flow, or the first place in it that cannot be read."""
        column = flow.match_column
        try:
            match = self.match(flow.match_text)
            column = flow.actions_column
            return Meaning(match, self.actions(flow.actions_text))
        except Unreadable as error:
            return Problem(file=file, line=flow.line, column=column + error.offset, message=error.message)

    def problems(self, dump: Dump) -> tuple[Problem, ...]:
        """Everything in a dump that cannot be read, in the order of its lines."""
        inside = (self.meaning(flow, dump.file) for flow in dump.flows)
        found = [*dump.problems, *(item for item in inside if isinstance(item, Problem))]
        return tuple(sorted(found, key=lambda problem: (problem.line, problem.column)))
