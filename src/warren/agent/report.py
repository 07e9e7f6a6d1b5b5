"""Tells the server what the host read back: at once when something changed, else as a sign of life.

The loop only leaves its newest picture here and goes on; one thread delivers. What the server already has is not said
again, and everything is said again after a report was lost or the server was found anew.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import structlog
from msgspec.structs import replace

from warren.agent.link import delays
from warren.agent.transport import Server
from warren.core.errors import DriverError
from warren.sync.messages import ObjectStatus, Report

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """What is true of the host: object key -> status, and what keeps it from its desired state."""

    revision: int = 0
    objects: Mapping[str, ObjectStatus] = field(default_factory=dict)
    errors: tuple[str, ...] = ()


def difference(identity: Report, picture: Picture, delivered: Picture | None) -> Report:
    """The report that brings a server, which has `delivered` (None: nothing is known of it), to `picture`."""
    objects = dict(picture.objects)
    complete = delivered is None or not delivered.objects.keys() <= objects.keys()
    if delivered is not None and not complete:
        objects = {key: status for key, status in objects.items() if delivered.objects.get(key) != status}
    return replace(identity, revision=picture.revision, complete=complete, objects=objects, errors=picture.errors)


class Reporter:
    """Delivers the newest picture. `identity` is what every report says of the agent itself."""

    def __init__(self, server: Server, identity: Report, interval_s: float) -> None:
        self._server = server
        self._identity = identity
        self._interval_s = interval_s
        self._changed = threading.Condition()
        self._picture: Picture | None = None
        self._delivered: Picture | None = None
        self._is_due = False

    def show(self, picture: Picture) -> None:
        """Have this picture delivered; never waits for the server."""
        with self._changed:
            self._is_due |= picture != self._delivered
            self._picture = picture
            self._changed.notify()

    def say_all_again(self) -> None:
        """The server may have forgotten or be another one: deliver everything."""
        with self._changed:
            self._delivered = None
            self._is_due = True
            self._changed.notify()

    def start(self) -> None:
        """Deliver in the background; ends with the process."""
        threading.Thread(target=self.deliver, name="reporter", daemon=True).start()

    def deliver(self) -> None:
        """Deliver pictures for ever."""
        waits, said = delays(), ""
        while True:
            picture, delivered = self._next()
            try:
                self._server.report(difference(self._identity, picture, delivered))
            except DriverError as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("report.lost", because=said)
                self.say_all_again()
                time.sleep(next(waits))
            else:
                waits, said = delays(), ""
                self._was_delivered(picture, delivered)

    def _next(self) -> tuple[Picture, Picture | None]:
        """(what to deliver, what the server has), once there is news or the interval is over."""
        due_at = time.monotonic() + self._interval_s
        with self._changed:
            while self._picture is None or not self._is_due:
                left_s = due_at - time.monotonic()
                if self._picture is not None and left_s <= 0:
                    break
                self._changed.wait(max(left_s, 0.01) if self._picture is not None else None)
            self._is_due = False
            return self._picture, self._delivered

    def _was_delivered(self, picture: Picture, on_top_of: Picture | None) -> None:
        """Note it, unless everything was asked for again meanwhile."""
        with self._changed:
            if self._delivered is on_top_of:
                self._delivered = picture
