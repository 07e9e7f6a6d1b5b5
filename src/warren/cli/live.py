"""Live sources, the lab's hosts among them: how a command gets executed there, and what was captured there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from warren.core.errors import Invalid
from warren.inspect.parse.text import printable
from warren.inspect.snapshot.model import Estate
from warren.inspect.snapshot.names import Names, read_names
from warren.lab import host
from warren.lab.control import access
from warren.lab.directory import open_lab
from warren.lab.plan import WORLD
from warren.sources import open as sources
from warren.sources.api import Credentials, ask
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
        return Reach(prefix=over_ssh(sources.ssh_destination(source)))
    raise Invalid("NotLive", f"{printable(source)} is no live host: name local, lab://HOST or ssh://user@host")


def open_estate(named: Sequence[str], names: Names) -> Estate:
    """As `sources.open.open_estate`, the lab's hosts included."""
    found = (
        sources.open_estate([name for name in named if not name.startswith(LAB)], names)
        if not _all_lab(named)
        else None
    )
    hosts = [*(found.hosts if found else ())]
    in_labs = [one for source in named if source.startswith(LAB) for one in _each_host(source)]
    for source in in_labs:
        there = reach(source)
        content = capture(there.prefix, source, there.environ)
        hosts += hosts_of(read_archive(content, source), source)
    if in_labs and not names.is_known:
        names = lab_names(in_labs[0].removeprefix(LAB).rpartition("/")[0] or DEFAULT_LAB)
    return Estate(hosts=unambiguous(hosts, "what was given"), names=names)


def _each_host(source: str) -> list[str]:
    """`lab://LAB/` and `lab://` are all hosts of a lab, its outside world included."""
    name, _, host_name = source.removeprefix(LAB).rpartition("/")
    if host_name:
        return [source]
    lab = open_lab(name or DEFAULT_LAB)
    return [f"{LAB}{lab.plan.name}/{one}" for one in (*(planned.name for planned in lab.plan.hosts), WORLD)]


def lab_names(name: str) -> Names:
    """What a lab's own server calls things."""
    made = access(open_lab(name)).credentials()
    who = Credentials(auth_url=made.auth_url, username=made.username, password=made.password, project_name=made.project)
    return read_names(ask(who))


def _all_lab(named: Sequence[str]) -> bool:
    return bool(named) and all(name.startswith(LAB) for name in named)
