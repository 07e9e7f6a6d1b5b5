"""Within one bridge: loops, flows that lead nowhere, flows that can never match."""

from collections.abc import Iterator, Mapping
from typing import Final, TypeAlias

from warren.inspect.parse import fields as f
from warren.inspect.parse.actions import Action, Conjunction, Ct, Nested
from warren.inspect.parse.fields import Field
from warren.inspect.parse.values import PORTS
from warren.inspect.snapshot.model import Bridge
from warren.inspect.verify.facts import HostFacts
from warren.inspect.verify.finding import Finding, Severity
from warren.inspect.verify.tables import Rule, Tables, goes_to, outputs

_FIRST_RESERVED: Final = 0xFF00
_Shape: TypeAlias = tuple[tuple[Field, int], ...]
"""Which bits of which cells a match looks at."""


def flow_findings(facts: HostFacts) -> Iterator[Finding]:
    """Of all bridges of one host whose flows were captured."""
    for bridge in facts.host.bridges:
        tables = facts.tables[bridge.name]
        if tables.rules:
            yield from _nowhere(facts, bridge, tables)
            yield from _empty_tables(facts, bridge, tables)
            yield from _shadowed(facts, bridge, tables)
    for bridge in facts.tunnel_bridges:
        yield from _loops(facts, bridge, facts.tables[bridge.name])


def _nowhere(facts: HostFacts, bridge: Bridge, tables: Tables) -> Iterator[Finding]:
    known = {port.ofport for port in bridge.ports}
    if not known - {None}:
        return
    for rule in tables.rules:
        for ofport in sorted(outputs(rule.actions)):
            if ofport < _FIRST_RESERVED and ofport not in known:
                yield Finding(
                    kind="output-to-nowhere",
                    severity=Severity.RISK if rule.flow.hard_timeout_s else Severity.OUTAGE,
                    host=facts.name,
                    object=f"{bridge.name} table {rule.flow.table}",
                    what=f"frames go to a port that {bridge.name} does not have"
                    + (f", {ofport}: they are lost" if ofport >= 0 else ": they are lost"),
                    mend="remove the flow, or have the agent write it anew for the port's present number",
                    evidence=(f"{bridge.name}: {rule}",),
                )


def _empty_tables(facts: HostFacts, bridge: Bridge, tables: Tables) -> Iterator[Finding]:
    seen: set[int | str] = set()
    for rule in tables.rules:
        for table in _next_tables(rule.actions, rule.flow.table):
            if table not in tables.by_table and table not in seen:
                seen.add(table)
                yield Finding(
                    kind="table-without-flows",
                    severity=Severity.OUTAGE,
                    host=facts.name,
                    object=f"{bridge.name} table {table}",
                    what=f"frames are sent to table {table}, which has no flow: they are lost",
                    mend="restore the table's flows (restart the agent of Neutron; Warren's does it by itself)",
                    evidence=(f"{bridge.name}: {rule}",),
                )


def _next_tables(actions: tuple[Action, ...], table: int | str) -> Iterator[int | str]:
    yield from goes_to(actions, table)
    for action in actions:
        if isinstance(action, Ct) and action.table is not None:
            yield action.table
        elif isinstance(action, Nested):
            yield from _next_tables(action.actions, table)


def _loops(facts: HostFacts, bridge: Bridge, tables: Tables) -> Iterator[Finding]:
    """What came from a tunnel must not go into one: peers flood to all, so it would go round for ever."""
    tunnels = {port.ofport: port for port in bridge.ports if port.is_tunnel}
    reached: list[int | str] = []
    for rule in tables.by_table.get(0, ()):
        if rule.match.exact(f.IN_PORT) in tunnels:
            reached += [table for table in _next_tables(rule.actions, 0) if table not in reached]
            yield from _into_tunnel(facts, bridge, rule, tunnels)
    for table in reached:
        for rule in tables.by_table.get(table, ()):
            if rule.match.get(f.IN_PORT) is not None and rule.match.exact(f.IN_PORT) not in tunnels:
                continue
            yield from _into_tunnel(facts, bridge, rule, tunnels)
            reached += [further for further in _next_tables(rule.actions, table) if further not in reached]


def _into_tunnel(
    facts: HostFacts, bridge: Bridge, rule: Rule, tunnels: Mapping[int | None, object]
) -> Iterator[Finding]:
    reserved = {PORTS["IN_PORT"], PORTS["FLOOD"], PORTS["ALL"]}
    into = outputs(rule.actions) & ({ofport for ofport in tunnels if ofport} | reserved)
    if into:
        yield Finding(
            kind="loop",
            severity=Severity.LEAK,
            host=facts.name,
            object=f"{bridge.name} table {rule.flow.table}",
            what="a frame from a tunnel goes into a tunnel again: broadcasts go round between the hosts for ever",
            mend="frames from tunnels must end at the patch to br-int; remove the flow that leads them here",
            evidence=(f"{bridge.name}: {rule}",),
        )


def _shadowed(facts: HostFacts, bridge: Bridge, tables: Tables) -> Iterator[Finding]:
    """Flows that can never match: one of higher priority matches all that they match, and does something else.

    Learned entries are left out (what is written ahead overrules them on purpose), and so are flows that match
    everything: a table's default below a mode's switch is no fault.
    """
    for table, rules in tables.by_table.items():
        shapes: dict[_Shape, dict[tuple[int, ...], Rule]] = {}
        for rule in sorted(rules, key=lambda rule: -rule.flow.priority):
            if rule.flow.hard_timeout_s or _is_clause(rule):
                continue
            above = _above(rule, shapes) if rule.match.terms else None
            if above and above.flow.priority > rule.flow.priority and above.actions != rule.actions:
                yield Finding(
                    kind="shadowed-flow",
                    severity=Severity.RISK,
                    host=facts.name,
                    object=f"{bridge.name} table {table}",
                    what="a flow can never match: one of higher priority takes every frame that it is for",
                    mend="remove the one that nobody asked for, or put their priorities right",
                    evidence=(f"{bridge.name}: {rule}", f"above it: {above}"),
                )
            shape = tuple((term.cell, term.mask) for term in rule.match.terms)
            shapes.setdefault(shape, {}).setdefault(tuple(term.value for term in rule.match.terms), rule)


def _is_clause(rule: Rule) -> bool:
    return rule.match.get(f.CONJ_ID) is not None or any(isinstance(action, Conjunction) for action in rule.actions)


def _above(rule: Rule, shapes: Mapping[_Shape, Mapping[tuple[int, ...], Rule]]) -> Rule | None:
    """A flow seen before (of higher or the same priority) that matches all that this one matches."""
    cells = {term.cell: term for term in rule.match.terms}
    for shape, known in shapes.items():
        if all(cell in cells and cells[cell].mask & mask == mask for cell, mask in shape):
            found = known.get(tuple(cells[cell].value & mask for cell, mask in shape))
            if found and found.flow.priority > rule.flow.priority:
                return found
    return None
