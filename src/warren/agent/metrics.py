"""What an agent counts, in the format of Prometheus, on a loopback address. Only imported where it is configured."""

from collections.abc import Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from warren.agent.loop import Outcome, Pass
from warren.core.errors import Unmet


class Metrics:
    """The numbers of one agent."""

    def __init__(self, listen: tuple[str, int]) -> None:
        """Serve them from now on.

        Raises:
            Unmet: the address is in use.
        """
        registry = CollectorRegistry()
        self._pass_seconds = Histogram("warren_agent_pass_seconds", "Duration of passes.", registry=registry)
        self._changes = Counter("warren_agent_changes", "Changes made on the host.", ["stage"], registry=registry)
        self._wrong = Gauge("warren_agent_wrong", "Objects that are not as desired.", ["stage"], registry=registry)
        self._revision = Gauge("warren_agent_revision", "Revision of the desired state.", registry=registry)
        try:
            start_http_server(listen[1], addr=listen[0], registry=registry)
        except OSError as error:
            raise Unmet(
                f"metrics cannot be served on {listen[0]}:{listen[1]} ({error.strerror}): change metrics.listen"
            ) from error

    def count(self, now: Pass, outcomes: Sequence[Outcome], *, took_s: float) -> None:
        """Take a pass in."""
        self._pass_seconds.observe(took_s)
        self._revision.set(now.state.revision)
        for outcome in outcomes:
            self._changes.labels(outcome.stage).inc(outcome.changes)
            self._wrong.labels(outcome.stage).set(len(outcome.wrong) + bool(outcome.failure))
