"""The list of what a lab made outside of its processes' memory, written before each creation.

One JSON object a line, appended and flushed before the thing is made: after any crash the list names at least
everything that exists. It owns no removal; `down` reads it.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


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
        lines = "".join(json.dumps(asdict(thing)) + "\n" for thing in things)
        with self.path.open("a") as file:
            file.write(lines)

    def read(self) -> tuple[Made, ...]:
        """Everything noted, oldest first, each thing once. A last line cut short by a crash is left out."""
        if not self.path.exists():
            return ()
        return tuple(dict.fromkeys(_parsed(self.path.read_text().splitlines())))


def _parsed(lines: Iterable[str]) -> Iterable[Made]:
    try:
        for line in lines:
            yield Made(**json.loads(line))
    except (json.JSONDecodeError, TypeError):
        return
