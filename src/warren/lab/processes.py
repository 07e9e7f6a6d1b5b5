"""The processes of a lab: each has WARREN_LAB=<lab id> in its environment, and is found and ended by that alone.

The only module of the lab that ends processes. A lab's id is `<name>.<random>`, so that a lab whose directory was lost
is still found by its name, and a process that got a dead process's number is never taken for it.
"""

import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import warren
from warren.core.errors import Impossible, Unmet

LAB_VARIABLE: Final = "WARREN_LAB"
SYSTEM_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
END_DEADLINE_S: Final = 10.0
EXEC_DEADLINE_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class LabProcess:
    """A process that carries a lab's id."""

    pid: int
    lab_id: str
    program: str


def need_root() -> None:
    """Say so where this is not root's process.

    Raises:
        Unmet: namespaces, and other users' processes, are root's business.
    """
    if os.geteuid() != 0:
        raise Unmet("A lab is made of network namespaces and root's processes: run this with sudo.")


def environment(lab_id: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every process of the lab: the caller's terminal and language, PATH, this very Warren."""
    kept = {name: os.environ[name] for name in ("TERM", "LANG", "LC_ALL", "HOME", "COLORTERM") if name in os.environ}
    source = str(Path(warren.__file__).resolve().parents[1])
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}:{SYSTEM_PATH}",
        "PYTHONPATH": source,
        "PYTHONDONTWRITEBYTECODE": "1",
        LAB_VARIABLE: lab_id,
        **(extra or {}),
    }


def start(command: Sequence[str], *, env: Mapping[str, str], log: Path, descriptor_3: int | None = None) -> int:
    """Start a process that outlives this one, in a session of its own, with its output appended to `log`.

    `descriptor_3` is one of our descriptors that it gets as its number 3.
    """
    appended = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    files: list[tuple[int, int, int] | tuple[int, int, str, int, int]] = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), appended, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    if descriptor_3 is not None:
        files.append((os.POSIX_SPAWN_DUP2, descriptor_3, 3))
    return os.posix_spawnp(command[0], list(command), env, file_actions=files, setsid=True)


def carrying(lab_id_or_name: str) -> tuple[LabProcess, ...]:
    """All processes with that lab id, or with any id of a lab of that name; never this process itself."""
    found = (_read(int(entry.name)) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return tuple(
        process
        for process in found
        if process
        and process.pid != os.getpid()
        and lab_id_or_name in (process.lab_id, process.lab_id.rpartition(".")[0])
    )


def carries(pid: int, lab_id: str) -> bool:
    """Whether the process lives and is that lab's."""
    deadline = time.monotonic() + EXEC_DEADLINE_S
    while (process := _read(pid)) is None and _is_running(pid) and time.monotonic() < deadline:
        time.sleep(0.001)  # in the middle of execve(2) a process has no environment for a moment
    return process is not None and process.lab_id == lab_id


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def end(lab_id_or_name: str) -> tuple[LabProcess, ...]:
    """Kill every process of the lab and wait until none is left; what they forked meanwhile included.

    Raises:
        Impossible: one survives SIGKILL for `END_DEADLINE_S` (it hangs in the kernel).
    """
    ended: dict[int, LabProcess] = {}
    deadline = time.monotonic() + END_DEADLINE_S
    looks_without_any = 0
    # One look may miss a process that is in the middle of execve(2).
    while looks_without_any < 2:
        alive = carrying(lab_id_or_name)
        looks_without_any = 0 if alive else looks_without_any + 1
        if alive and time.monotonic() > deadline:
            raise Impossible(f"these processes do not end: {', '.join(f'{p.program} {p.pid}' for p in alive)}")
        for process in alive:
            ended[process.pid] = process
            _kill(process.pid)
        time.sleep(0.01)
    return tuple(ended.values())


def end_one(pid: int, lab_id: str) -> None:
    """Kill one process of the lab, if it still is that, and wait until it is gone with all it held, such as locks."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if carries(pid, lab_id):
            _kill(pid)
            select.select([descriptor], [], [], END_DEADLINE_S)  # its files are closed after its memory is gone
            _reap(pid)
    finally:
        os.close(descriptor)


def _kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _reap(pid)


def _reap(pid: int) -> None:
    """Take note of the end of a process that is a child of ours, if it ended."""
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _read(pid: int) -> LabProcess | None:
    """A process that ended meanwhile, or is a zombie, has no environment and is none."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
        program = Path(f"/proc/{pid}/comm").read_text().strip()
    except (OSError, ValueError):
        return None
    prefix = f"{LAB_VARIABLE}=".encode()
    for variable in variables:
        if variable.startswith(prefix):
            return LabProcess(pid=pid, lab_id=variable[len(prefix) :].decode(errors="replace"), program=program)
    return None
