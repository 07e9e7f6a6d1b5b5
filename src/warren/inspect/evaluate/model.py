"""Bridges as the evaluator needs them: flows by table, ports, groups, learned addresses. Built once, asked often."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from warren.inspect.decode import Decoder
from warren.inspect.evaluate.classifier import Rule, Table
from warren.inspect.evaluate.outcome import Learned, SeenAddress
from warren.inspect.evaluate.packet import Values
from warren.inspect.parse.actions import Nat, TableId
from warren.inspect.parse.dump import Flow
from warren.inspect.parse.groups import Group
from warren.inspect.parse.problem import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class PortModel:
    """A port of a bridge, with the VLAN settings that NORMAL obeys (ovs-vswitchd.conf.db(5), Port)."""

    number: int
    name: str = ""
    tag: int | None = None
    vlan_mode: str = ""
    trunks: frozenset[int] = frozenset()
    """Empty: every VLAN."""
    peer: tuple[str, str] | None = None
    """(bridge, port) at the other end of a patch port."""
    floods: bool = True

    @property
    def is_access(self) -> bool:
        return self.vlan_mode == "access" or (not self.vlan_mode and self.tag is not None)

    def carries(self, vlan: int) -> bool:
        """Whether frames of a VLAN leave by this port under NORMAL."""
        if self.is_access:
            return self.tag == vlan
        if self.vlan_mode in {"native-tagged", "native-untagged"} and self.tag:
            # Always its own VLAN, never VLAN 0 (ofproto-dpif.c, bundle_set).
            return vlan == self.tag or (vlan != 0 and (not self.trunks or vlan in self.trunks))
        return not self.trunks or vlan in self.trunks


@dataclass(slots=True, kw_only=True)
class BridgeModel:
    """One bridge. `ports` None: not known, every port number is taken to exist, and NORMAL cannot be followed."""

    name: str
    tables: dict[TableId, Table] = field(default_factory=dict)
    ports: Mapping[int, PortModel] | None = None
    groups: Mapping[int, Group] = field(default_factory=dict)
    fdb: dict[tuple[int, int], int] = field(default_factory=dict)
    """(VLAN, MAC address) -> port, as NORMAL learned it."""
    problems: tuple[Problem, ...] = ()
    """Lines of its dump that are no flow, so that nobody knows what they would do."""

    def port_named(self, name: str) -> int | None:
        return next((number for number, port in (self.ports or {}).items() if port.name == name), None)

    def learn(self, learned: Iterable[Learned]) -> None:
        """Write what a packet taught, so that the next one meets it."""
        for each in learned:
            decoder = Decoder()
            rule = Rule(each.flow, each.match, decoder.actions(each.flow.actions_text))
            self.tables.setdefault(each.flow.table, Table()).add([rule])

    def note(self, seen: Iterable[SeenAddress]) -> None:
        """Note where NORMAL has seen addresses."""
        for each in seen:
            self.fdb[each.vlan, each.mac] = each.port


def tables_of(flows: Iterable[Flow], decoder: Decoder) -> dict[TableId, Table]:
    """Flows by table, indexed. A flow that cannot be read is remembered by its priority."""
    rules: dict[TableId, list[Rule]] = defaultdict(list)
    unread: dict[TableId, list[int]] = defaultdict(list)
    for flow in flows:
        meaning = decoder.meaning(flow)
        if isinstance(meaning, Problem) or any(term.port for term in meaning.match):
            unread[flow.table].append(flow.priority)
        else:
            rules[flow.table].append(Rule(flow, meaning.match, meaning.actions))
    tables: dict[TableId, Table] = {}
    for number in {*rules, *unread}:
        tables[number] = Table(unread=tuple(unread[number]))
        tables[number].add(rules[number])
    return tables


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracking:
    """What the connection tracker says of a packet: state bits, mark, label, and cells that its NAT rewrites.

    A mark or label of `None` is what the packet had before, as `ofproto/trace` takes it.
    """

    state: int = 0x21
    mark: int | None = None
    label: int | None = None
    rewritten: Mapping[int, int] = field(default_factory=dict)
    """Place in the packet -> new value."""


class Tracker(Protocol):
    """Who knows the connections: an assumption, or a model of them."""

    def track(self, bridge: str, values: Values, zone: int, nat: Nat | None) -> Tracking | None:
        """What a packet is to its zone; `None` where that cannot be said."""

    def commit(self, bridge: str, values: Values, zone: int, nat: Nat | None) -> None:
        """Remember the packet's connection, with `ct_mark` and `ct_label` as the packet has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumed:
    """The same answer for every packet, as `ofproto/trace --ct-next` takes it; the default is a new connection."""

    tracking: Tracking = field(default_factory=Tracking)

    def track(self, bridge: str, values: Values, zone: int, nat: Nat | None) -> Tracking | None:
        if nat is not None and nat.kind and not self.tracking.rewritten:
            return None
        return self.tracking

    def commit(self, bridge: str, values: Values, zone: int, nat: Nat | None) -> None:
        """Assumptions do not change."""
