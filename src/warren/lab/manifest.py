"""The list of what a lab made outside of its processes' memory, written before each creation.

One JSON object a line, appended and flushed before the thing is made, and once more when it is gone again: after any
crash the list names at least everything that exists. It owns no removal; `down` reads it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_GONE: Final = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One thing: `kind` is namespace, process, link, directory or file; `where` the host that it is in, if any."""

    kind: str
    name: str
    where: str = ""


class Manifest:
    """The file `manifest.jsonl` of one lab."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def will_make(self, *things: Made) -> None:
        """Note things that are about to be made. Appends of one call are one write, so that threads may share it."""
        self._append([asdict(thing) for thing in things])

    def has_removed(self, *things: Made) -> None:
        """Note things that were made and are gone while the lab goes on."""
        self._append([{**asdict(thing), _GONE: True} for thing in things])

    def read(self) -> tuple[Made, ...]:
        """Everything that may be there, oldest first, each thing once. A last line cut short by a crash is left out."""
        if not self.path.exists():
            return ()
        found: dict[Made, None] = {}
        for thing, is_gone in _parsed(self.path.read_text().splitlines()):
            if is_gone:
                found.pop(thing, None)
            else:
                found[thing] = None
        return tuple(found)

    def _append(self, noted: Iterable[Mapping[str, object]]) -> None:
        with self.path.open("a") as file:
            file.write("".join(json.dumps(entry) + "\n" for entry in noted))


def _parsed(lines: Iterable[str]) -> Iterator[tuple[Made, bool]]:
    """Each thing, and whether the line says that it is gone."""
    try:
        for line in lines:
            fields = json.loads(line)
            is_gone = fields.pop(_GONE, False)
            yield Made(**fields), is_gone
    except (json.JSONDecodeError, TypeError, AttributeError):
        return
