"""A packet's way through bridges: lookups, actions, and the passes that the connection tracker adds.

Follows ofproto-dpif-xlate.c of Open vSwitch 3.1 where it matters: output skips the input port, a resubmit's other input
port counts for the lookup only, learn() and NORMAL take effect after the packet, a clone's changes are undone, a packet
enters another bridge through a patch port without registers, metadata and tracker state.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from warren.inspect.evaluate.changes import CHANGES, read
from warren.inspect.evaluate.classifier import Rule
from warren.inspect.evaluate.learning import learned_flow
from warren.inspect.evaluate.model import Assumed, BridgeModel, Tracker, Tracking
from warren.inspect.evaluate.normal import forward
from warren.inspect.evaluate.outcome import Learned, Outcome, SeenAddress, Sent, Step
from warren.inspect.evaluate.packet import BRIDGE_CELLS, CT_CELLS, ETH_TYPE, IN_PORT, IP_TTL, Values
from warren.inspect.evaluate.scope import GivenUp, Scope, Unknown
from warren.inspect.parse import actions as a
from warren.inspect.parse import fields as f
from warren.inspect.parse.values import PORTS

MAX_BACKWARD: Final = 64
"""Lookups in the same or an earlier table inside of each other (MAX_DEPTH); beyond it the packet is dropped."""
MAX_LOOKUPS: Final = MAX_BACKWARD * MAX_BACKWARD
MAX_NESTED: Final = 150
"""Lookups inside of each other that are not the last action: what is followed here."""
MAX_PASSES: Final = 32
_TOO_DEEP: Final = f"more than {MAX_BACKWARD} lookups back inside of each other: Open vSwitch drops the packet"
_TOO_MANY: Final = f"more than {MAX_LOOKUPS} lookups: Open vSwitch drops the packet"
_NO_EFFECT: Final = frozenset(
    ("note", "sample", "set_queue", "pop_queue", "fin_timeout", "meter", "debug_recirc", "debug_slow")
)
"""Actions that do not change where a packet goes (a meter may drop what is over its rate)."""
_WRITTEN_ORDER: Final[tuple[type, ...]] = (a.PopVlan, a.PopMpls, a.PushMpls, a.PushVlan, a.DecTtl)
"""The order in which an action set is carried out, before its field writes (OpenFlow 1.5, 5.6)."""


@dataclass(frozen=True, slots=True)
class _Pass:
    """A packet that the connection tracker sends back into a table."""

    bridge: BridgeModel
    values: Values
    table: a.TableId


def evaluate(
    bridges: Mapping[str, BridgeModel], bridge: str, values: Values, tracker: Tracker | None = None
) -> Outcome:
    """What becomes of a packet that enters `bridge` by the port in its `in_port`.

    Nothing is changed: apply what was learned with `BridgeModel.learn` and `note`.
    """
    run = _Run(bridges=bridges, tracker=tracker or Assumed())
    return run.whole(bridges[bridge], values)


@dataclass(slots=True)
class _Run:
    bridges: Mapping[str, BridgeModel]
    tracker: Tracker
    steps: list[Step] = field(default_factory=list)
    sent: list[Sent] = field(default_factory=list)
    learned: list[Learned] = field(default_factory=list)
    seen: list[SeenAddress] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    final: list[tuple[int, ...]] = field(default_factory=list)
    passes: list[_Pass] = field(default_factory=list)
    nested: int = 0
    backward: int = 0

    def whole(self, bridge: BridgeModel, values: Values) -> Outcome:
        """All passes of the packet."""
        error = ""
        self.passes.append(_Pass(bridge, list(values), 0))
        done = 0
        try:
            while done < len(self.passes):
                if done == MAX_PASSES:
                    self.unknown.append(f"more than {MAX_PASSES} passes through the connection tracker")
                    break
                each = self.passes[done]
                done += 1
                scope = Scope(bridge=each.bridge, values=each.values)
                self.enter(scope, each.table)
                self.final.append(tuple(scope.values))
        except GivenUp as given_up:
            error = str(given_up)
            self.sent.clear()
        return Outcome(
            steps=tuple(self.steps),
            sent=tuple(self.sent),
            learned=tuple(self.learned),
            seen=tuple(self.seen),
            final=tuple(self.final),
            not_modelled=tuple(dict.fromkeys(self.unknown)),
            error=error,
        )

    def enter(self, scope: Scope, table: a.TableId) -> None:
        """Look up in a bridge's table, then carry out its action set."""
        try:
            self.lookup(scope, table)
            self.finish(scope)
        except Unknown as reason:
            self.unknown.append(str(reason))

    # Lookups.

    def lookup(self, scope: Scope, table: a.TableId, in_port: int | None = None) -> None:
        """Look up and execute; a last action that looks up again is a loop here, not a call."""
        next_lookup: tuple[a.TableId, int | None] | None = (table, in_port)
        while next_lookup is not None:
            table, in_port = next_lookup
            rule = self.find(scope, table, in_port)
            if rule is None:
                return
            scope.matches_tag = rule.matches_tag
            next_lookup = self.execute(scope, rule.actions, table)

    def find(self, scope: Scope, table: a.TableId, in_port: int | None) -> Rule | None:
        if len(self.steps) >= MAX_LOOKUPS:
            raise GivenUp(_TOO_MANY)
        values = scope.values
        found_table = scope.bridge.tables.get(table)
        kept = values[IN_PORT]
        if in_port is not None:
            values[IN_PORT] = in_port
        rule = found_table.lookup(values) if found_table is not None else None
        values[IN_PORT] = kept
        self.steps.append(Step(bridge=scope.bridge.name, table=table, rule=rule, depth=self.nested))
        if found_table is not None and found_table.unread:
            floor = rule.flow.priority if rule is not None else -1
            if max(found_table.unread) >= floor:
                raise Unknown(f"table {table} of {scope.bridge.name} has a flow that could not be read")
        return rule

    def execute(
        self, scope: Scope, actions: tuple[a.Action, ...], table: a.TableId
    ) -> tuple[a.TableId, int | None] | None:
        """Carry out actions in a table; a lookup that is their last is given back to be made."""
        last = len(actions) - 1
        for index, action in enumerate(actions):
            if scope.ended:
                return None
            kind = type(action)
            if isinstance(action, a.Resubmit | a.GotoTable):
                target, in_port = self.target(action, table, scope)
                is_forward = isinstance(target, int) and isinstance(table, int) and target > table
                if index == last and is_forward:
                    return target, in_port
                self.nest(scope, target, in_port, is_backward=not is_forward)
            elif kind in CHANGES:
                CHANGES[kind](scope, action)
            elif not _HANDLERS[kind](self, scope, action):
                return None
        return None

    def target(self, action: a.Resubmit | a.GotoTable, table: a.TableId, scope: Scope) -> tuple[a.TableId, int | None]:
        if isinstance(action, a.GotoTable):
            return action.table, None
        if action.ct:
            raise Unknown("resubmit with the connection's original addresses")
        if isinstance(action.port, str):
            raise Unknown(f"the number of port {action.port} of {scope.bridge.name} is not known")
        return (table if action.table is None else action.table), action.port

    def nest(self, scope: Scope, table: a.TableId, in_port: int | None, *, is_backward: bool) -> None:
        with self._deeper(is_backward=is_backward):
            kept = scope.matches_tag
            self.lookup(scope, table, in_port)
            scope.matches_tag = kept

    @contextmanager
    def _deeper(self, *, is_backward: bool) -> Iterator[None]:
        """One lookup further inside. `Unknown` may end it, and what goes on further out is no deeper for it."""
        self.nested += 1
        self.backward += is_backward
        try:
            if self.backward > MAX_BACKWARD:
                raise GivenUp(_TOO_DEEP)
            if self.nested > MAX_NESTED:
                raise Unknown(f"more than {MAX_NESTED} lookups inside of each other")
            yield
        finally:
            self.nested -= 1
            self.backward -= is_backward

    # Where packets go.

    def output(self, scope: Scope, action: a.Output) -> bool:
        if isinstance(action.port, str):
            raise Unknown(f"the number of port {action.port} of {scope.bridge.name} is not known")
        self.to(scope, action.port, action.max_len)
        return True

    def to(self, scope: Scope, port: int, max_len: int = 0) -> None:
        """Output to a port or one of the reserved numbers."""
        in_port = scope.values[IN_PORT]
        if port == PORTS["NORMAL"]:
            for number, values in forward(scope.bridge, scope.values, self.seen):
                self.emit(scope, number, values, by_normal=True)
        elif port in (PORTS["FLOOD"], PORTS["ALL"]):
            self.flood(scope, max_len, everywhere=port == PORTS["ALL"])
        elif port == PORTS["IN_PORT"]:
            self.emit(scope, in_port, scope.values, max_len=max_len)
        elif port == PORTS["CONTROLLER"]:
            self.record(scope, port, scope.values)
        elif port == PORTS["TABLE"]:
            raise Unknown("output to TABLE")
        elif port not in (in_port, PORTS["ANY"]):
            self.emit(scope, port, scope.values, max_len=max_len)

    def flood(self, scope: Scope, max_len: int, *, everywhere: bool) -> None:
        if scope.bridge.ports is None:
            raise Unknown(f"the ports of {scope.bridge.name} are not known, so neither is where it floods")
        for number, model in scope.bridge.ports.items():
            if number != scope.values[IN_PORT] and (model.floods or everywhere):
                self.emit(scope, number, scope.values, max_len=max_len)

    def emit(self, scope: Scope, port: int, values: Values, *, by_normal: bool = False, max_len: int = 0) -> None:
        """Out by a real port: to the wire, or into the bridge at the other end of a patch."""
        ports = scope.bridge.ports
        model = ports.get(port) if ports is not None else None
        if ports is not None and model is None:
            return
        if model is None or model.peer is None:
            self.record(scope, port, values, by_normal=by_normal, max_len=max_len)
            return
        peer, peer_port = model.peer
        bridge = self.bridges.get(peer)
        if bridge is None:
            self.record(scope, port, values, by_normal=by_normal, max_len=max_len)
            return
        number = bridge.port_named(peer_port)
        if number is None:
            return
        self.record_patch(scope, bridge, number, values)

    def record_patch(self, scope: Scope, bridge: BridgeModel, in_port: int, values: Values) -> None:
        copy = list(values)
        for place in BRIDGE_CELLS:
            copy[place] = 0
        copy[IN_PORT] = in_port
        with self._deeper(is_backward=True):
            self.enter(Scope(bridge=bridge, values=copy), 0)

    def record(self, scope: Scope, port: int, values: Values, *, by_normal: bool = False, max_len: int = 0) -> None:
        self.sent.append(
            Sent(
                bridge=scope.bridge.name,
                port=port,
                values=tuple(values),
                step=len(self.steps) - 1,
                by_normal=by_normal,
                max_len=max_len,
            )
        )

    def output_field(self, scope: Scope, action: a.OutputField) -> bool:
        self.to(scope, read(scope.values, action.source) & 0xFFFF)
        return True

    def controller(self, scope: Scope, action: a.Controller) -> bool:
        self.record(scope, PORTS["CONTROLLER"], scope.values)
        if "pause" in action.arguments:
            raise Unknown("a controller is asked and may send the packet on")
        return True

    def enqueue(self, scope: Scope, action: a.Enqueue) -> bool:
        return self.output(scope, a.Output(port=action.port))

    def group(self, scope: Scope, action: a.Group) -> bool:
        group = scope.bridge.groups.get(action.id)
        if group is None:
            raise Unknown(f"group {action.id} of {scope.bridge.name} is not known")
        if group.type in ("select", "ff") and len(group.buckets) > 1:
            raise Unknown(f"which way of group {action.id} of {scope.bridge.name} is taken")
        for bucket in group.buckets:
            self.apart(scope, bucket.actions)
        return True

    def nested_actions(self, scope: Scope, action: a.Nested) -> bool:
        if action.name == "clone":
            scope.ended = self.apart(scope, action.actions)
        else:
            scope.written += action.actions
        return True

    def apart(self, scope: Scope, actions: tuple[a.Action, ...]) -> bool:
        """Carry out actions on a copy; whether they met `exit`, which ends also what a clone stands in."""
        table = self.steps[-1].table
        copy = replace(scope, values=list(scope.values), stack=list(scope.stack), written=[])
        following = self.execute(copy, actions, table)
        if following is not None:
            self.nest(copy, following[0], following[1], is_backward=False)
        ended = copy.ended
        self.finish(copy)
        return ended

    def finish(self, scope: Scope) -> None:
        """Carry out the action set: tags off, tags on, then writes, then output or group."""
        if not scope.written:
            return
        written, scope.written, scope.ended = scope.written, [], False
        last_of = {(type(each), getattr(each, "field", None)): each for each in written}
        goes = {type(each): each for each in written if isinstance(each, a.Output | a.Group)}
        first = [each for kind in _WRITTEN_ORDER for each in last_of.values() if type(each) is kind]
        rest = [each for each in last_of.values() if each not in first and type(each) not in goes]
        out = [goes[kind] for kind in (a.Group, a.Output) if kind in goes][:1]
        self.execute(scope, (*first, *rest, *out), self.steps[-1].table)

    def dec_ttl(self, scope: Scope, action: a.DecTtl) -> bool:
        if scope.values[ETH_TYPE] not in (0x0800, 0x86DD):
            return True
        if scope.values[IP_TTL] > 1:
            scope.values[IP_TTL] -= 1
            return True
        self.record(scope, PORTS["CONTROLLER"], scope.values)
        return False

    # What lasts.

    def learn(self, scope: Scope, action: a.Learn) -> bool:
        if action.limit or action.result_dst:
            raise Unknown("learn() with a limit")
        self.learned.append(learned_flow(scope.bridge.name, action, scope.values))
        return True

    def ct(self, scope: Scope, action: a.Ct) -> bool:
        values = scope.values
        if values[ETH_TYPE] not in (0x0800, 0x86DD):
            return self.untracked(scope, action)
        zone = action.zone if isinstance(action.zone, int) else read(values, action.zone)
        tracking = self.tracker.track(scope.bridge.name, values, zone, action.nat) if action.table is not None else None
        tracked = _tracked(values, zone, tracking) if tracking is not None else list(values)
        if action.commit:
            noted = replace(scope, values=list(values))
            for each in action.exec:
                CHANGES[type(each)](noted, each)
                CHANGES[type(each)](replace(scope, values=tracked), each)
            self.tracker.commit(scope.bridge.name, noted.values, zone, action.nat)
        for place in CT_CELLS:
            values[place] = 0
        if action.table is not None and tracking is None:
            self.unknown.append(f"what the connection tracker says in zone {zone}")
        elif action.table is not None:
            self.passes.append(_Pass(scope.bridge, tracked, action.table))
        return True

    def untracked(self, scope: Scope, action: a.Ct) -> bool:
        """A frame that is no IP packet: the tracker lets it pass as untracked."""
        if action.table is not None:
            raise Unknown("connection tracking of a frame that is no IP packet")
        return True

    def check_larger(self, scope: Scope, action: a.CheckPktLarger) -> bool:
        raise Unknown("whether the packet is larger than a size: its size is not known")

    def conjunction(self, scope: Scope, action: a.Conjunction) -> bool:
        return True

    def named(self, scope: Scope, action: a.Named) -> bool:
        if action.name == "ct_clear":
            for place in CT_CELLS:
                scope.values[place] = 0
        elif action.name == "exit":
            scope.ended = True
            return False
        elif action.name == "clear_actions":
            scope.written.clear()
        elif action.name not in _NO_EFFECT:
            raise Unknown(f"the action {action.name}")
        return True

    def mpls(self, scope: Scope, action: a.PushMpls | a.PopMpls) -> bool:
        raise Unknown(f"the action {action}")


def _tracked(values: Values, zone: int, tracking: Tracking) -> Values:
    """The packet as the connection tracker gives it back."""
    tracked = list(values)
    tracked[f.CT_STATE.order], tracked[f.CT_ZONE.order] = tracking.state, zone
    for cell, value in ((f.CT_MARK, tracking.mark), (f.CT_LABEL, tracking.label)):
        if value is not None:
            tracked[cell.order] = value
    for place, value in tracking.rewritten.items():
        tracked[place] = value
    return tracked


_HANDLERS: Final[Mapping[type, Callable[..., bool]]] = {
    a.Output: _Run.output,
    a.OutputField: _Run.output_field,
    a.Controller: _Run.controller,
    a.Enqueue: _Run.enqueue,
    a.Group: _Run.group,
    a.PushMpls: _Run.mpls,
    a.PopMpls: _Run.mpls,
    a.DecTtl: _Run.dec_ttl,
    a.Learn: _Run.learn,
    a.Ct: _Run.ct,
    a.Nested: _Run.nested_actions,
    a.Conjunction: _Run.conjunction,
    a.CheckPktLarger: _Run.check_larger,
    a.Named: _Run.named,
}
"""Action -> what carries it out; False ends the list that it stands in."""
