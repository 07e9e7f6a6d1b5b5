"""`table=20 and dl_dst=fa:16:3e:00:00:22 and n_packets>0` -> a test of flows.

Terms are joined by `and`, `or`, `not` and brackets. A term is a comparison, `name op value`, with `=`, `!=`, `<`, `<=`,
`>`, `>=` or, for "contains", `~`; names are the flow's own properties, match fields, `match`, `actions`. A word alone
is a protocol (`arp`, `tcp`) or an action (`drop`, `learn`, `output`).
"""

import operator
import re
from collections.abc import Callable, Mapping
from typing import Final, TypeAlias

from warren.core.errors import Invalid
from warren.inspect.decode import Decoder, Meaning
from warren.inspect.parse.dump import Flow
from warren.inspect.parse.fields import BY_NAME
from warren.inspect.parse.match import PROTOCOLS, Match
from warren.inspect.parse.problem import Unreadable
from warren.inspect.parse.text import printable

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
    if not tokens:
        return lambda _flow, _decoder: True
    test, rest = _either(tokens)
    if rest:
        raise _invalid(f"'{rest[0][1]}' is one word too many")
    return test


_Tokens: TypeAlias = list[tuple[str, str]]
"""(kind, text): `bracket`, `op` or `word`."""


_MAX_TOKENS: Final = 400
"""A hundred comparisons; each level of brackets is one of Python's as well."""


def _invalid(message: str) -> Invalid:
    return Invalid("BadFilter", f"in the filter, {message}; write for example: table=20 and n_packets>0")


def _tokens(text: str) -> _Tokens:
    found: _Tokens = []
    position = 0
    while text[position:].strip():
        match = _TOKEN.match(text, position)
        if match is None:
            raise _invalid(f"'{printable(text[position:].strip(), 20)}' is not understood")
        bracket, op, quoted, word = match.groups()
        kind = "bracket" if bracket else "op" if op else "word"
        found.append((kind, "=" if op == "==" else bracket or op or word or quoted or ""))
        position = match.end()
    if len(found) > _MAX_TOKENS:
        raise _invalid(f"there are more than {_MAX_TOKENS} words and signs")
    return found


def _either(tokens: _Tokens) -> tuple[Test, _Tokens]:
    left, rest = _all(tokens)
    while rest and rest[0] == ("word", "or"):
        right, rest = _all(rest[1:])
        left = _or(left, right)
    return left, rest


def _all(tokens: _Tokens) -> tuple[Test, _Tokens]:
    left, rest = _term(tokens)
    while rest and rest[0] == ("word", "and"):
        right, rest = _term(rest[1:])
        left = _and(left, right)
    return left, rest


def _or(left: Test, right: Test) -> Test:
    return lambda flow, decoder: left(flow, decoder) or right(flow, decoder)


def _and(left: Test, right: Test) -> Test:
    return lambda flow, decoder: left(flow, decoder) and right(flow, decoder)


def _term(tokens: _Tokens) -> tuple[Test, _Tokens]:
    if not tokens:
        raise _invalid("something is missing at its end")
    kind, text = tokens[0]
    if (kind, text) == ("word", "not"):
        inner, rest = _term(tokens[1:])
        return (lambda flow, decoder: not inner(flow, decoder)), rest
    if (kind, text) == ("bracket", "("):
        inner, rest = _either(tokens[1:])
        if not rest or rest[0] != ("bracket", ")"):
            raise _invalid("a bracket is not closed")
        return inner, rest[1:]
    if kind != "word" or text in {"and", "or"}:
        raise _invalid(f"'{text}' stands where a name should")
    if len(tokens) > 1 and tokens[1][0] == "op":
        if len(tokens) < 3 or tokens[2][0] != "word":
            raise _invalid(f"a value is missing after '{text}{tokens[1][1]}'")
        return _comparison(text, tokens[1][1], tokens[2][1]), tokens[3:]
    return _word(text), tokens[1:]


def _comparison(name: str, op: str, value: str) -> Test:
    if name in _NUMBERS and op in _COMPARE:
        return _number(_NUMBERS[name], _COMPARE[op], _value(name, value))
    if name in _TEXTS and op in ("~", "=", "!="):
        text_of = _TEXTS[name]
        if op == "~":
            return lambda flow, _decoder: value in text_of(flow)
        return lambda flow, _decoder: (text_of(flow) == value) is (op == "=")
    if name in BY_NAME and op in ("=", "!="):
        return _field(f"{name}={value}", is_wanted=op == "=")
    if name in BY_NAME or name in _NUMBERS or name in _TEXTS:
        raise _invalid(f"'{name}' cannot be compared by '{op}'")
    raise _invalid(f"nothing is called '{printable(name, 40)}'")


def _number(of: Callable[[Flow], float | None], compare: Callable[[float, float], bool], wanted: float) -> Test:
    """A flow without the number (a dump without statistics) is never taken."""

    def test(flow: Flow, _decoder: Decoder) -> bool:
        value = of(flow)
        return value is not None and compare(value, wanted)

    return test


def _value(name: str, text: str) -> float:
    try:
        return int(text, 16) if text.startswith("0x") else float(text)
    except ValueError:
        raise _invalid(f"{name} is a number, not '{printable(text, 40)}'") from None


def _field(text: str, *, is_wanted: bool) -> Test:
    """Flows that look at these bits and want this value of them."""

    def test(flow: Flow, decoder: Decoder) -> bool:
        try:
            wanted = decoder.match(text)
        except Unreadable as error:
            raise _invalid(error.message) from None
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


def _word(word: str) -> Test:
    if word in PROTOCOLS:
        ethertype, protocol = PROTOCOLS[word]
        text = f"dl_type={ethertype:#x}" + ("" if protocol is None else f",nw_proto={protocol}")
        return _field(text, is_wanted=True)
    pattern = re.compile(rf"(?:^|[,(]){re.escape(word)}\b")
    return lambda flow, _decoder: pattern.search(flow.actions_text) is not None
