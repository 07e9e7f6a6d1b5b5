"""Says at once when the kernel changes something of ours: links, rules, names of namespaces, ends of processes.

It says where, never what: whoever is woken reads. One thread and one epoll for everything. Sources: rtnetlink(7),
`NFNLGRP_NFTABLES` of linux/netfilter/nfnetlink.h (what iptables-nft writes is heard there too), inotify(7),
pidfd_open(2).
"""

import ctypes
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

from warren.agent.drivers import netns
from warren.core.errors import Rejected, Unreachable

LINK_GROUPS: Final = 0x1 | 0x10 | 0x40 | 1 << 7 | 0x100 | 0x400 | 1 << 18 | 1 << 23 | 1 << 24
"""RTMGRP_LINK; addresses, routes and their rules of IPv4, then of IPv6; netconf of both: forwarding and rp_filter."""
NETLINK_NETFILTER: Final = 12
RULE_GROUPS: Final = 1 << 6
"""NFNLGRP_NFTABLES is group 7."""
IN_CREATE, IN_DELETE = 0x100, 0x200
IN_CLOEXEC: Final = 0x80000
_inotify_event: Final = struct.Struct("iIII")
_libc = ctypes.CDLL(None, use_errno=True)


class Kind(Enum):
    """What changed."""

    LINKS = "links, addresses, routes, their rules or forwarding of a namespace"
    RULES = "nftables' rules of a namespace"
    NAMES = "the namespace of a name"
    EXIT = "a process, which ended"


class Event(NamedTuple):
    """Where something changed: the name of a namespace (empty: the host's own) or the number of a process."""

    kind: Kind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Namespace:
    """A namespace that is watched; `identity` tells a new one of the same name."""

    identity: int | None
    sockets: tuple[socket.socket, ...]


class KernelMonitor(threading.Thread):
    """Calls `wake` for every event, from its own thread, until `stop`. `wake` must only take note."""

    def __init__(self, wake: Callable[[Event], None]) -> None:
        super().__init__(name="kernel-monitor", daemon=True)
        self._wake = wake
        self._lock = threading.Lock()
        self._poll = select.epoll()
        self._watched: dict[int, Event] = {}
        self._namespaces: dict[str, _Namespace] = {}
        self._processes: dict[int, int] = {}
        self._stop_read, self._stop_write = os.pipe2(os.O_CLOEXEC)
        self._poll.register(self._stop_read, select.EPOLLIN)
        self._names = _watch_names()
        self._register(self._names, Event(Kind.NAMES, ""))
        self._add_namespace("", None)

    def watch_namespaces(self, names: Iterable[str]) -> None:
        """Watch exactly these namespaces besides the host's own.

        A socket keeps its namespace alive: one whose name is gone, or names another now, is let go here.
        """
        wanted = {name: netns.identity(name) for name in names}
        with self._lock:
            for name, known in list(self._namespaces.items()):
                if name and wanted.get(name) != known.identity:
                    for each in known.sockets:
                        self._forget(each.fileno())
                        each.close()
                    del self._namespaces[name]
            for name, identity in wanted.items():
                if identity is not None and name not in self._namespaces:
                    # A name that is just being made is no namespace yet; the next call finds it.
                    with suppress(Rejected), netns.entered(name):
                        self._add_namespace(name, identity)

    def watch_processes(self, pids: Iterable[int]) -> None:
        """Watch exactly these processes. One that has ended already is told at once."""
        wanted = frozenset(pids)
        with self._lock:
            for pid in [known for known in self._processes if known not in wanted]:
                self._forget_process(pid)
            for pid in wanted - self._processes.keys():
                try:
                    descriptor = os.pidfd_open(pid)
                except ProcessLookupError:
                    self._wake(Event(Kind.EXIT, str(pid)))
                    continue
                self._processes[pid] = descriptor
                self._register(descriptor, Event(Kind.EXIT, str(pid)))

    def run(self) -> None:
        while True:
            ready = {descriptor for descriptor, _ in self._poll.poll()}
            if self._stop_read in ready:
                return
            with self._lock:
                events = {event for descriptor in ready for event in self._take(descriptor)}
            for event in events:
                self._wake(event)

    def stop(self) -> None:
        """End the thread and close everything."""
        os.write(self._stop_write, b"x")
        if self.is_alive():
            self.join()
        for known in self._namespaces.values():
            for each in known.sockets:
                each.close()
        for descriptor in (*self._processes.values(), self._names, self._stop_read, self._stop_write):
            os.close(descriptor)
        self._poll.close()

    def _add_namespace(self, name: str, identity: int | None) -> None:
        heard = {Kind.LINKS: _listen(socket.NETLINK_ROUTE, LINK_GROUPS)}
        with suppress(OSError):  # a kernel without netfilter has no rules to hear of
            heard[Kind.RULES] = _listen(NETLINK_NETFILTER, RULE_GROUPS)
        self._namespaces[name] = _Namespace(identity=identity, sockets=tuple(heard.values()))
        for kind, listener in heard.items():
            self._register(listener.fileno(), Event(kind, name))

    def _register(self, descriptor: int, event: Event) -> None:
        self._watched[descriptor] = event
        self._poll.register(descriptor, select.EPOLLIN)

    def _forget(self, descriptor: int) -> None:
        del self._watched[descriptor]
        self._poll.unregister(descriptor)

    def _forget_process(self, pid: int) -> None:
        descriptor = self._processes.pop(pid)
        self._forget(descriptor)
        os.close(descriptor)

    def _take(self, descriptor: int) -> Iterable[Event]:
        """What a ready descriptor tells; nothing where it was let go meanwhile."""
        event = self._watched.get(descriptor)
        if event is None:
            return ()
        if event.kind is Kind.EXIT:
            self._forget_process(int(event.name))
        elif event.kind is Kind.NAMES:
            return {Event(Kind.NAMES, name) for name in _changed_names(descriptor)}
        else:
            _drain(descriptor)
        return (event,)


def _listen(family: int, groups: int) -> socket.socket:
    listener = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK, family)
    listener.bind((0, groups))
    return listener


def _drain(descriptor: int) -> None:
    """Take what has come. A lost message (ENOBUFS) is as good as one: something changed."""
    while True:
        try:
            os.read(descriptor, 1 << 16)
        except BlockingIOError:
            return
        except OSError:
            continue


def _watch_names() -> int:
    """An inotify descriptor for names that come to and go from the directory of namespaces."""
    with suppress(FileExistsError):
        netns.DIRECTORY.mkdir(mode=0o755, parents=True)
    descriptor: int = _libc.inotify_init1(IN_CLOEXEC | os.O_NONBLOCK)
    if descriptor < 0 or _libc.inotify_add_watch(descriptor, os.fsencode(netns.DIRECTORY), IN_CREATE | IN_DELETE) < 0:
        raise Unreachable(f"{netns.DIRECTORY} cannot be watched: {os.strerror(ctypes.get_errno())}")
    return descriptor


def _changed_names(descriptor: int) -> Iterable[str]:
    try:
        events = os.read(descriptor, 1 << 16)
    except BlockingIOError:
        return
    offset = 0
    while offset < len(events):
        *_, length = _inotify_event.unpack_from(events, offset)
        offset += _inotify_event.size
        yield events[offset : offset + length].rstrip(b"\0").decode(errors="replace")
        offset += length
