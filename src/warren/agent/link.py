"""Keeps the desired state fresh: one thread that follows the server's state stream for as long as the agent lives.

Owns when to connect again. What a message means is `sync.session`'s, how it travels `transport`'s; what is done with a
new state is the loop's.
"""

import random
import threading
import time
from collections.abc import Callable, Iterator
from typing import Final

import structlog

from warren.agent.transport import Server
from warren.core.errors import DriverError
from warren.core.state import HostState
from warren.sync.messages import Snapshot
from warren.sync.session import AgentSession, Heard

FIRST_DELAY_S: Final = 0.1
DELAY_MAX_S: Final = 5.0

log = structlog.get_logger()


def delays() -> Iterator[float]:
    """Seconds before each further attempt: doubling up to a limit, each somewhere in the upper half.

    Spread, so that a thousand agents do not come back to a restarted server in one instant.
    """
    limit_s = FIRST_DELAY_S
    spread = random.Random()  # the process's own generator is not this thread's to move on
    while True:
        yield spread.uniform(limit_s / 2, limit_s)
        limit_s = min(2 * limit_s, DELAY_MAX_S)


class StateLink:
    """The newest desired state, followed in a thread of its own.

    `remembered` is where to start from; `on_state` is called after a newer state was adopted, `on_contact` at the first
    message of each conversation, both from the link's thread.
    """

    def __init__(
        self,
        server: Server,
        remembered: Snapshot | None,
        on_state: Callable[[], None],
        on_contact: Callable[[], None],
    ) -> None:
        self._session = AgentSession()
        if remembered is not None:
            self._session.received(remembered)
        self._server = server
        self._on_state = on_state
        self._on_contact = on_contact
        self._lock = threading.Lock()
        self.is_connected = False

    @property
    def state(self) -> HostState | None:
        """The newest state, or None: nothing was ever told or remembered."""
        return self._session.state

    def to_remember(self) -> Snapshot:
        """The newest state as it goes to disk."""
        with self._lock:
            return self._session.remembered()

    def start(self, agent: str = "") -> None:
        """Follow in the background, as the host's agent of that name or as one who looks; ends with the process."""
        threading.Thread(target=self.follow, args=[agent], name="state-link", daemon=True).start()

    def follow(self, agent: str) -> None:
        """Converse with the server, again and again; never returns."""
        waits, said = delays(), ""
        while True:
            try:
                self._converse(agent)
            except DriverError as error:
                if self.is_connected:
                    waits, said = delays(), ""
                if str(error) != said:
                    said = str(error)
                    log.warning("server.lost", because=said)
            self.is_connected = False
            time.sleep(next(waits))

    def _converse(self, agent: str) -> None:
        """One conversation, until it breaks or does not fit any more.

        Raises:
            Unreachable, Rejected: as `Server.stream`.
        """
        for message in self._server.stream(self._session.resume_point(), agent):
            with self._lock:
                heard = self._session.received(message)
            if heard is Heard.OUT_OF_STEP:
                log.warning("server.out_of_step", revision=message.revision, epoch=message.epoch)
                return
            if not self.is_connected:
                self.is_connected = True
                log.info("server.found", url=self._server.url, revision=message.revision)
                self._on_contact()
            if heard is Heard.ADOPTED:
                self._on_state()
