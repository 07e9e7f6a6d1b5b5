"""The agent's process: puts its parts together and runs passes for ever. The outermost loop is here."""

import math
import os
import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import structlog

from warren import __version__
from warren.agent.account import Account
from warren.agent.config import AgentConfig
from warren.agent.disk import StateDirectory
from warren.agent.drivers.dnsmasq import Dnsmasq as DnsmasqDriver
from warren.agent.drivers.ovsdb import Ovsdb
from warren.agent.link import StateLink, delays
from warren.agent.lock import Lock
from warren.agent.loop import AUDIT, RETRY, Outcome, Pass, Reason, Source, Stage, run_pass
from warren.agent.preflight import check, layout_of, run_directory
from warren.agent.report import Reporter
from warren.agent.stages.bridges import Bridges
from warren.agent.stages.dnsmasq import Dnsmasq
from warren.agent.stages.filters import Filters
from warren.agent.stages.flows import Flows
from warren.agent.stages.namespaces import Namespaces
from warren.agent.stages.ports import Ports
from warren.agent.stages.replug import Replug
from warren.agent.stages.underlay import Underlay
from warren.agent.status import MEMORY
from warren.agent.transport import Server
from warren.agent.wake import Wake
from warren.agent.watch import Watch
from warren.core.errors import DriverError, Rejected
from warren.pipeline.view import Layout
from warren.sync.messages import Report, Snapshot

if TYPE_CHECKING:
    from warren.agent.metrics import Metrics

DNSMASQ_DIRECTORY: Final = "dhcp"
SWITCH_LOCK: Final = "warren-agent.lock"
"""In the run directory of Open vSwitch: two agents with a state_dir each must not share a switch either."""
ONCE_WAIT_S: Final = 5.0
"""How long a single pass waits for the server before it takes what is on disk."""

log = structlog.get_logger()


class Agent:
    """One host's agent."""

    def __init__(self, config: AgentConfig) -> None:
        """Look the host over; nothing on it is changed.

        Raises:
            Unmet: something is missing on this host.
        """
        self._config = config
        self._layout = layout_of(config, check(config, Ovsdb(config.ovs.db)))
        self._disk = StateDirectory(config.state_dir)
        self._switch_lock = Lock(run_directory(config) / SWITCH_LOCK)
        self._dnsmasq = DnsmasqDriver(config.state_dir / DNSMASQ_DIRECTORY)
        self._wake = Wake()
        server = Server(config.server, config.host, config.roles)
        identity = _identity(config, self._layout)
        self._name = str(identity.started_at)
        """What this process alone is called."""
        self._reporter = Reporter(server, identity, config.report_interval_s)
        self._link = StateLink(server, _remembered(self._disk), self._state_changed, self._server_found)
        self._remembered = self._link.state

    def run(self) -> None:
        """Keep the host as it should be; never returns.

        Raises:
            Unmet: another agent runs, or the metrics' address is in use.
        """
        self._hold()
        threading.excepthook = _end
        account = Account(_metrics(self._config))
        log.info(
            "agent.start",
            host=self._config.host,
            version=__version__,
            datapath_type=self._layout.datapath_type,
            revision=self._remembered.revision if self._remembered else None,
        )
        self._link.start(self._name)
        self._reporter.start()
        watch = Watch(self._config, self._wake)
        while True:
            try:
                self._run_passes(self._stages(), account, watch)
            except Exception:
                log.exception("pass.broken", mend="a mistake in Warren: please report it; the host is read anew")
                time.sleep(1.0)

    def run_once(self, *, is_dry: bool, wait_s: float = ONCE_WAIT_S) -> tuple[Outcome, ...]:
        """One pass over everything, with the server's state or, if it does not answer in time, the one on disk.

        Raises:
            Rejected: there is no state at all.
            Unmet: another agent runs, and this is not dry.
        """
        if not is_dry:
            self._hold()
        self._link.start("" if is_dry else self._name)
        self._wake.wait(wait_s)
        state = self._link.state
        if state is None:
            url = self._config.server.url
            raise Rejected(f"the server {url} gave no state within {wait_s:g} s, and there is none on disk")
        return run_pass(Pass(state=state, is_dry=is_dry), self._stages())

    def _hold(self) -> None:
        """Be the host's only agent.

        Raises:
            Unmet: there is another.
        """
        self._disk.hold()
        self._switch_lock.hold()

    def _stages(self) -> tuple[Stage, ...]:
        """The stages in their order, knowing nothing yet of the host."""
        ovsdb = Ovsdb(self._config.ovs.db)
        return (
            Bridges(ovsdb, self._layout),
            Underlay(self._layout.underlay_interface, self._config.tunnel.local_ip),
            Filters(self._config.plug),
            Namespaces(),
            Flows(self._layout, run_directory(self._config)),
            Ports(self._layout, run_directory(self._config)),
            Replug(ovsdb, self._layout),
            Dnsmasq(self._dnsmasq),
        )

    def _state_changed(self) -> None:
        self._wake.because(Reason(Source.STATE))

    def _server_found(self) -> None:
        self._reporter.say_all_again()
        self._state_changed()

    def _run_passes(self, stages: Sequence[Stage], account: Account, watch: Watch) -> None:
        """Pass after pass: at every event, at every audit, and soon again while something is wrong."""
        audit_at_s, retry_at_s, waits = 0.0, math.inf, delays()
        while True:
            reasons = self._wake.wait(min(audit_at_s, retry_at_s) - time.monotonic())
            if time.monotonic() >= audit_at_s:
                reasons |= {AUDIT}
                audit_at_s = time.monotonic() + self._config.audit_interval_s
            if time.monotonic() >= retry_at_s:
                reasons |= {RETRY}
                retry_at_s = math.inf
            if not reasons:
                continue
            if self._run_pass(stages, reasons, account, watch):
                retry_at_s, waits = math.inf, delays()
            elif math.isinf(retry_at_s):
                retry_at_s = time.monotonic() + next(waits)

    def _run_pass(self, stages: Sequence[Stage], reasons: frozenset[Reason], account: Account, watch: Watch) -> bool:
        """One pass; whether the host was read back as desired."""
        started_at = time.monotonic()
        state = self._link.state
        if state is None:
            return True
        remembered = self._remember()
        if any(reason.source is Source.NAMES for reason in reasons):
            watch.namespaces()
        now = Pass(state=state, reasons=reasons, forget=self._wake.forget)
        outcomes = (remembered, *run_pass(now, stages))
        self._reporter.show(account.of(now, outcomes, took_s=time.monotonic() - started_at))
        watch.namespaces()
        if AUDIT in reasons or any(outcome.changes for outcome in outcomes if outcome.stage == Dnsmasq.name):
            watch.processes(self._dnsmasq.pids())
        return not now.held_back and not any(outcome.failure or outcome.wrong for outcome in outcomes)

    def _remember(self) -> Outcome:
        """Put the newest state on disk before it is applied, so that a restart goes on from it, never back.

        The host follows it all the same where that fails; only a restart without the server would go back.
        """
        state = self._link.state
        if state is not self._remembered or not self._disk.has_state():
            try:
                self._disk.write(self._link.to_remember())
            except DriverError as error:
                return Outcome(stage=MEMORY, failure=str(error))
            self._remembered = state
        return Outcome(stage=MEMORY)


def _end(broken: threading.ExceptHookArgs) -> None:
    """A thread that broke would be missed by nobody: end the process. The host stays as it is; it is started again."""
    thread = broken.thread.name if broken.thread else "a thread"
    log.error("thread.broken", thread=thread, because=repr(broken.exc_value), mend="a mistake in Warren: report it")
    os._exit(1)


def _metrics(config: AgentConfig) -> "Metrics | None":
    if config.metrics_listen is None:
        return None
    from warren.agent.metrics import Metrics  # noqa: PLC0415 - costs memory that most agents need not have

    return Metrics(config.metrics_listen)


def _remembered(disk: StateDirectory) -> Snapshot | None:
    """The state of the last run. One that cannot be used is as good as none: the server has it too."""
    try:
        return disk.read()
    except Rejected as error:
        log.warning("state.unusable", because=str(error))
        return None


def _identity(config: AgentConfig, layout: Layout) -> Report:
    """What every report says of this agent."""
    return Report(
        revision=0,
        version=__version__,
        started_at=time.time(),
        roles=config.roles,
        vtep_ip=layout.local_ip,
        tunnel_types=tuple(kind.value for kind in config.tunnel.types),
        datapath_type=layout.datapath_type,
        plug=config.plug.value,
        bridge_mappings=config.bridge_mappings,
    )
