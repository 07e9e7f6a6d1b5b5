"""Flow tables as a person wants them: grouped by table, ports and owners by name, times left. Values; no colours."""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from warren.inspect.diff import table_order
from warren.inspect.explain.context import Context
from warren.inspect.parse.dump import Flow, TableId
from warren.inspect.parse.text import printable

_IN_PORT: Final = re.compile(r"\bin_port=(\d+)")
_OUTPUT: Final = re.compile(r"\boutput:(\d+)")
_MAC: Final = re.compile(
    r"\b(dl_src|dl_dst|mod_dl_src|mod_dl_dst|arp_sha|arp_tha)([=:])((?:[0-9a-f]{2}:){5}[0-9a-f]{2})(?![/0-9a-f])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One flow as columns of text."""

    flow: Flow
    priority: str
    packets: str
    age: str
    left: str
    """Seconds until a timeout removes it; empty where it stays."""
    match: str
    actions: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One table's heading and its flows, highest priority first."""

    table: TableId
    name: str
    purpose: str
    rows: tuple[Row, ...]


def sections(flows: Iterable[Flow], context: Context) -> Iterator[Section]:
    """Every table that has flows, in order."""
    names = _Namer(context)
    for table, group in groupby(sorted(flows, key=table_order), key=lambda flow: flow.table):
        note = context.pipeline.table(table) if context.pipeline else None
        yield Section(
            table=table,
            name=note.name if note else "",
            purpose=note.purpose if note else "",
            rows=tuple(_row(flow, names) for flow in group),
        )


def _row(flow: Flow, names: "_Namer") -> Row:
    remaining = flow.remaining_s
    return Row(
        flow=flow,
        priority=str(flow.priority),
        packets="" if flow.n_packets is None else str(flow.n_packets),
        age="" if flow.duration_s is None else duration(flow.duration_s),
        left="" if remaining is None else duration(remaining),
        match=printable(names.named(flow.match_text) or "any", 2000),
        actions=printable(names.named(flow.actions_text), 4000),
    )


_UNITS: Final = ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))


def duration(seconds: float) -> str:
    """`7s`, `3m12s`, `5h02m`, `12d03h`: two units, so that columns stay narrow."""
    whole = int(seconds)
    for size, unit, smaller, smaller_unit in _UNITS:
        if whole >= size:
            return f"{whole // size}{unit}{whole % size // smaller:02d}{smaller_unit}"
    return f"{whole}s"


class _Namer:
    """Puts names into the text of a match or of actions; the text stays what `ovs-ofctl --names` would take."""

    def __init__(self, context: Context) -> None:
        self._ports = {str(number): label.partition(" ")[0] for number, label in context.ports.items()}
        self._addresses = context.addresses

    def named(self, text: str) -> str:
        text = _IN_PORT.sub(lambda found: f"in_port={self._ports.get(found[1], found[1])}", text)
        text = _OUTPUT.sub(lambda found: f"output:{self._ports.get(found[1], found[1])}", text)
        return _MAC.sub(self._owned, text) if self._addresses else text

    def _owned(self, found: re.Match[str]) -> str:
        owner = self._addresses.get(int(found[3].replace(":", ""), 16))
        return f"{found[0]}{{{owner}}}" if owner else found[0]


def aligned(rows: Iterable[Row], column: Callable[[Row], str]) -> int:
    """The width of a column."""
    return max((len(column(row)) for row in rows), default=0)
