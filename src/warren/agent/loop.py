"""One pass over the host: every stage once, in order. Decides nothing about networking and carries nothing over.

A pass is given the desired state and why it runs; the stages read, render, plan and apply. There is no retry table
and no case for a restarted switch: what is still different at the next read is planned again, and an empty switch is
a large plan.
"""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Final, NamedTuple, Protocol

from warren.agent.drivers.namespaces import Announcement
from warren.core.errors import DriverError, Unmet
from warren.core.state import HostState
from warren.pipeline.switch import Switch


class Source(str, Enum):
    """What asks for a pass, and so where it looks even if nothing new is desired there."""

    STATE = "state"
    OVSDB = "ovsdb"
    FLOWS = "flows"
    """With the name of a bridge."""
    PORTS = "ports"
    """A port of the switch is kept from something by OpenFlow."""
    LINKS = "links"
    """Links, addresses, routes, their rules or forwarding, with the name of a namespace; empty: the host's own."""
    RULES = "rules"
    """iptables rules, with the name of a namespace likewise."""
    NAMES = "names"
    """A namespace came or went, with its name."""
    EXIT = "exit"
    """A process that the host needs ended."""
    AUDIT = "audit"
    RETRY = "retry"


class Reason(NamedTuple):
    """Why a pass runs."""

    source: Source
    name: str = ""


AUDIT: Final = Reason(Source.AUDIT)
RETRY: Final = Reason(Source.RETRY)


@dataclass(slots=True, kw_only=True)
class Pass:
    """What is known in one pass. Stages add what later ones need."""

    state: HostState
    reasons: frozenset[Reason] = frozenset({AUDIT})
    is_dry: bool = False
    """Plan, say so, change nothing."""
    forget: Callable[[Reason], None] = field(default=lambda _: None)
    """Called with what is about to be read: reasons that came until now are answered by that."""
    switch: Switch | None = None
    """By `bridges`: the switch after its rows were applied."""
    held_back: dict[str, str] = field(default_factory=dict)
    """Key of a port -> why it must not pass frames: something that protects it is not in place."""
    lost_interfaces: set[str] = field(default_factory=set)
    """By `namespaces`: interfaces of the switch that are neither on the host nor where they belong."""
    announcements: list[Announcement] = field(default_factory=list)
    """By `namespaces`: addresses whose neighbours must hear of them once frames can leave."""

    @property
    def looks_everywhere(self) -> bool:
        """Whether to read everything, although it was as desired when last seen."""
        return bool(self.reasons & {AUDIT, RETRY})

    def named(self, source: Source) -> frozenset[str]:
        """The names that a source gave."""
        return frozenset(reason.name for reason in self.reasons if reason.source is source)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one stage in one pass.

    `wrong`: key of a state object -> what keeps it from being as desired, after reading back; an empty key is the host
    itself. `failure`: why the stage as a whole could not do its work; empty when it could.
    """

    stage: str
    changes: int = 0
    wrong: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""
    took_ms: float = 0.0


class Stage(Protocol):
    """One part of a host. `needs` names stages without which there is nothing sensible to do here."""

    name: str
    needs: frozenset[str]

    def run(self, now: Pass) -> Outcome: ...


def run_pass(now: Pass, stages: Iterable[Stage]) -> tuple[Outcome, ...]:
    """Run every stage once. A failure stops its dependents and nothing else; the next pass retries it."""
    outcomes: list[Outcome] = []
    for stage in stages:
        missing = [outcome.stage for outcome in outcomes if outcome.failure and outcome.stage in stage.needs]
        if missing:
            outcomes.append(Outcome(stage=stage.name, failure=f"{stage.name} waits for {', '.join(missing)}"))
        else:
            outcomes.append(_attempt(stage, now))
    return tuple(outcomes)


def _attempt(stage: Stage, now: Pass) -> Outcome:
    started_at = time.monotonic()
    try:
        outcome = stage.run(now)
    except (DriverError, Unmet) as error:
        outcome = Outcome(stage=stage.name, failure=str(error))
    return replace(outcome, took_ms=1000 * (time.monotonic() - started_at))
