"""All that is wrong with an estate."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from warren.core.errors import Impossible
from warren.core.state import HostState
from warren.inspect.parse.problem import Problem
from warren.inspect.parse.text import printable
from warren.inspect.snapshot.model import Estate, Host
from warren.inspect.verify.asked import asked_findings
from warren.inspect.verify.entries import entry_findings
from warren.inspect.verify.facts import EstateFacts, HostFacts, host_facts
from warren.inspect.verify.filters import filter_findings
from warren.inspect.verify.finding import Finding, worst_first
from warren.inspect.verify.flows import flow_findings
from warren.inspect.verify.intent import intent_findings
from warren.inspect.verify.interfaces import interface_findings, mtu_findings
from warren.inspect.verify.isolation import isolation_findings
from warren.inspect.verify.routing import routing_findings
from warren.inspect.verify.settings import setting_findings
from warren.inspect.verify.tunnels import deaf_tunnels, tunnel_findings
from warren.inspect.verify.vlans import trunk_findings, vlan_findings

NO_INTENT: Final[Mapping[str, HostState]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The faults, worst first, and what could not be read and so was not judged."""

    findings: tuple[Finding, ...]
    problems: tuple[Problem, ...]
    hosts: tuple[str, ...]


def verify(estate: Estate, intents: Mapping[str, HostState] = NO_INTENT) -> Report:
    """Judge an estate, against intent where a host's is known.

    Flows are read host by host and let go again, so that hundreds of hosts fit into memory.
    """
    findings: list[Finding] = []
    problems: list[Problem] = [*estate.problems]
    kept: list[HostFacts] = []
    for host in estate.hosts:
        facts = host_facts(host, estate.names)
        findings += _of_one_host(facts)
        if host.name in intents:
            try:
                findings += _against_intent(host, intents[host.name])
            except (ValueError, Impossible) as error:  # what a server never sends: the captured file is damaged
                problems.append(_unusable_intent(host, error))
        problems += [*host.problems, *facts.problems]
        problems += [
            replace(problem, file=f"{host.name}/{problem.file}")
            for tables in facts.tables.values()
            for problem in tables.problems
        ]
        kept.append(facts.without_rules())
    together = EstateFacts(estate=estate, hosts=tuple(kept))
    findings += _of_all_hosts(together)
    return Report(
        findings=worst_first(findings), problems=tuple(problems), hosts=tuple(host.name for host in estate.hosts)
    )


def _against_intent(host: Host, state: HostState) -> list[Finding]:
    """What of a host's flows and settings is not as desired.

    Raises:
        ValueError, Impossible: the desired state cannot be rendered.
    """
    return [*intent_findings(host, state), *setting_findings(host, state)]


def _unusable_intent(host: Host, error: Exception) -> Problem:
    file = host.intent.file if host.intent else "the desired state"
    return Problem(file=f"{host.name}/{file}", line=1, column=1, message=f"cannot be rendered: {printable(str(error))}")


def _of_one_host(facts: HostFacts) -> Iterator[Finding]:
    """What needs all flows of a host and no other host."""
    yield from flow_findings(facts)
    yield from deaf_tunnels(facts)
    yield from trunk_findings(facts)
    yield from interface_findings(facts)
    yield from routing_findings(facts)
    yield from filter_findings(facts)
    yield from isolation_findings(facts)


def _of_all_hosts(estate: EstateFacts) -> Iterator[Finding]:
    """What is seen only with other hosts beside it."""
    for facts in estate.hosts:
        yield from vlan_findings(facts, estate)
    yield from tunnel_findings(estate)
    yield from entry_findings(estate)
    yield from mtu_findings(estate)
    yield from asked_findings(estate)
