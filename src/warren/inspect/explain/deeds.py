"""Actions in words: `go to compute2 through vxlan-0a090003 with VNI 1001 and without a tag`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from warren.inspect.explain.conditions import mac, network, port
from warren.inspect.explain.context import Context
from warren.inspect.normal import normal_actions
from warren.inspect.parse import actions as a
from warren.inspect.parse import fields as f
from warren.inspect.parse import values
from warren.inspect.parse.match import value_text

_SPECIAL_PORTS: Final[Mapping[int, str]] = {
    values.PORTS["NORMAL"]: "are switched by learned addresses, as by a plain switch (NORMAL)",
    values.PORTS["FLOOD"]: "go to every port of the bridge but the one they came by (FLOOD)",
    values.PORTS["ALL"]: "go to every port but the one they came by (ALL)",
    values.PORTS["IN_PORT"]: "go back by the port they came by",
    values.PORTS["LOCAL"]: "go to the bridge's own interface (LOCAL)",
    values.PORTS["CONTROLLER"]: "go to the controller",
    values.PORTS["TABLE"]: "start again at table 0",
}
THEN: Final = ", then "
"""Between the verbs of a predicate."""
AND_GO_ON: Final = " and go on to "
"""What connection tracking does at once, with the frame's verdict."""


@dataclass(slots=True)
class _Telling:
    """Deeds as they are told: changes to the frame wait until it goes somewhere."""

    context: Context
    changes: list[str] = field(default_factory=list)
    outputs: list[int] = field(default_factory=list)
    deeds: list[str] = field(default_factory=list)

    def flush(self) -> None:
        """Tell the outputs collected so far, with the changes made before them."""
        if self.outputs:
            self.deeds.append(_going(self.outputs, self.context) + self.with_changes())
            self.outputs.clear()

    def with_changes(self) -> str:
        told = f", {_and(self.changes)}," if self.changes else ""
        self.changes.clear()
        return told

    def tell(self, deed: str) -> None:
        self.flush()
        self.deeds.append(deed + self.with_changes())


def describe_actions(actions: tuple[a.Action, ...], context: Context) -> str:
    """What happens to the frames, as the predicate of a sentence about them."""
    normal = normal_actions(actions)
    if not normal:
        return "are dropped"
    telling = _Telling(context.beyond() if context.is_physical else context)
    for action in normal:
        _tell(action, telling)
    telling.flush()
    if telling.changes:
        telling.deeds.append(f"end here, {_and(telling.changes)}")
    return THEN.join(deed.rstrip(",") for deed in telling.deeds)


def _tell(action: a.Action, telling: _Telling) -> None:
    if isinstance(action, a.Output) and isinstance(action.port, int) and action.port < 0xFFF0 and not action.max_len:
        telling.outputs.append(action.port)
        return
    change = _change(action, telling.context)
    if change:
        if telling.outputs:
            telling.flush()
        telling.changes.append(change)
        return
    telling.tell(_DEEDS[type(action)](action, telling.context))


def _going(ports: list[int], context: Context) -> str:
    """To one port, or copies to several."""
    if len(ports) > 1:
        return f"are copied to {_and([port(number, context) for number in ports])}"
    (number,) = ports
    if number in context.hosts:
        tunnel = context.ports[number].partition(" to ")[0]
        return f"go to {context.hosts[number]} through {tunnel}"
    return f"go to {port(number, context)}"


def _and(words: list[str]) -> str:
    return f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]


def _change(action: a.Action, context: Context) -> str:
    """How an action changes the frame or its registers; empty for an action that sends it somewhere."""
    reader = _CHANGES.get(type(action))
    return reader(action, context) if reader else ""


def _set_vlan(action: a.SetVlan, context: Context) -> str:
    return (
        f"with VLAN priority {action.pcp}" if action.vid is None else f"with the tag of {network(action.vid, context)}"
    )


def _written(action: a.SetField, context: Context) -> str:
    name = action.field
    is_whole = action.mask == name.mask
    if name is f.TUN_ID and is_whole:
        return f"with {context.key} {action.value}"
    if name in (f.ETH_SRC, f.ETH_DST) and is_whole:
        role = "as if sent by" if name is f.ETH_SRC else "addressed to"
        return f"{role} {mac(action.value, context)}"
    if context.pipeline is not None and is_whole:
        if name is f.REGS[5]:
            return f"marked as of {port(action.value, context)} (reg5)"
        if name is f.REGS[6]:
            return f"marked as of {network(action.value, context)} (reg6)"
    return f"with {name.name} set to {value_text(name, action.value, action.mask)}"


_CHANGES: Final[Mapping[type, Callable[..., str]]] = {
    a.SetVlan: _set_vlan,
    a.PopVlan: lambda _action, _context: "without a tag",
    a.SetField: _written,
    a.Move: lambda action, _context: f"with {_name(action.target)} taken from {_name(action.source)}",
    a.PushVlan: lambda _action, _context: "with a new tag",
    a.DecTtl: lambda _action, _context: "with the TTL reduced by one",
}


def _name(subfield: a.Subfield) -> str:
    if subfield.is_whole:
        return subfield.field.name
    last = subfield.start + subfield.bits - 1
    return (
        f"bits {subfield.start} to {last} of {subfield.field.name}"
        if subfield.bits > 1
        else (f"bit {subfield.start} of {subfield.field.name}")
    )


def table(number: a.TableId, context: Context) -> str:
    """`table 20 (UCAST_TO_TUN)`."""
    note = context.pipeline.table(number) if context.pipeline else None
    return f"table {number} ({note.name})" if note else f"table {number}"


def _output(action: a.Output, context: Context) -> str:
    if isinstance(action.port, str):
        return f"go to {action.port}"
    cut = f", cut to {action.max_len} bytes" if action.max_len else ""
    return _SPECIAL_PORTS.get(action.port, f"go to {port(action.port, context)}") + cut


def _resubmit(action: a.Resubmit, context: Context) -> str:
    where = f"go on to {table(action.table, context)}" if action.table is not None else "are looked up again"
    by = (
        ""
        if action.port is None
        else f" as if from {action.port if isinstance(action.port, str) else port(action.port, context)}"
    )
    return where + by


def _learn(action: a.Learn, context: Context) -> str:
    """What a learn() flow will write, in words."""
    matched = [_looked_at(spec) for spec in action.specs if spec.kind == "match"] or ["with anything"]
    done = [_taught(spec, context) for spec in action.specs if spec.kind != "match"] or ["are dropped"]
    lifetime = f"for {action.hard_timeout_s} s" if action.hard_timeout_s else "for good"
    if action.idle_timeout_s:
        lifetime = f"until unused for {action.idle_timeout_s} s"
    return f"teach {table(action.table, context)} {lifetime} that frames {_and(matched)} {_and(done)}"


def _looked_at(spec: a.LearnSpec) -> str:
    """One condition of the flow that will be learned."""
    target, source = spec.target, spec.source
    if target is None or source is None:
        return f"with {_name(target) if target else 'nothing'} {spec.value:#x}"
    if target.field is f.VLAN_TCI and source.field is f.VLAN_TCI:
        return "of this frame's network"
    if target.field is f.ETH_DST and source.field is f.ETH_SRC:
        return "for its sender"
    return f"with this frame's {_name(target)}" if target == source else f"with {_name(target)} as its {_name(source)}"


def _taught(spec: a.LearnSpec, context: Context) -> str:
    """One deed of the flow that will be learned."""
    target, source = spec.target, spec.source
    given = f"this frame's {_name(source)}" if source is not None else f"{spec.value:#x}"
    if spec.kind == "output":
        is_way_back = source is not None and source.field in (f.IN_PORT, f.IN_PORT_OXM)
        return "go where this one came from" if is_way_back else f"go to the port in {given}"
    if target is not None and target.field is f.VLAN_TCI and source is None and not spec.value:
        return "lose their tag"
    if target is not None and target.field is f.TUN_ID and source == target:
        return f"get its {context.key}"
    return f"get {given}" if source == target or target is None else f"get {given} as {_name(target)}"


def _ct(action: a.Ct, context: Context) -> str:
    zone = f"zone {action.zone}" if isinstance(action.zone, int) else f"the zone in {_name(action.zone)}"
    if isinstance(action.zone, a.Subfield) and action.zone.field is f.REGS[6]:
        zone = "their network's zone"
    words = [f"are remembered as a connection in {zone}" if action.commit else f"pass the connection tracker in {zone}"]
    if action.nat is not None:
        words.append(f"with {action.nat}" if action.nat.kind else "translated as their connection is")
    if action.exec:
        words.append(f"{_and([_written(item, context) for item in action.exec if isinstance(item, a.SetField)])}")
    if action.table is not None:
        return f"{', '.join(words)}{AND_GO_ON}{table(action.table, context)} with its verdict"
    return ", ".join(words[:-1]) + " " + words[-1] if len(words) > 1 else words[0]


def _nested(action: a.Nested, context: Context) -> str:
    inside = describe_actions(action.actions, context)
    if action.name == "clone":
        return f"have a copy whose frames {inside}"
    return f"will, at the end of the pipeline: {inside}"


def _conjunction(action: a.Conjunction, _context: Context) -> str:
    return f"fulfil condition {action.clause} of {action.n_clauses} of rule {action.id}"


def _check_larger(action: a.CheckPktLarger, _context: Context) -> str:
    return f"have noted in {_name(action.target)} whether they are larger than {action.size_bytes} bytes"


_NAMED: Final[Mapping[str, str]] = {
    "ct_clear": "forget what the connection tracker said",
    "exit": "end here",
    "pop_queue": "use the default queue again",
    "clear_actions": "forget what was to be done at the end of the pipeline",
}


def _named(action: a.Named, _context: Context) -> str:
    if action.name == "meter":
        return f"are limited by meter {action.arguments[0]}"
    if action.name == "set_queue":
        return f"use queue {action.arguments[0]}"
    return _NAMED.get(action.name, f"undergo {action}")


_DEEDS: Final[Mapping[type, Callable[..., str]]] = {
    a.Output: _output,
    a.OutputField: lambda action, _context: f"go to the port whose number is in {_name(action.source)}",
    a.Controller: lambda action, _context: f"go to the controller ({', '.join(action.arguments)})",
    a.Enqueue: lambda action, context: f"go to {port(action.port, context)} through queue {action.queue}",
    a.Group: lambda action, _context: f"go to group {action.id}",
    a.Resubmit: _resubmit,
    a.GotoTable: lambda action, context: f"go on to {table(action.table, context)}",
    a.PushMpls: lambda _action, _context: "get an MPLS label",
    a.PopMpls: lambda _action, _context: "lose their MPLS label",
    a.Push: lambda action, _context: f"have {_name(action.source)} put on the stack",
    a.Pop: lambda action, _context: f"get {_name(action.target)} back from the stack",
    a.Learn: _learn,
    a.Ct: _ct,
    a.Nested: _nested,
    a.Conjunction: _conjunction,
    a.CheckPktLarger: _check_larger,
    a.Named: _named,
}
