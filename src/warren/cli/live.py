"""Sources that are looked at now, the lab's hosts among them: how a command runs there, and what is captured there."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import click

from warren.core.errors import DriverError, Invalid, Unreachable
from warren.inspect.parse.problem import Problem
from warren.inspect.parse.text import printable
from warren.inspect.snapshot.model import Estate, Host
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
AT_ONCE: Final = 16
"""Hosts that are captured at the same time."""
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
        lab, name = _lab_and_host(source)
        place = host.place(open_lab(lab), name)
        return Reach(prefix=place.command([]), environ=place.environment())
    if source.startswith(_SSH):
        return Reach(prefix=over_ssh(sources.ssh_destination(source)))
    raise Invalid("NotLive", f"{printable(source)} is no live host: name local, lab://HOST or ssh://user@host")


def open_estate(named: Sequence[str], names: Names) -> Estate:
    """All hosts of all sources as one estate, the lab's included; without a source, this host.

    Hosts are taken several at a time, so that what is compared is from nearly one moment. A live one that does not
    answer is a problem of the estate, unless none does. In a lab its own server tells the names, unless others are
    given.

    Raises:
        Refused: a source names nothing, or two sources have one host.
        DriverError: nothing that was named answers.
    """
    each = [one for source in (tuple(named) or (sources.LOCAL,)) for one in _each_host(source)]
    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        taken = list(pool.map(_hosts_or_error, each))
    errors = [error for error in taken if isinstance(error, DriverError)]
    if len(errors) == len(taken):
        raise errors[0] if len(errors) == 1 else Unreachable("; ".join(map(str, errors)))
    hosts = [host for found in taken if not isinstance(found, DriverError) for host in found]
    problems = tuple(
        Problem(file=source, line=0, column=0, message=printable(str(error)))
        for source, error in zip(each, taken, strict=True)
        if isinstance(error, DriverError)
    )
    labs = [_lab_and_host(source)[0] for source in each if source.startswith(LAB)]
    if labs and not names.is_known:
        names = lab_names(labs[0])
    return Estate(hosts=unambiguous(hosts, "what was given"), names=names, problems=problems)


def print_unread(problems: Iterable[Problem]) -> None:
    """What could not be read, on standard error, once each."""
    for problem in dict.fromkeys(problems):
        click.echo(click.style(f"not read: {problem}", fg="red"), err=True)


def _hosts_or_error(source: str) -> tuple[Host, ...] | DriverError:
    try:
        return _hosts(source)
    except DriverError as error:
        return error


def _hosts(source: str) -> tuple[Host, ...]:
    if not source.startswith(LAB):
        return sources.read_source(source)
    there = reach(source)
    return hosts_of(read_archive(capture(there.prefix, source, there.environ), source), source)


def _each_host(source: str) -> list[str]:
    """`lab://LAB/` and `lab://` are all hosts of a lab, its outside world included; else the source itself."""
    if not source.startswith(LAB):
        return [source]
    name, host_name = _lab_and_host(source)
    if host_name:
        return [source]
    lab = open_lab(name)
    return [f"{LAB}{lab.plan.name}/{one}" for one in (*(planned.name for planned in lab.plan.hosts), WORLD)]


def _lab_and_host(source: str) -> tuple[str, str]:
    """The two names of `lab://LAB/HOST`: without the first it is the default lab, without the second all its hosts."""
    lab, _, name = source.removeprefix(LAB).rpartition("/")
    return lab or DEFAULT_LAB, name


def lab_names(name: str) -> Names:
    """What a lab's own server calls things."""
    made = access(open_lab(name)).credentials()
    who = Credentials(auth_url=made.auth_url, username=made.username, password=made.password, project_name=made.project)
    return read_names(ask(who))
