"""Says at once when bridges, ports or interfaces change in OVSDB. Reads nothing for anybody: events only wake.

RFC 7047, 4.1.5 and 4.1.6. Counters and states of links are not watched.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

from warren.agent.drivers.jsonrpc import Connection
from warren.agent.drivers.ovsdb import COLUMNS, DATABASE
from warren.core.errors import DriverError

FIRST_RETRY_S: Final = 0.05
LAST_RETRY_S: Final = 2.0


class OvsdbMonitor(threading.Thread):
    """Calls `wake` with the names of what changed, from its own thread, until `stop`.

    Also after every (re)connection, with no names: what happened in between is unknown. `wake` must only take note.
    """

    def __init__(self, remote: str, wake: Callable[[frozenset[str]], None], timeout_s: float = 10.0) -> None:
        super().__init__(name="ovsdb-monitor", daemon=True)
        self._remote = remote
        self._wake = wake
        self._timeout_s = timeout_s
        self._stopped = threading.Event()
        self._connection: Connection | None = None
        self._retry_s = FIRST_RETRY_S

    def run(self) -> None:
        while not self._stopped.is_set():
            with suppress(DriverError):
                self._watch()
            self._stopped.wait(self._retry_s)
            self._retry_s = min(2 * self._retry_s, LAST_RETRY_S)

    def stop(self) -> None:
        """End the thread and wait for it."""
        self._stopped.set()
        if self._connection is not None:
            self._connection.close()
        self.join()

    def _watch(self) -> None:
        """Follow one connection until it breaks."""
        self._connection = connection = Connection(self._remote, self._timeout_s)
        try:
            if self._stopped.is_set():
                return
            names: dict[str, str] = {}
            _note(names, connection.call("monitor", [DATABASE, None, _REQUESTS]))
            self._wake(frozenset())
            self._retry_s = FIRST_RETRY_S
            connection.settimeout(None)
            for message in connection.messages():
                if message.get("method") == "update":
                    self._wake(_note(names, message["params"][1]))
        finally:
            connection.close()


_REQUESTS: Final = {
    table: {"columns": [column for column in columns if column != "_uuid"]} for table, columns in COLUMNS.items()
}


def _note(names: dict[str, str], updates: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    """The names of the rows in an update (RFC 7047, 4.1.6); keeps `names`, row -> name, up to date."""
    changed = set()
    for rows in updates.values():
        for uuid, row in rows.items():
            name = row.get("new", row.get("old", {})).get("name") or names.get(uuid)
            if name is not None:
                changed.add(name)
            if "new" not in row:
                names.pop(uuid, None)
            elif name is not None:
                names[uuid] = name
    return frozenset(changed)
