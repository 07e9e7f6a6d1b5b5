"""Says at once when somebody changes a bridge's flows or ports, and when ovs-vswitchd goes and comes. Events only wake.

Speaks just enough OpenFlow 1.0 itself to ask for Nicira's flow monitor (include/openflow/nicira-ext.h of Open vSwitch,
`NXST_FLOW_MONITOR`) and for the status of ports: a process of `ovs-ofctl monitor` would outlive a killed agent. What
learn() does is not told, and no packet is.
"""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from warren.pipeline.cookies import LEARNED

RETRY_S: Final = 0.02

_HEADER: Final = struct.Struct("!BBHI")
_VERSION: Final = 1
_HELLO, _ECHO_REQUEST, _ECHO_REPLY, _VENDOR_MESSAGE, _SET_CONFIG, _STATS_REQUEST, _STATS_REPLY = 0, 2, 3, 4, 9, 16, 17
_PORT_STATUS: Final = 12
_VENDOR: Final = struct.Struct("!HHII4x")
_OFPST_VENDOR, _NICIRA, _FLOW_MONITOR = 0xFFFF, 0x2320, 2
_REQUEST: Final = struct.Struct("!IHHHB5x")
_ADD_DELETE_MODIFY, _ANY_PORT, _ALL_TABLES = 0x0E, 0xFFFF, 0xFF
_ONLY_PORTS: Final = struct.pack("!II6I", _NICIRA, 19, 0, 0, 7, 7, 0, 0)
"""`NXT_SET_ASYNC_CONFIG`: no packets, every status of ports, no ends of flows."""
_SEND: Final = struct.pack("!HH", 0, 1)
"""`OFPT_SET_CONFIG` with a length of packets, without which a management socket is told nothing (ofproto/connmgr.c)."""
_PORT: Final = struct.Struct("!B7xH6x16sI")
"""reason, port, name, config."""
_MODIFIED: Final = 2
_UPDATE: Final = struct.Struct("!HHHHHHHBxQ")
"""length, event, reason, priority, idle_timeout, hard_timeout, match_len, table, cookie."""
_UPDATE_EVENTS: Final = frozenset({0, 1, 2})
"""added, deleted, modified; other events have no cookie."""


class FlowMonitor(threading.Thread):
    """Calls back with one sentence per event, from its own thread, until `stop`. Who is called must only take note.

    `wake` hears of flows and of ovs-vswitchd, `wake_ports` of ports that somebody keeps from something.
    """

    def __init__(
        self, bridge: str, rundir: Path, wake: Callable[[str], None], wake_ports: Callable[[str], None]
    ) -> None:
        super().__init__(name=f"flow-monitor-{bridge}", daemon=True)
        self._bridge = bridge
        self._path = str(rundir / f"{bridge}.mgmt")
        self._wake = wake
        self._wake_ports = wake_ports
        self._stopped = threading.Event()
        self._socket: socket.socket | None = None

    def run(self) -> None:
        while not self._stopped.is_set():
            with suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                connection.connect(self._path)
                self._socket = connection
                if not self._stopped.is_set():
                    self._watch(connection)
            self._stopped.wait(RETRY_S)

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopped.set()
        if self._socket is not None:
            with suppress(OSError):
                self._socket.shutdown(socket.SHUT_RDWR)
        self.join()

    def _watch(self, connection: socket.socket) -> None:
        ask_of_ports = _message(_VENDOR_MESSAGE, _ONLY_PORTS) + _message(_SET_CONFIG, _SEND)
        connection.sendall(_message(_HELLO) + ask_of_ports + _monitor_request())
        self._wake(f"{self._bridge}: ovs-vswitchd is there")
        try:
            self._follow(connection)
        finally:
            if not self._stopped.is_set():
                self._wake(f"{self._bridge}: ovs-vswitchd is gone")

    def _follow(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as stream:
            while len(header := stream.read(_HEADER.size)) == _HEADER.size:
                _, kind, length, xid = _HEADER.unpack(header)
                body = stream.read(max(0, length - _HEADER.size))
                if kind == _ECHO_REQUEST:
                    connection.sendall(_message(_ECHO_REPLY, body, xid))
                elif kind == _STATS_REPLY:
                    for cookie in changed_cookies(body):
                        self._wake(f"{self._bridge}: a flow with cookie {cookie:#x} changed")
                elif kind == _PORT_STATUS and (name := kept_port(body)):
                    self._wake_ports(f"{self._bridge}: port {name} is kept from something")


def changed_cookies(body: bytes) -> Iterator[int]:
    """The cookies of the changed flows in the body of a flow monitor's message, without learned ones."""
    offset = _VENDOR.size
    while offset + 4 <= len(body):
        length, event = struct.unpack_from("!HH", body, offset)
        if event in _UPDATE_EVENTS and offset + _UPDATE.size <= len(body):
            cookie = _UPDATE.unpack_from(body, offset)[-1]
            if cookie != LEARNED:
                yield cookie
        if length == 0:
            return
        offset += length


def kept_port(body: bytes) -> str | None:
    """The name of the port in a status message, if somebody has just kept it from anything."""
    reason, _, name, config = _PORT.unpack_from(body)
    return name.rstrip(b"\0").decode(errors="replace") if reason == _MODIFIED and config else None


def _monitor_request() -> bytes:
    ask = _REQUEST.pack(1, _ADD_DELETE_MODIFY, _ANY_PORT, 0, _ALL_TABLES)
    return _message(_STATS_REQUEST, _VENDOR.pack(_OFPST_VENDOR, 0, _NICIRA, _FLOW_MONITOR) + ask)


def _message(kind: int, body: bytes = b"", xid: int = 1) -> bytes:
    return _HEADER.pack(_VERSION, kind, _HEADER.size + len(body), xid) + body
