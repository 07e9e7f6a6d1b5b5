"""`warren flows show` as text: one heading for a bridge, columns that stay aligned, and lines that fit a terminal."""

import re
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

import click

from warren.inspect.show import Row, Section, aligned

_NARROWEST: Final = 24
"""Characters that a match or actions have at least, however narrow the terminal is."""
_GAP: Final = "  "


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One of the columns before a flow's text."""

    heading: str
    of: Callable[[Row], str]
    colour: str | None = None


_COLUMNS: Final = (
    _Column(heading="prio", of=lambda row: row.priority, colour="yellow"),
    _Column(heading="packets", of=lambda row: row.packets),
    _Column(heading="age", of=lambda row: row.age),
    _Column(heading="left", of=lambda row: row.left, colour="magenta"),
)
_Widths: TypeAlias = Sequence[tuple[_Column, int]]


def terminal_width() -> int | None:
    """Characters in a line of the terminal; `None` for a file or a pipe, whose lines may be long."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def table_lines(sections: Iterable[Section], width: int | None) -> Iterator[str]:
    """A heading, then every table with its flows, one line each where they fit."""
    listed = list(sections)
    rows = [row for section in listed for row in section.rows]
    widths = [(column, max(found, len(column.heading))) for column in _COLUMNS if (found := aligned(rows, column.of))]
    if rows:
        heading = _GAP.join(f"{column.heading:>{size}}" for column, size in widths)
        yield click.style(f"{_GAP}{heading}{_GAP}match{_GAP}actions", dim=True)
    for section in listed:
        yield heading_of(section.table, section.name, section.purpose)
        yield from _rows(section.rows, widths, width)


def heading_of(table: object, name: str, purpose: str) -> str:
    """A table's heading line."""
    return click.style(f"table {table} {name}".rstrip(), fg="cyan", bold=True) + (f"{_GAP}{purpose}" if purpose else "")


def _rows(rows: Sequence[Row], widths: _Widths, width: int | None) -> Iterator[str]:
    """Actions beside the match, or below it where a line of the terminal cannot hold both of every flow."""
    indent = sum(size + len(_GAP) for _, size in widths) + len(_GAP)
    match = aligned(rows, lambda row: row.match)
    room = None if width is None else max(width - indent, _NARROWEST)
    if room is None or match + len(_GAP) + aligned(rows, lambda row: row.actions) <= room:
        for row in rows:
            yield f"{_before(row, widths)}{row.match:<{match}}{_GAP}{click.style(row.actions, fg='green')}"
        return
    for row in rows:
        first, *others = _wrapped(row.match, room)
        yield f"{_before(row, widths)}{first}"
        yield from (f"{'':{indent}}{line}" for line in others)
        actions = _wrapped(row.actions, room - len(_GAP))
        yield from (f"{'':{indent}}{_GAP}{click.style(line, fg='green')}" for line in actions)


def _before(row: Row, widths: _Widths) -> str:
    return _GAP + "".join(f"{_cell(column, f'{column.of(row):>{size}}')}{_GAP}" for column, size in widths)


def _cell(column: _Column, text: str) -> str:
    return click.style(text, fg=column.colour) if column.colour else text


def _wrapped(text: str, width: int) -> list[str]:
    """The text in lines that end at its commas; what has none is as long as it is."""
    lines = [""]
    for piece in re.split(r"(?<=,)", text):
        if lines[-1] and len(lines[-1]) + len(piece) > width:
            lines.append("")
        lines[-1] += piece
    return lines
