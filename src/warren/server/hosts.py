"""The hosts' agents: who lives, what they report, and what runs where because of it.

Heartbeats are kept in memory and written down once a second, all in one transaction: a thousand agents that say "still
here" cost the disk no more than one. Only what a report changes is a commit. What is written is the wall clock's time,
for people and for other servers; who lives is never reckoned from it (`presence`): another server's heartbeat counts
from when it was seen here to have changed.
"""

import threading
import time
from datetime import datetime, timezone

import structlog

from warren.core.ids import HostName
from warren.server import policy
from warren.server.config import Config
from warren.server.context import Context
from warren.server.narrate import narrate
from warren.server.placement import place_all
from warren.server.policy import Caller
from warren.server.presence import Presence, alive_when_last_heard
from warren.server.rules import reports
from warren.server.snapshot import Snapshot
from warren.server.store.store import Rule, Store
from warren.sync.messages import Report

log: structlog.stdlib.BoundLogger = structlog.get_logger()

NOBODY = Caller(user_id="", project_id="", roles=frozenset({policy.ADMIN_ROLE}))
"""The server itself, when it places routers or takes a report."""


class Hosts:
    """Every host that ever reported."""

    def __init__(self, store: Store, config: Config) -> None:
        self._store = store
        self._config = config
        self._lock = threading.Lock()
        self._heard: dict[HostName, float] = {HostName(host): at for host, at in store.heartbeats().items()}
        self._unwritten: set[HostName] = set()
        alive = alive_when_last_heard(self._heard, time.time(), config.agent_down_time_s)
        self._presence = Presence.begin(time.monotonic(), config.agent_down_time_s, alive)
        self._settled: tuple[int, frozenset[HostName]] | None = None
        """Revision and living hosts for which nothing was left to place."""

    def heartbeats(self) -> dict[HostName, float]:
        """Host -> Unix time of its last report."""
        with self._lock:
            return dict(self._heard)

    def alive(self) -> frozenset[HostName]:
        """Hosts whose agent reported lately; to a server that has just started, lately before it stopped, too."""
        with self._lock:
            return self._presence.alive(time.monotonic())

    def context(self, caller: Caller) -> Context:
        """The circumstances of a request that comes now."""
        at = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        return Context(caller=caller, at=at, alive=self.alive(), offer=self._config.offer)

    def report(self, host: HostName, said: Report) -> None:
        """Take an agent's report."""
        with self._lock:
            self._presence.heard(time.monotonic(), [host])
            self._heard[host] = time.time()
            self._unwritten.add(host)
        context = self.context(NOBODY)
        now = self._store.snapshot
        reported = reports.report(now, context, host, said)
        if now.effective(reported.change):
            self._commit(lambda now: reports.report(now, context, host, said).change)
        if reported.foreign:
            log.warning("report.foreign", host=host, ignored=sorted(reported.foreign))

    def exchange_heartbeats(self) -> None:
        """Write down who reported here, and read who reported to other servers on this database.

        Raises:
            Unreachable: the database cannot be written now; what was to be written is kept for the next time.
        """
        with self._lock:
            unwritten = {host: self._heard[host] for host in self._unwritten}
        if unwritten:
            self._store.write_heartbeats({str(host): at for host, at in unwritten.items()})
        with self._lock:
            self._unwritten -= {host for host, at in unwritten.items() if self._heard[host] == at}
        written = {HostName(host): at for host, at in self._store.heartbeats().items()}
        with self._lock:
            elsewhere = {host: at for host, at in written.items() if host not in self._unwritten}
            news = {host: at for host, at in elsewhere.items() if self._heard.get(host) != at}
            self._heard |= news
            self._presence.heard(time.monotonic(), news)

    def _commit(self, rule: Rule) -> Snapshot:
        commit = self._store.commit(rule)
        for event, fields in narrate(commit.before, commit.after, commit.change):
            log.info(event, **fields, revision=commit.after.revision)
        return commit.after

    def place(self) -> None:
        """Move what runs on hosts that died or are drained; bind what can be bound now."""
        context = self.context(NOBODY)
        now = self._store.current()
        if (now.revision, context.alive) == self._settled:
            return
        if now.effective(place_all(now, context)):
            now = self._commit(lambda now: place_all(now, context))
        self._settled = (now.revision, context.alive)
