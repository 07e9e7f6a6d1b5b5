"""`table=20 and dl_dst=fa:16:3e:00:00:22 and n_packets>0` -> a test of flows.

Terms are joined by `and`, `or`, `not`, in capitals or not, and brackets. A term is a comparison, `name op value`, with
`=`, `!=`, `<`, `<=`, `>`, `>=` or, for "contains", `~`; names are the flow's own properties, match fields, `match`,
`actions`. A word alone is a protocol (`arp`, `tcp`) or an action (`drop`, `learn`, `output`).
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Final, NamedTuple, TypeAlias

from warren.core.errors import Invalid
from warren.inspect.decode import Decoder, Meaning
from warren.inspect.parse.dump import Flow
from warren.inspect.parse.fields import BY_NAME
from warren.inspect.parse.match import PROTOCOLS, Match
from warren.inspect.parse.problem import Unreadable
from warren.inspect.parse.read_actions import ACTION_NAMES
from warren.inspect.parse.text import printable
from warren.inspect.parse.values import PORTS

Test: TypeAlias = Callable[[Flow, Decoder], bool]

_TOKEN: Final = re.compile(r"\s*(?:([()])|(!=|<=|>=|==|=|<|>|~)|\"([^\"]*)\"|([^\s()=<>!~\"]+))")
_COMPARE: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NUMBERS: Final[Mapping[str, Callable[[Flow], float | None]]] = {
    "table": lambda flow: flow.table if isinstance(flow.table, int) else None,
    "priority": lambda flow: flow.priority,
    "cookie": lambda flow: flow.cookie,
    "n_packets": lambda flow: flow.n_packets,
    "n_bytes": lambda flow: flow.n_bytes,
    "duration": lambda flow: flow.duration_s,
    "idle_timeout": lambda flow: flow.idle_timeout_s,
    "hard_timeout": lambda flow: flow.hard_timeout_s,
    "idle_age": lambda flow: flow.idle_age_s,
    "hard_age": lambda flow: flow.hard_age_s,
    "importance": lambda flow: flow.importance,
    "remaining": lambda flow: flow.remaining_s,
}
_TEXTS: Final[Mapping[str, Callable[[Flow], str]]] = {
    "match": lambda flow: flow.match_text,
    "actions": lambda flow: flow.actions_text,
    "flags": lambda flow: flow.flags,
}


def read_filter(text: str) -> Test:
    """The test that a filter stands for; the empty filter takes every flow.

    Raises:
        Invalid: it is none; the message names the place.
    """
    tokens = _tokens(text)
    if len(tokens) == 1:
        return lambda _flow, _decoder: True
    test, rest = _either(tokens)
    if rest[0].kind != "end":
        raise _invalid(f"{rest[0]} is one word too many; comparisons are joined by and, or, not", rest[0])
    return test


def strange_words(text: str) -> list[str]:
    """Words alone in a filter that are no protocol, action or reserved port: hardly meant as they are taken."""
    tokens = _tokens(text)
    alone = [
        word
        for before, word, after in zip([None, *tokens], tokens, tokens[1:], strict=False)
        if word.kind == "word" and after.kind != "op" and (before is None or before.kind != "op")
    ]
    known = {*PROTOCOLS, *ACTION_NAMES, *PORTS}
    return [word.text for word in alone if word.text not in known and word.text.lower() not in _KEYWORDS]


class _Token(NamedTuple):
    """A word, a quoted text, a sign or a bracket, and where it begins; last of all, `end`."""

    kind: str
    text: str
    at: int

    def __str__(self) -> str:
        return f"'{printable(self.text, 40)}'"

    def says(self, keyword: str) -> bool:
        """Whether it is `and`, `or` or `not`, however it is written."""
        return self.kind == "word" and self.text.lower() == keyword


_Tokens: TypeAlias = list[_Token]
_MAX_TOKENS: Final = 400
"""A hundred comparisons; each level of brackets is one of Python's as well."""
_KEYWORDS: Final = frozenset({"and", "or", "not"})


def _invalid(message: str, where: _Token) -> Invalid:
    return Invalid(
        "BadFilter",
        f"in the filter, at character {where.at + 1}: {message}; write for example: table=20 and n_packets>0",
    )


def _tokens(text: str) -> _Tokens:
    found: _Tokens = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            rest = text[position:].strip()
            raise _invalid(f"'{printable(rest, 20)}' is not understood", _Token("", rest, text.index(rest, position)))
        bracket, op, quoted, word = match.groups()
        kind = "bracket" if bracket else "op" if op else "quoted" if word is None else "word"
        at = match.start() + len(match[0]) - len(match[0].lstrip())
        found.append(_Token(kind, "=" if op == "==" else bracket or op or word or quoted or "", at))
        position = match.end()
    if len(found) > _MAX_TOKENS:
        raise _invalid(f"there are more than {_MAX_TOKENS} words and signs", found[_MAX_TOKENS])
    return [*found, _Token("end", "", len(text.rstrip()))]


def _either(tokens: _Tokens) -> tuple[Test, _Tokens]:
    left, rest = _all(tokens)
    while rest[0].says("or"):
        right, rest = _all(rest[1:])
        left = _or(left, right)
    return left, rest


def _all(tokens: _Tokens) -> tuple[Test, _Tokens]:
    left, rest = _term(tokens)
    while rest[0].says("and"):
        right, rest = _term(rest[1:])
        left = _and(left, right)
    return left, rest


def _or(left: Test, right: Test) -> Test:
    return lambda flow, decoder: left(flow, decoder) or right(flow, decoder)


def _and(left: Test, right: Test) -> Test:
    return lambda flow, decoder: left(flow, decoder) and right(flow, decoder)


def _term(tokens: _Tokens) -> tuple[Test, _Tokens]:
    first = tokens[0]
    if first.kind == "end":
        raise _invalid("something is missing at its end", first)
    if first.says("not"):
        inner, rest = _term(tokens[1:])
        return (lambda flow, decoder: not inner(flow, decoder)), rest
    if (first.kind, first.text) == ("bracket", "("):
        inner, rest = _either(tokens[1:])
        if (rest[0].kind, rest[0].text) != ("bracket", ")"):
            raise _invalid(f"the bracket of character {first.at + 1} is not closed", rest[0])
        return inner, rest[1:]
    if first.kind != "word" or first.text.lower() in _KEYWORDS:
        raise _invalid(f"{first} stands where a name should", first)
    if tokens[1].kind != "op":
        return _word(first), tokens[1:]
    if tokens[2].kind not in ("word", "quoted"):
        raise _invalid(f"a value is missing after '{first.text}{tokens[1].text}'", tokens[2])
    return _comparison(first, tokens[1].text, tokens[2]), tokens[3:]


def _comparison(name: _Token, op: str, value: _Token) -> Test:
    if name.text in _NUMBERS and op in _COMPARE:
        return _number(_NUMBERS[name.text], _COMPARE[op], _value(name, value))
    if name.text in _TEXTS and op in ("~", "=", "!="):
        text_of = _TEXTS[name.text]
        if op == "~":
            return lambda flow, _decoder: value.text in text_of(flow)
        return lambda flow, _decoder: (text_of(flow) == value.text) is (op == "=")
    if name.text in BY_NAME and op in ("=", "!="):
        return _field(f"{name.text}={value.text}", value, is_wanted=op == "=")
    if name.text in BY_NAME or name.text in _NUMBERS or name.text in _TEXTS:
        raise _invalid(f"{name} cannot be compared by '{op}'", name)
    raise _invalid(f"nothing is called {name}", name)


def _number(of: Callable[[Flow], float | None], compare: Callable[[float, float], bool], wanted: float) -> Test:
    """A flow without the number (a dump without statistics) is never taken."""

    def test(flow: Flow, _decoder: Decoder) -> bool:
        value = of(flow)
        return value is not None and compare(value, wanted)

    return test


def _value(name: _Token, value: _Token) -> float:
    try:
        return int(value.text, 16) if value.text.startswith("0x") else float(value.text)
    except ValueError:
        raise _invalid(f"{name.text} is a number, not {value}", value) from None


def _field(text: str, place: _Token, *, is_wanted: bool) -> Test:
    """Flows that look at these bits and want this value of them."""

    def test(flow: Flow, decoder: Decoder) -> bool:
        try:
            wanted = decoder.match(text)
        except Unreadable as error:
            raise _invalid(error.message, place) from None
        meaning = decoder.meaning(flow)
        return isinstance(meaning, Meaning) and _covers(meaning.match, wanted) is is_wanted

    return test


def _covers(match: Match, wanted: Match) -> bool:
    return all(
        (term := match.get(want.cell)) is not None
        and term.mask & want.mask == want.mask & term.cell.mask
        and term.value & want.mask == want.value
        and term.port == want.port
        for want in wanted
    )


def _word(word: _Token) -> Test:
    if word.text in PROTOCOLS:
        ethertype, protocol = PROTOCOLS[word.text]
        text = f"dl_type={ethertype:#x}" + ("" if protocol is None else f",nw_proto={protocol}")
        return _field(text, word, is_wanted=True)
    pattern = re.compile(rf"(?:^|[,(]){re.escape(word.text)}\b")
    return lambda flow, _decoder: pattern.search(flow.actions_text) is not None
