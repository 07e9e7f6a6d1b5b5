"""What is said of passes: lines of log, numbers, and the picture that the server is told."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from warren.agent.loop import Outcome, Pass
from warren.agent.report import Picture
from warren.agent.status import picture

if TYPE_CHECKING:
    from warren.agent.metrics import Metrics

log = structlog.get_logger()


class Account:
    """Remembers what was said last, so that only news is said."""

    def __init__(self, metrics: "Metrics | None") -> None:
        self._metrics = metrics
        self._picture = Picture()
        self._complaints: set[tuple[str, str]] = set()
        self._is_ready = False

    def of(self, now: Pass, outcomes: Sequence[Outcome], *, took_s: float) -> Picture:
        """Take a pass in; what is true of the host after it."""
        self._picture = picture(now, outcomes, self._picture)
        self._complain(outcomes)
        self._sum_up(now, outcomes, took_s)
        if self._metrics is not None:
            self._metrics.count(now, outcomes, took_s=took_s)
        return self._picture

    def _complain(self, outcomes: Sequence[Outcome]) -> None:
        """One line per complaint that is new, one when it is over. What is refused from the start is one as well."""
        complaints = {(key or "host", why) for outcome in outcomes for key, why in outcome.wrong.items()}
        known = {why for _, why in complaints}
        complaints |= {
            (key, each.reason)
            for key, each in self._picture.objects.items()
            if each.status == "error" and each.reason not in known
        }
        complaints |= {(outcome.stage, outcome.failure) for outcome in outcomes if outcome.failure}
        for subject, why in sorted(complaints - self._complaints):
            log.warning("object.wrong", object=subject, because=why)
        for subject, why in sorted(self._complaints - complaints):
            log.info("object.right", object=subject, was=why)
        self._complaints = complaints

    def _sum_up(self, now: Pass, outcomes: Sequence[Outcome], took_s: float) -> None:
        """One line for the first pass, and for each that changed something."""
        changes = sum(outcome.changes for outcome in outcomes)
        say = log.info if changes or not self._is_ready else log.debug
        say(
            "pass.done" if self._is_ready else "agent.ready",
            revision=now.state.revision,
            stages=len(outcomes),
            changes=changes,
            failed=len(self._complaints),
            took_ms=round(1000 * took_s),
            slowest=max(outcomes, key=lambda outcome: outcome.took_ms).stage,
            because=",".join(sorted({reason.source.value for reason in now.reasons})),
        )
        self._is_ready = True
