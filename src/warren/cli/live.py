"""Live sources, the lab's hosts among them: how a command gets executed there, and what was captured there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from warren.core.errors import Invalid
from warren.inspect.parse.text import printable
from warren.inspect.snapshot.model import Estate
from warren.inspect.snapshot.names import Names
from warren.lab import host
from warren.lab.directory import open_lab
from warren.sources import open as sources
from warren.sources.archive import read_archive
from warren.sources.capture import capture, over_ssh
from warren.sources.folder import hosts_of, unambiguous

LAB: Final = "lab://"
_SSH: Final = "ssh://"
DEFAULT_LAB: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What to put before a command, and its environment, so that it runs there."""

    prefix: Sequence[str] = ()
    environ: Mapping[str, str] | None = None


def is_live(source: str) -> bool:
    """Whether a source is a host that is looked at now."""
    return source.startswith(LAB) or sources.is_live(source)


def reach(source: str) -> Reach:
    """How to run a command on a live source: `local`, `lab://HOST`, `lab://LAB/HOST` or `ssh://user@host`.

    Raises:
        Invalid: it is none of them.
        Refused: there is no such lab or host.
    """
    if source == sources.LOCAL:
        return Reach()
    if source.startswith(LAB):
        lab, _, name = source.removeprefix(LAB).rpartition("/")
        place = host.place(open_lab(lab or DEFAULT_LAB), name)
        return Reach(prefix=place.command([]), environ=place.environment())
    if source.startswith(_SSH):
        return Reach(prefix=over_ssh(source.removeprefix(_SSH).rstrip("/")))
    raise Invalid("NotLive", f"{printable(source)} is no live host: name local, lab://HOST or ssh://user@host")


def open_estate(named: Sequence[str], names: Names) -> Estate:
    """As `sources.open.open_estate`, the lab's hosts included."""
    found = (
        sources.open_estate([name for name in named if not name.startswith(LAB)], names)
        if not _all_lab(named)
        else None
    )
    hosts = [*(found.hosts if found else ())]
    for source in named:
        if source.startswith(LAB):
            there = reach(source)
            content = capture(there.prefix, source, there.environ)
            hosts += hosts_of(read_archive(content, source), source)
    return Estate(hosts=unambiguous(hosts, "what was given"), names=names)


def _all_lab(named: Sequence[str]) -> bool:
    return bool(named) and all(name.startswith(LAB) for name in named)
