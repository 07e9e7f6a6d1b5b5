"""One Open vSwitch bridge during a trace: its flows, what they learned, its forwarding table, its connections."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from warren.inspect.filter.conntrack import Connection, Tracker
from warren.inspect.filter.packet import IpPacket, Tracked
from warren.inspect.parse import actions as a
from warren.inspect.parse import fields as f
from warren.inspect.parse.dump import Flow
from warren.inspect.parse.fields import places
from warren.inspect.parse.match import VLAN_PRESENT, Match, Term, of_terms
from warren.inspect.parse.values import CT_STATE, PORTS
from warren.inspect.path.cells import VID_BITS, Cells, cells_of, frame_of, mac_text
from warren.inspect.path.frame import Frame
from warren.inspect.path.hop import Verdict
from warren.inspect.path.mend import flow_mend
from warren.inspect.snapshot.model import Bridge, BridgePort
from warren.inspect.verify.tables import Rule, read_tables
from warren.pipeline.cookies import decode

RESUBMIT_LIMIT: Final = 4096
LOCAL: Final = PORTS["LOCAL"]
_IGNORED: Final = frozenset(
    {"note", "sample", "set_queue", "pop_queue", "fin_timeout", "exit", "set_tunnel", "debug_slow"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """One table visited; `flow` is empty for a miss, `table` is None for what NORMAL does."""

    table: int | str | None
    what: str
    flow: str = ""
    object: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forwarded:
    """What one bridge did with one frame."""

    lookups: tuple[Lookup, ...]
    outputs: tuple[tuple[int, Frame, int], ...]
    """Port, frame, and the index of the lookup that sent it."""
    learned: tuple[str, ...] = ()
    end: Verdict | None = None
    mend: str = ""


@dataclass(slots=True)
class _Run:
    """One frame in the bridge."""

    frame: Frame
    cells: Cells
    in_port: int
    lookups: list[Lookup] = field(default_factory=list)
    outputs: list[tuple[int, Frame, int]] = field(default_factory=list)
    learned: list[str] = field(default_factory=list)
    stack: list[int] = field(default_factory=list)
    end: Verdict | None = None
    mend: str = ""
    visits: int = 0
    connection: Connection | None = None

    def stop(self, verdict: Verdict, mend: str = "") -> None:
        if self.end is None or verdict is Verdict.NOT_MODELLED:
            self.end, self.mend = verdict, mend


@dataclass(slots=True)
class Switch:
    """A bridge and its state during one trace."""

    bridge: Bridge
    tracker: Tracker
    tables: dict[int | str, list[Rule]] = field(default_factory=dict)
    addresses: dict[tuple[int, int], int] = field(default_factory=dict)
    """(VLAN, MAC address) -> port, of NORMAL."""
    is_read: bool = False

    def forward(self, in_port: int, frame: Frame) -> Forwarded:
        """The frame through the tables from 0 on."""
        self._read()
        run = _Run(frame=frame, cells=cells_of(frame, in_port), in_port=in_port)
        self._visit(run, 0)
        if not run.outputs and run.end is None:
            run.stop(Verdict.DROPPED_FLOW)
        if not run.outputs and not run.mend:
            run.mend = flow_mend(self.bridge.name, [lookup.table for lookup in run.lookups], frame)
        return Forwarded(
            lookups=tuple(run.lookups),
            outputs=tuple(run.outputs),
            learned=tuple(run.learned),
            end=run.end,
            mend=run.mend,
        )

    def _read(self) -> None:
        if self.is_read:
            return
        self.is_read = True
        found = read_tables(self.bridge)
        self.tables = {
            table: sorted(rules, key=lambda rule: -rule.flow.priority) for table, rules in found.by_table.items()
        }
        for entry in self.bridge.fdb:
            if entry.ofport is not None:
                self.addresses[entry.vlan, int(entry.mac.replace(":", ""), 16)] = entry.ofport

    # Lookups.

    def _visit(self, run: _Run, table: int | str) -> None:
        run.visits += 1
        if run.visits > RESUBMIT_LIMIT:
            run.stop(Verdict.LOOPED)
            return
        rule = self._lookup(run.cells, table)
        if rule is None:
            run.lookups.append(Lookup(table=table, what="no flow matches"))
            run.stop(Verdict.DROPPED_MISS)
            return
        run.lookups.append(Lookup(table=table, what=_effect(rule), flow=str(rule), object=owner(rule.flow.cookie)))
        if not rule.actions:
            run.stop(Verdict.DROPPED_FLOW)
        self._run(run, rule.actions, table)

    def _lookup(self, cells: Cells, table: int | str) -> Rule | None:
        """The flow of highest priority that matches, conjunctive matches included (ovs-fields(7), conj_id)."""
        clauses: dict[tuple[int, int], set[int]] = {}
        complete: dict[int, int] = {}
        for rule in self.tables.get(table, ()):
            is_clause = bool(rule.actions) and all(isinstance(action, a.Conjunction) for action in rule.actions)
            conj = rule.match.exact(f.CONJ_ID)
            if conj is not None and complete.get(conj) != rule.flow.priority:
                continue
            if not _matches(rule.match, cells, but_conjunction=conj is not None):
                continue
            if not is_clause:
                return rule
            for action in rule.actions:
                if isinstance(action, a.Conjunction):
                    known = clauses.setdefault((rule.flow.priority, action.id), set())
                    known.add(action.clause)
                    if len(known) == action.n_clauses:
                        complete[action.id] = rule.flow.priority
                        found = self._lookup_conjunction(cells, table, action.id, rule.flow.priority)
                        if found:
                            return found
        return None

    def _lookup_conjunction(self, cells: Cells, table: int | str, conj: int, priority: int) -> Rule | None:
        for rule in self.tables.get(table, ()):
            is_same = rule.match.exact(f.CONJ_ID) == conj and rule.flow.priority == priority
            if is_same and _matches(rule.match, cells, but_conjunction=True):
                return rule
        return None

    # Actions.

    def _run(self, run: _Run, actions: tuple[a.Action, ...], table: int | str) -> None:
        for action in actions:
            if run.end in (Verdict.NOT_MODELLED, Verdict.LOOPED):
                return
            self._act(run, action, table)

    def _act(self, run: _Run, action: a.Action, table: int | str) -> None:  # noqa: C901, PLR0912 - one case a kind
        match action:
            case a.Output():
                self._output(run, action)
            case a.Resubmit():
                self._resubmit(run, action, table)
            case a.GotoTable():
                self._visit(run, action.table)
            case a.SetField():
                write(run.cells, a.Subfield(action.field, 0, action.field.bits), action.value, action.mask)
            case a.SetVlan(vid=vid) if vid is not None:
                run.cells[f.VLAN_TCI] = run.cells[f.VLAN_TCI] & 0xE000 | VLAN_PRESENT | vid
            case a.PushVlan():
                run.cells[f.VLAN_TCI] = VLAN_PRESENT
            case a.PopVlan():
                run.cells[f.VLAN_TCI] = 0
            case a.Move():
                write(run.cells, action.target, read(run.cells, action.source))
            case a.Learn():
                self._learn(run, action)
            case a.Ct():
                self._ct(run, action)
            case a.Nested(name="clone"):
                kept = dict(run.cells)
                self._run(run, action.actions, table)
                run.cells = kept
            case a.DecTtl():
                run.cells[f.IP_TTL] = max(0, run.cells.get(f.IP_TTL, 0) - 1)
            case a.Named(name="ct_clear"):
                for cell in (f.CT_STATE, f.CT_ZONE, f.CT_MARK, f.CT_LABEL):
                    run.cells.pop(cell, None)
            case a.Named(name=name) if name in _IGNORED:
                pass
            case a.Controller():
                run.stop(Verdict.DROPPED_FLOW, "the controller decides; nothing is forwarded by the switch itself")
            case _:
                run.stop(Verdict.NOT_MODELLED, f"action {action} is not modelled")

    def _resubmit(self, run: _Run, action: a.Resubmit, table: int | str) -> None:
        port = action.port if isinstance(action.port, int) else None
        kept = run.cells[f.IN_PORT]
        if port is not None and port != PORTS["IN_PORT"]:
            run.cells[f.IN_PORT] = port
        self._visit(run, table if action.table is None else action.table)
        run.cells[f.IN_PORT] = kept

    def _output(self, run: _Run, action: a.Output) -> None:
        port = action.port
        if not isinstance(port, int):
            run.stop(Verdict.DROPPED_NO_PORT, f"no port is called {port}")
        elif port == PORTS["NORMAL"]:
            self._normal(run)
        elif port in (PORTS["FLOOD"], PORTS["ALL"]):
            for ofport in self.bridge.by_ofport():
                if ofport != run.in_port:
                    self._send(run, ofport)
        elif port == PORTS["IN_PORT"]:
            self._send(run, run.in_port)
        elif port == PORTS["CONTROLLER"]:
            run.stop(Verdict.DROPPED_FLOW)
        elif port != run.in_port:
            self._send(run, port)
        else:
            run.stop(Verdict.DROPPED_FLOW, "a frame is not sent back by the port that it came from")

    def _send(self, run: _Run, ofport: int) -> None:
        run.outputs.append((ofport, frame_of(run.cells, run.frame), len(run.lookups) - 1))

    def _learn(self, run: _Run, learn: a.Learn) -> None:
        terms: dict[f.Field, Term] = {}
        actions: list[a.Action] = []
        for spec in learn.specs:
            value = read(run.cells, spec.source) if spec.source else spec.value
            if spec.kind == "output":
                actions.append(a.Output(port=value))
            elif spec.target and spec.kind == "load":
                mask = ((1 << spec.target.bits) - 1) << spec.target.start
                actions.append(a.SetField(field=spec.target.field, value=value << spec.target.start, mask=mask))
            elif spec.target:
                for cell, first, low, bits in places(spec.target.field, spec.target.start, spec.target.bits):
                    mask = ((1 << bits) - 1) << first
                    part = (value >> low & (1 << bits) - 1) << first
                    known = terms.get(cell)
                    terms[cell] = Term(cell, part | (known.value if known else 0), mask | (known.mask if known else 0))
        self._install(run, learn, of_terms(terms), tuple(actions))

    def _install(self, run: _Run, learn: a.Learn, match: Match, actions: tuple[a.Action, ...]) -> None:
        flow = Flow(
            learn.table, learn.priority, str(match), a.print_actions(actions), learn.cookie, 0, 0, 0.0,
            learn.idle_timeout_s, learn.hard_timeout_s, None, None, 0, "", 0, 1, 1,
        )  # fmt: skip
        rules = self.tables.setdefault(learn.table, [])
        same = [r for r in rules if r.flow.priority == learn.priority and r.match == match]
        if not same or same[0].actions != actions:
            run.learned.append(f"{Rule(flow, match, actions)}")
        rules[:] = [rule for rule in rules if rule not in same]
        at = next((i for i, rule in enumerate(rules) if rule.flow.priority <= learn.priority), len(rules))
        rules.insert(at, Rule(flow, match, actions))

    # Connections.

    def _ct(self, run: _Run, ct: a.Ct) -> None:
        payload = frame_of(run.cells, run.frame).payload
        if ct.nat is not None or not isinstance(payload, IpPacket):
            run.stop(Verdict.NOT_MODELLED, "address translation in Open vSwitch is not modelled")
            return
        zone = ct.zone if isinstance(ct.zone, int) else read(run.cells, ct.zone)
        packet, connection = self.tracker.track(replace(payload, tracked=Tracked(zone=zone)))
        if connection and ct.commit:
            for action in ct.exec:
                if isinstance(action, a.SetField) and action.field is f.CT_MARK:
                    connection.mark = connection.mark & ~action.mask | action.value
            self.tracker.confirm(connection)
        if ct.table is not None:
            kept = dict(run.cells)
            run.cells |= {f.CT_STATE: _ct_bits(packet.tracked), f.CT_ZONE: zone}
            run.cells[f.CT_MARK] = connection.mark if connection else 0
            self._visit(run, ct.table)
            run.cells = kept

    # NORMAL.

    def _normal(self, run: _Run) -> None:
        """As a switch that learns, by VLAN (ovs-actions(7), `normal`)."""
        ports = self.bridge.by_ofport()
        came = ports.get(run.in_port)
        tci = run.cells[f.VLAN_TCI]
        vlan = tci & VID_BITS if tci & VLAN_PRESENT else 0
        if came is not None and came.tag is not None and came.vlan_mode in ("", "access"):
            if vlan:
                run.lookups.append(
                    Lookup(table=None, what=f"a frame with VLAN {vlan} on {came.name}, which has tag {came.tag}")
                )
                run.stop(Verdict.DROPPED_FLOW, f"{came.name} takes untagged frames only")
                return
            vlan = came.tag
        elif came is not None and came.vlan_mode not in ("", "trunk"):
            run.stop(Verdict.NOT_MODELLED, f"vlan_mode {came.vlan_mode} is not modelled")
            return
        self.addresses[vlan, run.cells[f.ETH_SRC]] = run.in_port
        known = self.addresses.get((vlan, run.cells[f.ETH_DST]))
        to_many = run.cells[f.ETH_DST] >> 40 & 1
        targets = [known] if known is not None and not to_many else [n for n in ports if n != run.in_port]
        sent = [n for n in targets if n != run.in_port and n in ports and self._carries(ports[n], vlan)]
        said = f"NORMAL on VLAN {vlan}: " + (", ".join(ports[n].name for n in sent) or "no port has it")
        run.lookups.append(Lookup(table=None, what=said))
        for ofport in sent:
            self._send_normal(run, ofport, ports[ofport], vlan)
        if not sent:
            address = mac_text(run.cells[f.ETH_DST])
            run.stop(Verdict.DROPPED_NO_PORT, f"a port with tag {vlan} that {address} is behind")

    def _send_normal(self, run: _Run, ofport: int, port: BridgePort, vlan: int) -> None:
        kept = run.cells[f.VLAN_TCI]
        is_access = port.tag is not None
        run.cells[f.VLAN_TCI] = 0 if is_access or not vlan else VLAN_PRESENT | vlan
        self._send(run, ofport)
        run.cells[f.VLAN_TCI] = kept

    def _carries(self, port: BridgePort, vlan: int) -> bool:
        return port.tag is None or port.tag == vlan


def _matches(match: Match, cells: Cells, *, but_conjunction: bool) -> bool:
    return all(
        cells.get(term.cell, 0) & term.mask == term.value
        for term in match.terms
        if not (but_conjunction and term.cell is f.CONJ_ID)
    )


def read(cells: Cells, subfield: a.Subfield) -> int:
    value = 0
    for cell, first, low, bits in places(subfield.field, subfield.start, subfield.bits):
        value |= (cells.get(cell, 0) >> first & (1 << bits) - 1) << low
    return value


def write(cells: Cells, subfield: a.Subfield, value: int, mask: int = -1) -> None:
    """Write the bits of `mask` of a value into a field."""
    for cell, first, low, bits in places(subfield.field, subfield.start, subfield.bits):
        chosen = (mask >> low & (1 << bits) - 1) << first
        part = (value >> low & (1 << bits) - 1) << first
        cells[cell] = cells.get(cell, 0) & ~chosen | part & chosen


def _ct_bits(tracked: Tracked) -> int:
    names = {"NEW": ["new"], "ESTABLISHED": ["est"], "INVALID": ["inv"], "RELATED": ["rel"]}.get(tracked.state, [])
    return CT_STATE["trk"] | sum(CT_STATE[name] for name in [*names, *(["rpl"] if tracked.is_reply else [])])


def _effect(rule: Rule) -> str:
    return "; ".join(_told(rule.actions)) or "drop"


def _told(actions: tuple[a.Action, ...]) -> Iterator[str]:
    for action in actions:
        match action:
            case a.Resubmit(table=table) | a.GotoTable(table=table):
                yield f"to table {table}"
            case a.Learn(table=table):
                yield f"learns into table {table}"
            case a.Output(port=port) if port == PORTS["NORMAL"]:
                yield "NORMAL"
            case _:
                yield str(action)


def owner(cookie: int) -> str:
    """What a cookie of Warren's says; empty for another's."""
    meaning = decode(cookie)
    if meaning is None:
        return ""
    digits = meaning.object_digits
    concern = meaning.concern.name.lower().replace("_", " ")
    return f"{concern} of {digits[:8]}-{digits[8:]}" if int(digits, 16) else concern
