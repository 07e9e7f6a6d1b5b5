"""Characters and commas: take colours out, keep escapes off the terminal, split nested lists. Knows no flow."""

import re
from collections.abc import Iterator
from typing import Final

_COLOUR: Final = re.compile(r"\x1b\[[0-9;:]*[mK]")
"""What `ovs-ofctl --color` writes: select graphic rendition, then erase to the end of the line (ECMA-48)."""
_DELIMITER: Final = re.compile(r'[()\[\]{},"]')
_PLAIN: Final = re.compile(r'[^()\[\]{}"]*')
_OPENING: Final = "([{"
MAX_DEPTH: Final = 64
"""Open vSwitch itself refuses actions nested deeper (ofp-actions.c, MAX_OFPACT_PARSE_DEPTH is 100)."""


def without_colour(text: str) -> str:
    """`text` as if printed with `--color=never`."""
    return _COLOUR.sub("", text) if "\x1b" in text else text


def printable(text: str, limit: int = 200) -> str:
    r"""`text` safe to show on a terminal: what is no printable character as `\x1b`, at most `limit` characters.

    `str.isprintable` is false for control and format characters, those that reorder a terminal's text included.
    """
    shown = text if len(text) <= limit else f"{text[:limit]}…"
    if shown.isprintable():
        return shown
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in shown)


def split_list(text: str) -> Iterator[tuple[str, int]]:
    """The items of a comma-separated list and their offsets; commas inside brackets and quotes do not separate.

    Brackets that do not pair are taken as they come: the item's own reader will refuse it.
    """
    if _PLAIN.fullmatch(text) is not None:
        yield from _split_plain(text)
        return
    start = depth = position = 0
    size = len(text)
    while position < size:
        found = _DELIMITER.search(text, position)
        if found is None:
            break
        char, position = found[0], found.end()
        if char == ",":
            if depth == 0:
                yield text[start : position - 1], start
                start = position
        elif char == '"':
            position = _end_of_quote(text, position)
        elif char in _OPENING:
            depth += 1
        else:
            depth = max(depth - 1, 0)
    if start < size:
        yield text[start:], start


def _split_plain(text: str) -> Iterator[tuple[str, int]]:
    """As `split_list`, for a list without brackets and quotes."""
    offset = 0
    for item in text.split(","):
        if item or offset < len(text):
            yield item, offset
        offset += len(item) + 1


def _end_of_quote(text: str, position: int) -> int:
    """The offset behind the quote that closes the one before `position`; the end of `text` if none does."""
    while True:
        end = text.find('"', position)
        if end < 0:
            return len(text)
        backslashes = end - len(text[position:end].rstrip("\\")) - position
        if backslashes % 2 == 0:
            return end + 1
        position = end + 1


def unquote(text: str) -> str:
    """A port or table name as it is: `"a b"` -> `a b` (ovs-ofctl quotes what is no plain word, as JSON does)."""
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", r"\1", text[1:-1])
    return text
