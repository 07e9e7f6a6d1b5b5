"""Where a lab keeps its files: /run/warren/lab/<name>. Owns the paths and the lab's own description, `lab.json`."""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from warren.core.errors import Conflict, NotFound
from warren.lab import processes
from warren.lab.manifest import Made, Manifest
from warren.lab.plan import LabPlan, checked_name

LABS: Final = Path("/run/warren/lab")
COMMAND_VARIABLE: Final = "WARREN_COMMAND"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabDirectory:
    """A lab's files. `lab_id` is what its processes carry."""

    plan: LabPlan
    lab_id: str

    @property
    def path(self) -> Path:
        return LABS / self.plan.name

    @property
    def manifest(self) -> Manifest:
        return Manifest(self.path / "manifest.jsonl")

    @property
    def server(self) -> Path:
        return self.path / "server"

    @property
    def clouds_yaml(self) -> Path:
        return self.path / "clouds.yaml"

    @property
    def instances(self) -> Path:
        return self.path / "instances"

    def host(self, name: str) -> Path:
        return self.path / "hosts" / name

    def living(self, pid_file: Path) -> int | None:
        """The process whose number a file has, while it lives and is this lab's."""
        try:
            pid = int(pid_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return pid if processes.carries(pid, self.lab_id) else None


def claim(plan: LabPlan) -> LabDirectory:
    """Make the directory of a new lab; of two at once, one gets it.

    Raises:
        Conflict: a lab of that name is up, or one crashed and was not taken down.
    """
    lab = LabDirectory(plan=plan, lab_id=f"{checked_name(plan.name)}.{secrets.token_hex(4)}")
    try:
        lab.path.mkdir(parents=True)
    except FileExistsError:
        raise _taken(plan.name) from None
    lab.manifest.will_make(Made(kind="directory", name=str(lab.path)))
    for folder in (lab.server, lab.instances, *(lab.host(host.name) for host in plan.hosts)):
        folder.mkdir(parents=True)
    partial = lab.path / "lab.json.partial"
    partial.write_bytes(msgspec.json.format(msgspec.json.encode(lab)))
    partial.replace(lab.path / "lab.json")
    return lab


def open_lab(name: str) -> LabDirectory:
    """The lab of that name that is up.

    Raises:
        NotFound: there is none; the message lists those there are.
        Conflict: it crashed and was not taken down.
        Unmet: this is not root.
    """
    processes.need_root()
    try:
        lab = msgspec.json.decode((LABS / checked_name(name) / "lab.json").read_bytes(), type=LabDirectory)
    except FileNotFoundError:
        others = f" (there is: {', '.join(found)})" if (found := names()) else ""
        start = typed("up", name)
        raise NotFound("LabNotFound", f"No lab '{name}' is up{others}; `{start}` starts one.") from None
    if not processes.carrying(lab.lab_id):
        raise _taken(name)
    return lab


def names() -> tuple[str, ...]:
    """Every lab that has a directory, up or crashed."""
    return tuple(sorted(entry.name for entry in LABS.iterdir())) if LABS.is_dir() else ()


def _taken(name: str) -> Conflict:
    down = f"`{typed('down', name)}`"
    if processes.carrying(name):
        return Conflict("LabExists", f"A lab '{name}' is up already; use it, take it down with {down}, or give --name.")
    return Conflict(
        "LabLeftovers", f"A lab '{name}' ended without being taken down; {down} removes what is left of it."
    )


def typed(verb: str, name: str, *words: str) -> str:
    """A command of `warren lab` for a lab, as whoever called this one types it; `./run` says how that is."""
    option = () if name == "default" else ("--name", name)
    return " ".join([os.environ.get(COMMAND_VARIABLE, "warren"), "lab", verb, *option, *words])
