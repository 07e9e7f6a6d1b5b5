"""What the flows of a tunnel bridge say, known by their shape and not by table numbers.

So that Neutron's numbering of today, that of Havana, and Warren's are read alike: a flow that matches a tunnel id and
sets a VLAN lets a network in; one that matches a VLAN and no address, sets a tunnel id and sends, floods; and so on.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from warren.inspect.parse import fields as f
from warren.inspect.parse.actions import Action, GotoTable, Output, Resubmit, SetField, SetVlan
from warren.inspect.parse.dump import Flow, read_dump
from warren.inspect.parse.match import VLAN_PRESENT, Match, read_match
from warren.inspect.parse.problem import Problem, Unreadable
from warren.inspect.parse.read_actions import Names, read_actions
from warren.inspect.parse.values import PORTS, ethernet_text, ipv4_text
from warren.inspect.snapshot.model import Bridge

_VID: Final = 0xFFF
_MULTICAST_BIT: Final = 1 << 40
IN_PORT: Final = PORTS["IN_PORT"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A flow with its match and actions read."""

    flow: Flow
    match: Match
    actions: tuple[Action, ...]

    def __str__(self) -> str:
        matched = f"priority={self.flow.priority}" + (f",{self.flow.match_text}" if self.flow.match_text else "")
        return f"table={self.flow.table}, {matched} actions={self.flow.actions_text}"


@dataclass(frozen=True, slots=True)
class Inbound:
    """Frames with a tunnel id become frames of a local VLAN."""

    segmentation_id: int
    vlan: int
    rule: Rule


@dataclass(frozen=True, slots=True)
class Flood:
    """Frames of a local VLAN go out by all of some ports, with a tunnel id."""

    vlan: int
    segmentation_id: int | None
    ofports: frozenset[int]
    rule: Rule


@dataclass(frozen=True, slots=True)
class Unicast:
    """Frames of a local VLAN for one MAC address go out by a port."""

    vlan: int
    mac: str
    segmentation_id: int | None
    ofports: frozenset[int]
    rule: Rule

    @property
    def is_learned(self) -> bool:
        return self.rule.flow.hard_timeout_s > 0


@dataclass(frozen=True, slots=True)
class ArpAnswer:
    """ARP for an address on a local VLAN is answered here."""

    vlan: int
    ip: str
    mac: str
    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """All flows of a bridge, and those whose shape is known."""

    rules: tuple[Rule, ...] = ()
    inbound: tuple[Inbound, ...] = ()
    floods: tuple[Flood, ...] = ()
    unicasts: tuple[Unicast, ...] = ()
    arp_answers: tuple[ArpAnswer, ...] = ()
    by_table: Mapping[int | str, tuple[Rule, ...]] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()


def read_tables(bridge: Bridge) -> Tables:
    """The flows of a bridge; what cannot be read is a problem and left out."""
    if bridge.flows is None:
        return Tables()
    dump = read_dump(bridge.flows.text, bridge.flows.file)
    problems = list(dump.problems)
    ports = {port.name: port.ofport for port in bridge.ports if port.ofport is not None}
    rules = tuple(_rules(dump.flows, ports, bridge.flows.file, problems))
    by_table: dict[int | str, list[Rule]] = {}
    for rule in rules:
        by_table.setdefault(rule.flow.table, []).append(rule)
    return Tables(
        rules=rules,
        inbound=tuple(_inbound(rules)),
        floods=tuple(_floods(rules)),
        unicasts=tuple(_unicasts(rules)),
        arp_answers=tuple(_arp_answers(rules)),
        by_table={table: tuple(found) for table, found in by_table.items()},
        problems=tuple(problems),
    )


def _rules(flows: tuple[Flow, ...], ports: Mapping[str, int], file: str, problems: list[Problem]) -> Iterator[Rule]:
    """Actions repeat from flow to flow, so each text is read once."""
    known: dict[str, tuple[Action, ...]] = {}
    names = Names(ports=ports, tables={})
    for flow in flows:
        column = flow.match_column
        try:
            match = read_match(flow.match_text, ports)
            column = flow.actions_column
            if flow.actions_text not in known:
                known[flow.actions_text] = read_actions(flow.actions_text, names)
        except Unreadable as error:
            problems.append(Problem(file=file, line=flow.line, column=column + error.offset, message=error.message))
            continue
        yield Rule(flow, match, known[flow.actions_text])


def vlan_of(match: Match) -> int | None:
    """The VLAN id that a match asks for; `None` for any, 0 for none."""
    term = match.get(f.VLAN_TCI)
    if term is None or term.mask & _VID != _VID:
        return None
    return 0 if term.mask & VLAN_PRESENT and not term.value & VLAN_PRESENT else term.value & _VID


def vlan_set(actions: tuple[Action, ...]) -> int | None:
    """The VLAN id that actions leave in the frame, where they set one."""
    found = None
    for action in actions:
        if isinstance(action, SetVlan) and action.vid is not None:
            found = action.vid
        elif isinstance(action, SetField) and action.field is f.VLAN_VID:
            found = action.value & _VID
    return found


def tunnel_id_set(actions: tuple[Action, ...]) -> int | None:
    return next((a.value for a in reversed(actions) if isinstance(a, SetField) and a.field is f.TUN_ID), None)


def outputs(actions: tuple[Action, ...]) -> frozenset[int]:
    """OpenFlow ports that actions send to; -1 for a name that no port has."""
    return frozenset(
        action.port if isinstance(action.port, int) else -1 for action in actions if isinstance(action, Output)
    )


def goes_to(actions: tuple[Action, ...], table: int | str) -> Iterator[int | str]:
    """Tables that actions look up next."""
    for action in actions:
        if isinstance(action, Resubmit):
            yield table if action.table is None else action.table
        elif isinstance(action, GotoTable):
            yield action.table


def _inbound(rules: tuple[Rule, ...]) -> Iterator[Inbound]:
    for rule in rules:
        tunnel_id, vlan = rule.match.exact(f.TUN_ID), vlan_set(rule.actions)
        if tunnel_id is not None and vlan is not None:
            yield Inbound(tunnel_id, vlan, rule)


def _floods(rules: tuple[Rule, ...]) -> Iterator[Flood]:
    for rule in rules:
        vlan, ofports = vlan_of(rule.match), outputs(rule.actions)
        is_plain = all(term.cell is f.VLAN_TCI or term.cell is f.IN_PORT for term in rule.match)
        if vlan and is_plain and ofports and tunnel_id_set(rule.actions) is not None:
            yield Flood(vlan, tunnel_id_set(rule.actions), ofports, rule)


def _unicasts(rules: tuple[Rule, ...]) -> Iterator[Unicast]:
    for rule in rules:
        vlan, mac = vlan_of(rule.match), rule.match.exact(f.ETH_DST)
        ofports = outputs(rule.actions)
        if vlan and mac is not None and not mac & _MULTICAST_BIT and ofports:
            yield Unicast(vlan, ethernet_text(mac), tunnel_id_set(rule.actions), ofports, rule)


def _arp_answers(rules: tuple[Rule, ...]) -> Iterator[ArpAnswer]:
    for rule in rules:
        vlan, ip = vlan_of(rule.match), rule.match.exact(f.ARP_TPA)
        mac = next((a.value for a in rule.actions if isinstance(a, SetField) and a.field is f.ARP_SHA), None)
        if vlan and ip is not None and mac is not None and IN_PORT in outputs(rule.actions):
            yield ArpAnswer(vlan, ipv4_text(ip), ethernet_text(mac), rule)
