"""dnsmasq of DHCP namespaces: command lines, files and leases. The only module that starts or signals it.

A process is Warren's when its command line names a pid file below this driver's folder and it has this host's mount
namespace; what the pid file itself says is never believed. Any other dnsmasq is invisible here. dnsmasq puts itself
into the background, so it outlives the agent that started it.
"""

import os
import select
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from warren.agent.drivers import leases, netns
from warren.agent.drivers.command import run
from warren.core.errors import DriverError, Rejected, Unreachable
from warren.core.names import DHCP_NAMESPACE_PREFIX
from warren.namespaces import Key, Kind, Setting
from warren.namespaces.dhcp import FILES, HOSTS, PROCESS
from warren.reconcile.plan import Plan

PID_FILE: Final = "--pid-file="
STOPPED: Final = "T"
"""State of a process that SIGSTOP stopped, in proc_pid_stat(5); one that is traced has another."""
END_TIMEOUT_S: Final = 2.0
RELEASE_TIMEOUT_S: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A dnsmasq process of ours."""

    pid: int
    network: str
    arguments: tuple[str, ...]
    namespace_inode: int
    is_stopped: bool
    """By a signal: it is there and answers nobody."""


class Dnsmasq:
    """Every dnsmasq whose files are below one folder.

    Args:
        directory: the folder; it must be searchable by the user `nobody`, as whom dnsmasq reads its files again.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def running(self) -> list[Running]:
        """Every dnsmasq process of ours."""
        return list(_ours(self.directory))

    def installed(self) -> dict[Key, Setting]:
        """Read back processes, files and leases that nothing backs."""
        found: dict[Key, Setting] = {}
        for network, processes in self._processes().items():
            name = DHCP_NAMESPACE_PREFIX + network
            found[Key(name, Kind.PROCESS, PROCESS)] = Setting(value=_value(processes, netns.identity(name)))
        for folder in self._folders():
            name = DHCP_NAMESPACE_PREFIX + folder.name
            for file in FILES:
                text = _text(folder / file)
                if text is not None:
                    found[Key(name, Kind.FILE, file)] = Setting(value=text)
            for lease in leases.stale(folder, HOSTS):
                found[Key(name, Kind.LEASE, f"{lease.mac_address} {lease.address}")] = Setting()
        return found

    def pids(self) -> frozenset[int]:
        """The processes that run now."""
        return frozenset(each.pid for each in _ours(self.directory))

    def apply(self, changes: Plan[Key, Setting]) -> dict[Key, str]:
        """Apply a plan; what failed, by key. Each network's server is started, told to read again, or ended once."""
        failed: dict[Key, str] = {}
        processes = self._processes()
        for name in sorted({key.namespace for part in (changes.add, changes.change, changes.remove) for key in part}):
            network = name[len(DHCP_NAMESPACE_PREFIX) :]
            key = Key(name, Kind.PROCESS, PROCESS)
            try:
                self._write(name, changes)
                if any(gone.namespace == name and gone.kind in (Kind.PROCESS, Kind.FILE) for gone in changes.remove):
                    _end(processes.get(network, ()))
                    self._forget(network)
                elif (arguments := _wanted(key, changes)) is not None:
                    _end(processes.get(network, ()))
                    self._start(name, arguments)
                else:
                    _reload(processes.get(network, ()))
                self._release(name, network)
            except DriverError as error:
                failed[key] = str(error)
        return failed

    def _folders(self) -> list[Path]:
        return sorted(each for each in self.directory.iterdir() if each.is_dir()) if self.directory.is_dir() else []

    def _processes(self) -> dict[str, list[Running]]:
        found: dict[str, list[Running]] = {}
        for each in _ours(self.directory):
            found.setdefault(each.network, []).append(each)
        return found

    def _write(self, name: str, changes: Plan[Key, Setting]) -> None:
        """Write files whole: a dnsmasq that reads meanwhile sees the old text or the new.

        Raises:
            Rejected: the disk is full, or something else than a file has the name.
        """
        texts = {**changes.add, **{key: new for key, (_, new) in changes.change.items()}}
        folder = self.directory / name[len(DHCP_NAMESPACE_PREFIX) :]
        for key, setting in texts.items():
            if key.namespace == name and key.kind is Kind.FILE:
                try:
                    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
                    new = folder / f".{key.name}"
                    new.write_text(setting.value)
                    new.chmod(0o644)
                    new.replace(folder / key.name)
                except OSError as error:
                    raise Rejected(f"{folder / key.name} cannot be written: {error.strerror}") from error

    def _start(self, name: str, arguments: str) -> None:
        with netns.entered(name):
            run(["dnsmasq", *arguments.split("\n")])

    def _forget(self, network: str) -> None:
        folder = self.directory / network
        for file in (*FILES, leases.FILE, "pid"):
            (folder / file).unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()

    def _release(self, name: str, network: str) -> None:
        """Make dnsmasq forget leases of ports that are gone: it would not give their addresses to anybody else."""
        folder, end = self.directory / network, time.monotonic() + RELEASE_TIMEOUT_S
        stale = list(leases.stale(folder, HOSTS))
        if not stale:
            return
        with netns.entered(name):
            for lease in stale:
                leases.release(lease)
        while any(leases.stale(folder, HOSTS)):
            if time.monotonic() > end:
                raise Unreachable(f"dnsmasq of network {network} keeps leases that it was told to release")
            time.sleep(0.005)


def _value(processes: list[Running], namespace_inode: int | None) -> str:
    """The arguments of the one that serves, or a word for what keeps it from that."""
    if len(processes) > 1 or processes[0].namespace_inode != namespace_inode:
        return "astray"
    return "stopped" if processes[0].is_stopped else "\n".join(processes[0].arguments)


def _wanted(key: Key, changes: Plan[Key, Setting]) -> str | None:
    """Arguments to start with, when the process is missing or has other ones."""
    if key in changes.add:
        return changes.add[key].value
    return changes.change[key][1].value if key in changes.change else None


def _ours(directory: Path) -> Iterator[Running]:
    mark = f"{PID_FILE}{directory}/"
    mount = Path("/proc/self/ns/mnt").readlink()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            named = [word for word in words[1:] if word.startswith(mark)]
            if not named or Path(words[0]).name != PROCESS or (entry / "ns/mnt").readlink() != mount:
                continue
            inode = (entry / "ns/net").stat().st_ino
            state = (entry / "stat").read_text(errors="replace").rpartition(") ")[2][:1]
        except OSError:
            continue  # it ended while we looked
        yield Running(
            pid=int(entry.name),
            network=named[0][len(mark) :].partition("/")[0],
            arguments=tuple(words[1:]),
            namespace_inode=inode,
            is_stopped=state == STOPPED,
        )


def _reload(processes: Iterable[Running]) -> None:
    for each in processes:
        try:
            os.kill(each.pid, signal.SIGHUP)
        except ProcessLookupError as error:
            raise Unreachable(f"dnsmasq of network {each.network} ended by itself") from error


def _end(processes: Iterable[Running]) -> None:
    """End processes and wait until they are gone: a successor could not bind port 67 beside them."""
    for each in processes:
        descriptor = _pidfd(each.pid)
        if descriptor is None:
            continue
        try:
            signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            signal.pidfd_send_signal(descriptor, signal.SIGCONT)
            if not _gone(descriptor, END_TIMEOUT_S):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                if not _gone(descriptor, END_TIMEOUT_S):
                    raise Unreachable(f"dnsmasq of network {each.network} (process {each.pid}) does not end")
        except ProcessLookupError:
            continue
        finally:
            os.close(descriptor)


def _pidfd(pid: int) -> int | None:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        return None


def _gone(descriptor: int, timeout_s: float) -> bool:
    return bool(select.select([descriptor], [], [], timeout_s)[0])


def _text(file: Path) -> str | None:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return None  # absent, or no file: writing it will say
