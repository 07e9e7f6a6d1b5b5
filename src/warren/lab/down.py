"""Taking a lab down: exactly what it made, also after a crash, and saying what was removed."""

import shutil
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from warren.lab import processes
from warren.lab.directory import LABS
from warren.lab.manifest import Made, Manifest
from warren.lab.plan import checked_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What a lab left behind and is now gone."""

    ended: tuple[processes.LabProcess, ...] = ()
    made: tuple[Made, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ended or self.made)

    def sentences(self) -> Iterable[str]:
        """What was removed, for a person."""
        if self.ended:
            programs = Counter(process.program for process in self.ended)
            listed = ", ".join(f"{count} {program}" for program, count in sorted(programs.items()))
            yield f"ended {len(self.ended)} processes ({listed})"
        for kind, plural in (("namespace", "namespaces"), ("link", "links"), ("directory", "directories")):
            names = [f"{thing.name} of {thing.where}" if thing.where else thing.name for thing in self._of(kind)]
            if names:
                yield f"removed {len(names)} {kind if len(names) == 1 else plural}: {', '.join(names)}"

    def _of(self, kind: str) -> list[Made]:
        return [thing for thing in self.made if thing.kind == kind]


def take_down(name: str) -> Removed:
    """End every process of the lab of that name, with which its namespaces and links vanish, and delete its files.

    Gives an empty `Removed` when there was nothing. Does not need anything of the lab to be alive or readable.

    Raises:
        Impossible: a process does not end.
        Unmet: this is not root.
    """
    processes.need_root()
    directory = LABS / checked_name(name)
    made = Manifest(directory / "manifest.jsonl").read()
    ended = processes.end(name)
    if directory.exists():
        _remove(directory)
        _remove_if_empty(LABS, LABS.parent)
        made = made or (Made(kind="directory", name=str(directory)),)
    return Removed(ended=ended, made=made)


def _remove(directory: Path) -> None:
    """Sockets and files only: every mount under it was made in namespaces that are gone.

    Whoever takes the same lab down at the same time removes some of them.
    """
    while directory.exists():
        with suppress(FileNotFoundError):
            shutil.rmtree(directory)


def _remove_if_empty(*directories: Path) -> None:
    """Other labs, and an agent of the machine itself, may have their files there."""
    for directory in directories:
        try:
            directory.rmdir()
        except OSError:
            return
