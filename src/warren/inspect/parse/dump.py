"""`ovs-ofctl dump-flows` text -> `Flow` values. The only module that knows the line's outer form.

A line is split once; its match and actions stay text until somebody asks a `decode.Decoder` for them, which reads each
distinct text once. So a table of 100,000 flows is read in a second.

Form (ovs-ofctl(8) "dump-flows", lib/ofp-flow.c `ofputil_flow_stats_format`): every part but `actions=` may be missing.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from warren.inspect.parse import values
from warren.inspect.parse.problem import Problem, Unreadable
from warren.inspect.parse.text import printable, unquote, without_colour

TableId: TypeAlias = int | str
"""The number of a table; its name where only `--names` output is at hand."""

DEFAULT_PRIORITY: Final = 32768
"""What ovs-ofctl leaves out (OFP_DEFAULT_PRIORITY)."""


class Flow(NamedTuple):
    """One flow as printed. A named tuple, not a dataclass: a dump has 100,000, and it is built four times faster.

    Times are in seconds; `None` where the line does not say. `hard_age_s` is printed only where the flow was
    refreshed after it was added.
    """

    table: TableId
    priority: int
    match_text: str
    actions_text: str
    cookie: int
    n_packets: int | None
    n_bytes: int | None
    duration_s: float | None
    idle_timeout_s: int
    hard_timeout_s: int
    idle_age_s: int | None
    hard_age_s: int | None
    importance: int
    flags: str
    line: int
    match_column: int
    actions_column: int

    @property
    def remaining_s(self) -> float | None:
        """Seconds until `hard_timeout` or `idle_timeout` removes it, as of the dump; `None` where it stays."""
        left: list[float] = []
        age = self.duration_s if self.hard_age_s is None else self.hard_age_s
        if self.hard_timeout_s and age is not None:
            left.append(self.hard_timeout_s - age)
        if self.idle_timeout_s and self.idle_age_s is not None:
            left.append(self.idle_timeout_s - self.idle_age_s)
        return max(0.0, min(left)) if left else None

    def __str__(self) -> str:
        """The flow without statistics, as `ovs-ofctl --no-stats dump-flows` prints it."""
        cookie = f"cookie={self.cookie:#x}, " if self.cookie else ""
        idle = f"idle_timeout={self.idle_timeout_s}, " if self.idle_timeout_s else ""
        hard = f"hard_timeout={self.hard_timeout_s}, " if self.hard_timeout_s else ""
        flags = f"{self.flags} " if self.flags else ""
        importance = f"importance={self.importance}, " if self.importance else ""
        matched = f"priority={self.priority}" + (f",{self.match_text}" if self.match_text else "")
        return f"{cookie}table={self.table}, {idle}{hard}{flags}{importance}{matched} actions={self.actions_text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dump:
    """All flows of one bridge as one text had them, in its order, and what in it could not be read."""

    file: str
    flows: tuple[Flow, ...]
    problems: tuple[Problem, ...] = field(default=())


_FLOW: Final = re.compile(
    r"[ \t]*(?:cookie=0x([0-9a-fA-F]{1,16}), )?"
    r"(?:duration=([0-9.]{1,24})s, )?"
    r'(?:table(?:_id)?=([0-9]{1,3}|[^\s,"=]+|"[^"]*"), )?'
    r"(?:n_packets=([0-9]{1,20}), )?"
    r"(?:n_bytes=([0-9]{1,20}), )?"
    r"(?:idle_timeout=([0-9]{1,5}), )?"
    r"(?:hard_timeout=([0-9]{1,5}), )?"
    r"((?:(?:send_flow_rem|check_overlap|reset_counts|no_packet_counts|no_byte_counts) )*)"
    r"(?:importance=([0-9]{1,5}), )?"
    r"(?:idle_age=([0-9]{1,10}), )?"
    r"(?:hard_age=([0-9]{1,10}), )?"
    r"(?:priority=([0-9]{1,5})[ ,])?"
    r'([^ "]*(?:"[^"]*"[^ "]*)*)[ ,]?(?<=[ ,])actions=(.*)'
)
_PROPERTY: Final = re.compile(r"(?:^|,)(?:cookie|duration|table|table_id|priority|importance|n_\w+|(?:idle|hard)_\w+)=")
_NO_FLOW: Final = re.compile(r"\s*(?:#.*|(?:NXST|OFPST|OFPT|NXT)_[A-Z_0-9]+\b.*)?$")
"""Blank lines, comments and the reply's heading."""
_ACTIONS: Final = re.compile(r"(?:^|[\s,])actions?=")
_WORD: Final = re.compile(r'(?:[^\s,"]|"[^"]*(?:"|$))+')
_COOKIE: Final = re.compile(r"(?:0x[0-9a-fA-F]{1,16}|[0-9]{1,20})(?:/(?:-1|0x[0-9a-fA-F]{1,16}))?")
_SECONDS: Final = re.compile(r"[0-9]{1,20}(?:\.[0-9]*)?")
_MAX_DIGITS: Final = 20
_TABLE_DIGITS: Final = 3


def read_dump(text: str, file: str = "-", tables: Mapping[str, int] | None = None) -> Dump:
    """Every flow of `text`.

    Args:
        text: what `ovs-ofctl dump-flows` printed, in any OpenFlow version, with or without `--names`, `--no-stats`,
            `--sort`, `--color`; a file for `ovs-ofctl add-flows` as well.
        file: its name, for messages.
        tables: names of tables -> numbers, for `--names` output of a bridge whose tables have names.
    """
    return read_lines(text.split("\n"), file, tables or {})


def read_lines(lines: Iterable[str], file: str, tables: Mapping[str, int]) -> Dump:
    """As `read_dump`, from lines as they come."""
    flows: list[Flow] = []
    problems: list[Problem] = []
    for number, raw in enumerate(lines, 1):
        line = without_colour(raw).rstrip()
        found = _FLOW.fullmatch(line)
        if found is not None and _is_as_printed(found) and line.isprintable():
            flows.append(_flow(found, number, tables))
        elif _NO_FLOW.match(line) is None:
            try:
                flows.append(_read_freely(line, number, tables))
            except Unreadable as error:
                problems.append(Problem(file=file, line=number, column=error.offset + 1, message=error.message))
    return Dump(file=file, flows=tuple(flows), problems=tuple(problems))


def _is_as_printed(found: re.Match[str]) -> bool:
    """Whether no property of the flow itself stands inside its match, as it may in a line that a person wrote."""
    return bool(found[1] and found[3] and found[12]) or _PROPERTY.search(found[13]) is None


def _flow(found: re.Match[str], line: int, tables: Mapping[str, int]) -> Flow:
    (
        cookie,
        duration,
        table,
        n_packets,
        n_bytes,
        idle_timeout,
        hard_timeout,
        flags,
        importance,
        idle_age,
        hard_age,
        priority,
        match_text,
        actions_text,
    ) = found.groups()
    return Flow(
        _table(table, tables) if table else 0,
        int(priority) if priority else DEFAULT_PRIORITY,
        match_text,
        actions_text,
        int(cookie, 16) if cookie else 0,
        int(n_packets) if n_packets else None,
        int(n_bytes) if n_bytes else None,
        _seconds(duration) if duration else None,
        int(idle_timeout) if idle_timeout else 0,
        int(hard_timeout) if hard_timeout else 0,
        int(idle_age) if idle_age else None,
        int(hard_age) if hard_age else None,
        int(importance) if importance else 0,
        flags.rstrip(),
        line,
        found.start(13) + 1,
        found.start(14) + 1,
    )


def _table(text: str, tables: Mapping[str, int]) -> TableId:
    if text.isascii() and text.isdigit() and len(text) <= _TABLE_DIGITS:
        return int(text)
    name = unquote(text)
    return tables.get(name, name)


def _seconds(text: str) -> float | None:
    return float(text) if _SECONDS.fullmatch(text) else None


_NUMBERS: Final = frozenset(
    ("n_packets", "n_bytes", "idle_timeout", "hard_timeout", "idle_age", "hard_age", "importance", "priority")
)
_TEXTS: Final = frozenset(("cookie", "duration", "table", "table_id"))
_FLAGS: Final = frozenset(("send_flow_rem", "check_overlap", "reset_counts", "no_packet_counts", "no_byte_counts"))


def _read_freely(line: str, number: int, tables: Mapping[str, int]) -> Flow:
    """A flow whose parts stand in any order, as people write them for `ovs-ofctl add-flow`.

    Raises:
        Unreadable: it is none.
    """
    plain = line.replace("\t", " ")
    if not plain.isprintable():
        offset = next(index for index, char in enumerate(plain) if not char.isprintable())
        raise Unreadable(f"a control character, {printable(plain[offset])}, in a flow", offset)
    actions = _ACTIONS.search(plain)
    if actions is None:
        raise Unreadable(f"this is no flow, it has no actions: {printable(plain.strip(), 60)}")
    parts, match, match_offset = _parts(plain[: actions.start()])
    numbers = {key: int(parts[key]) for key in _NUMBERS & parts.keys()}
    return Flow(
        table=_table(parts.get("table", parts.get("table_id", "0")), tables),
        priority=numbers.get("priority", DEFAULT_PRIORITY),
        match_text=match,
        actions_text=plain[actions.end() :],
        cookie=values.number(parts.get("cookie", "0").partition("/")[0]),
        n_packets=numbers.get("n_packets"),
        n_bytes=numbers.get("n_bytes"),
        duration_s=_seconds(parts["duration"].rstrip("s")) if "duration" in parts else None,
        idle_timeout_s=numbers.get("idle_timeout", 0),
        hard_timeout_s=numbers.get("hard_timeout", 0),
        idle_age_s=numbers.get("idle_age"),
        hard_age_s=numbers.get("hard_age"),
        importance=numbers.get("importance", 0),
        flags=" ".join(sorted(_FLAGS & parts.keys())),
        line=number,
        match_column=match_offset + 1,
        actions_column=actions.end() + 1,
    )


def _parts(text: str) -> tuple[dict[str, str], str, int]:
    """What stands before `actions=`: the flow's own properties, its match, and where that begins."""
    parts: dict[str, str] = {}
    match: list[str] = []
    match_offset = 0
    for word in _WORD.finditer(text):
        key, _, value = word[0].partition("=")
        if key in _NUMBERS and not (value.isascii() and value.isdigit() and len(value) <= _MAX_DIGITS):
            raise Unreadable(f"{key} is a number, not '{printable(value, 40)}'", word.start())
        if key == "cookie" and _COOKIE.fullmatch(value) is None:
            raise Unreadable(f"a cookie is a 64-bit number, not '{printable(value, 40)}'", word.start())
        if key in _NUMBERS or key in _TEXTS or word[0] in _FLAGS:
            parts[key] = value
        else:
            match_offset = match_offset if match else word.start()
            match.append(word[0])
    return parts, ",".join(match), match_offset
