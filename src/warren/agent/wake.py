"""Why the loop runs a pass: reasons from every source, gathered into one wake-up.

A reason says where to look first, never what to do there. However many come while a pass runs, they cause one further
pass.
"""

import threading
import time

from warren.agent.loop import Reason


class Wake:
    """Gathers reasons from any thread; one thread waits for them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reasons: set[Reason] = set()

    def because(self, *reasons: Reason) -> None:
        """Ask for a pass."""
        with self._changed:
            self._reasons.update(reasons)
            self._changed.notify()

    def forget(self, reason: Reason) -> None:
        """Drop a reason that is being looked into right now; one that comes later counts."""
        with self._changed:
            self._reasons.discard(reason)

    def wait(self, timeout_s: float) -> frozenset[Reason]:
        """The reasons since the last call, as soon as there is one; none after `timeout_s`."""
        ends_at = time.monotonic() + timeout_s
        with self._changed:
            while not self._reasons and (left_s := ends_at - time.monotonic()) > 0:
                self._changed.wait(left_s)
            reasons, self._reasons = frozenset(self._reasons), set()
        return reasons
