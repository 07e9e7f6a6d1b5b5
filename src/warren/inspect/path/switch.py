"""One Open vSwitch bridge during a trace: frames in, frames out by the evaluator, with what earlier packets taught."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Final

from warren.inspect.decode import Decoder
from warren.inspect.evaluate.classifier import Rule
from warren.inspect.evaluate.model import BridgeModel, Tracking
from warren.inspect.evaluate.outcome import Learned, Outcome, Step
from warren.inspect.evaluate.packet import Values
from warren.inspect.evaluate.run import evaluate
from warren.inspect.filter import conntrack
from warren.inspect.filter.packet import IpPacket, Tracked
from warren.inspect.parse import actions as a
from warren.inspect.parse import fields as f
from warren.inspect.parse.read_actions import action_texts
from warren.inspect.parse.values import CT_STATE, PORTS
from warren.inspect.path.cells import frame_of, values_of
from warren.inspect.path.frame import Frame
from warren.inspect.path.hop import Verdict
from warren.inspect.path.mend import flow_mend
from warren.inspect.snapshot.model import Bridge
from warren.inspect.snapshot.names import Names
from warren.pipeline.cookies import Concern, decode

_FIRST_RESERVED: Final = 0xFF00
_CONTROLLER: Final = PORTS["CONTROLLER"]
_NORMAL: Final = PORTS["NORMAL"]
_MENDS: Final[Mapping[Verdict | None, str]] = {
    Verdict.DROPPED_NO_PORT: "a port that carries the frame's VLAN and has the destination behind it"
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """One table visited; `flow` is empty for a miss."""

    table: int | str
    what: str
    flow: str = ""
    object: str = ""
    writes_arp: bool = False
    """It makes an ARP answer of a question."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """What one bridge did with one frame."""

    lookups: tuple[Lookup, ...]
    outputs: tuple[tuple[int, Frame, int], ...]
    """Port, frame, and the index of the lookup that sent it."""
    learned: tuple[str, ...] = ()
    end: Verdict | None = None
    """Why nothing was sent, or that more may have happened than is known."""
    mend: str = ""


@dataclass(slots=True)
class _Connections:
    """The connections of a datapath, as the evaluator asks for them."""

    tracker: conntrack.Tracker
    frame: Frame

    def track(self, bridge: str, values: Values, zone: int, nat: a.Nat | None) -> Tracking | None:
        """What a packet is to its zone; address translation by Open vSwitch is not followed."""
        packet = self._packet(values, zone)
        if nat is not None or packet is None:
            return None
        tracked, connection = self.tracker.track(packet)
        return Tracking(state=_state_bits(tracked.tracked), mark=connection.mark if connection else 0)

    def commit(self, bridge: str, values: Values, zone: int, nat: a.Nat | None) -> None:
        packet = self._packet(values, zone)
        if packet is not None:
            _, connection = self.tracker.track(packet)
            if connection is not None:
                connection.mark = values[f.CT_MARK.order]
            self.tracker.confirm(connection)

    def _packet(self, values: Sequence[int], zone: int) -> IpPacket | None:
        payload = frame_of(values, self.frame).payload
        return replace(payload, tracked=Tracked(zone=zone)) if isinstance(payload, IpPacket) else None


@dataclass(slots=True)
class Switch:
    """A bridge and its state during one trace."""

    bridge: Bridge
    model: BridgeModel
    tracker: conntrack.Tracker
    names: Names

    def forward(self, in_port: int, frame: Frame) -> Forwarded:
        """The frame through the tables from 0 on; what it teaches is there for the next one."""
        model = self.model
        connections = _Connections(self.tracker, frame)
        outcome = evaluate({model.name: model}, model.name, values_of(frame, in_port), connections)
        taught = tuple(_flow_text(each) for each in outcome.learned if _is_new(model, each))
        model.learn(outcome.learned)
        model.note(outcome.seen)
        outputs = tuple(
            (sent.port, frame_of(sent.values, frame), sent.step) for sent in outcome.sent if sent.port != _CONTROLLER
        )
        lookups = tuple(self._lookups(outcome))
        end = _end(outcome, model) if not outputs or outcome.not_modelled else None
        mend = outcome.not_modelled[0] if outcome.not_modelled else outcome.error
        return Forwarded(
            lookups=lookups,
            outputs=outputs,
            learned=taught,
            end=end,
            mend=mend
            or flow_mend(self.bridge.name, [lookup.table for lookup in lookups], frame)
            or _MENDS.get(end, ""),
        )

    def _lookups(self, outcome: Outcome) -> Iterator[Lookup]:
        names = {number: port.name for number, port in self.bridge.by_ofport().items()}
        for index, step in enumerate(outcome.steps):
            if step.rule is None:
                yield Lookup(table=step.table, what="no flow matches")
                continue
            by_normal = [names.get(s.port, str(s.port)) for s in outcome.sent if s.step == index and s.by_normal]
            flow = step.rule.flow
            yield Lookup(
                table=step.table,
                what="; ".join(_told(step.rule, by_normal)) or "drop",
                flow=_printed(step),
                object=owner(flow.cookie, self.names),
                writes_arp=any(isinstance(each, a.SetField) and each.field is f.ARP_OP for each in step.rule.actions),
            )


def _end(outcome: Outcome, model: BridgeModel) -> Verdict:
    if outcome.not_modelled:
        return Verdict.NOT_MODELLED
    if outcome.error:
        return Verdict.LOOPED
    last = outcome.steps[-1].rule if outcome.steps else None
    if last is None:
        return Verdict.DROPPED_MISS
    sends = [action.port for action in last.actions if isinstance(action, a.Output) and isinstance(action.port, int)]
    known = model.ports or {}
    is_lost = any(port == _NORMAL or (port < _FIRST_RESERVED and port not in known) for port in sends)
    return Verdict.DROPPED_NO_PORT if is_lost else Verdict.DROPPED_FLOW


def _is_new(model: BridgeModel, learned: Learned) -> bool:
    """Whether a learned flow says what no flow of its table said before."""
    table = model.tables.get(learned.flow.table)
    if table is None:
        return True
    actions = Decoder().actions(learned.flow.actions_text)
    same = (
        rule
        for subtable in table.subtables
        for rules in subtable.rules.values()
        for rule in rules
        if rule.match == learned.match and rule.flow.priority == learned.flow.priority
    )
    return all(rule.actions != actions for rule in same)


def _flow_text(learned: Learned) -> str:
    flow = learned.flow
    return f"table={flow.table}, priority={flow.priority},{flow.match_text} actions={flow.actions_text}"


def _printed(step: Step) -> str:
    flow = step.flow
    if flow is None:
        return ""
    matched = f"priority={flow.priority}" + (f",{flow.match_text}" if flow.match_text else "")
    return f"table={flow.table}, {matched} actions={flow.actions_text}"


def _told(rule: Rule, by_normal: list[str]) -> Iterator[str]:
    """Each action as the dump has it; where a lookup goes on, and where NORMAL sends to, in words."""
    for action, (text, _) in zip(rule.actions, action_texts(rule.flow.actions_text), strict=True):
        match action:
            case a.Resubmit(table=table) | a.GotoTable(table=table):
                yield f"to table {table}"
            case a.Learn(table=table):
                yield f"learns into table {table}"
            case a.Output(port=port) if port == _NORMAL:
                yield f"NORMAL: {', '.join(by_normal) or 'no port has it'}"
            case _:
                yield text


def _state_bits(tracked: Tracked) -> int:
    names = {"NEW": ["new"], "ESTABLISHED": ["est"], "INVALID": ["inv"], "RELATED": ["rel"]}.get(tracked.state, [])
    return CT_STATE["trk"] | sum(CT_STATE[name] for name in [*names, *(["rpl"] if tracked.is_reply else [])])


def owner(cookie: int, names: Names) -> str:
    """What a cookie of Warren's says, its object by name where the API told; empty for another's."""
    meaning = decode(cookie)
    if meaning is None:
        return ""
    if meaning.concern is Concern.FRAME:
        return "the bridge itself"
    concern = meaning.concern.name.lower().replace("_", " ")
    digits = meaning.object_digits
    if meaning.concern is Concern.PEER:
        return f"peer {ip_address(int(digits, 16))}"
    return f"{concern} of {_called(digits, names)}" if int(digits, 16) else concern


def _called(digits: str, names: Names) -> str:
    """An object by the first twelve digits of its id."""
    start = f"{digits[:8]}-{digits[8:]}"
    for kind, found in (("port", names.ports), ("network", names.networks), ("router", names.routers)):
        named = next((each for identity, each in found.items() if identity.startswith(start)), None)
        if named:
            return f"{kind} '{named.name}'" if named.name else f"{kind} {named.id}"
    return start
