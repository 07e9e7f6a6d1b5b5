"""Network namespaces: which there are, and acting inside one. The only module that calls setns(2).

A namespace is a file of /run/netns, exactly as `ip netns` has it. Acting inside one is cheap (no process,
microseconds): the calling thread enters it and returns; what it opens or starts meanwhile belongs to that namespace.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from warren.agent.drivers.command import run
from warren.core.errors import Impossible, Rejected

DIRECTORY: Final = Path("/run/netns")
CLONE_NEWNET: Final = 0x40000000
OWN: Final = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def names() -> frozenset[str]:
    """Namespaces that `ip netns` shows."""
    try:
        return frozenset(path.name for path in DIRECTORY.iterdir())
    except FileNotFoundError:
        return frozenset()


def create(name: str) -> None:
    """Make a namespace, its loopback up."""
    run(["ip", "netns", "add", name])
    with entered(name):
        run(["ip", "link", "set", "lo", "up"])


def delete(name: str) -> None:
    """Remove a namespace; what still runs in it keeps it alive without its name."""
    run(["ip", "netns", "delete", name])


def identity(name: str) -> int | None:
    """Inode of a namespace, as in /proc/<pid>/ns/net; None when there is none of that name."""
    try:
        return (DIRECTORY / name).stat().st_ino
    except FileNotFoundError:
        return None


@contextmanager
def entered(name: str) -> Iterator[None]:
    """Run the body in a namespace. Only the calling thread is there, and what it starts.

    Raises:
        Rejected: there is no such namespace, or the file of that name is none.
    """
    home = os.open(OWN, os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter_named(name)
        try:
            yield
        finally:
            if _setns(home) != 0:
                raise Impossible(f"cannot return from network namespace {name}: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(home)


def _enter_named(name: str) -> None:
    try:
        there = os.open(DIRECTORY / name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise Rejected(f"network namespace {name} cannot be opened: {error.strerror}") from error
    try:
        if _setns(there) != 0:
            raise Rejected(f"network namespace {name} cannot be entered: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(there)


def _setns(descriptor: int) -> int:
    result: int = _libc.setns(descriptor, CLONE_NEWNET)
    return result
