"""Actions that change the packet and send it nowhere."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from warren.inspect.evaluate.packet import INNER_VLAN, VLAN, Values, has_header
from warren.inspect.evaluate.scope import Scope, Unknown
from warren.inspect.parse import actions as a
from warren.inspect.parse import fields as f
from warren.inspect.parse.match import VLAN_PRESENT


def read(values: Values, subfield: a.Subfield) -> int:
    """The bits of a subfield, as a number."""
    found = 0
    for cell, in_cell, in_value, bits in f.places(subfield.field, subfield.start, subfield.bits):
        found |= (values[cell.order] >> in_cell & ((1 << bits) - 1)) << in_value
    return found


def write(values: Values, subfield: a.Subfield, number: int) -> None:
    """Set the bits of a subfield."""
    for cell, in_cell, in_value, bits in f.places(subfield.field, subfield.start, subfield.bits):
        part = (1 << bits) - 1
        values[cell.order] = values[cell.order] & ~(part << in_cell) | (number >> in_value & part) << in_cell


def _set_field(scope: Scope, action: a.SetField) -> None:
    values = scope.values
    for cell, in_cell, in_value, bits in f.places(action.field, 0, action.field.bits):
        if has_header(cell, values):
            part = (1 << bits) - 1
            keep = ~((action.mask >> in_value & part) << in_cell)
            values[cell.order] = values[cell.order] & keep | (action.value >> in_value & part) << in_cell


def _set_vlan(scope: Scope, action: a.SetVlan) -> None:
    """What came by OpenFlow 1.1 or later as push_vlan and set_field is dumped as `mod_vlan_vid` in OpenFlow 1.0."""
    if scope.values[VLAN] and not scope.matches_tag:
        raise Unknown(f"whether {action} adds a second tag to a tagged frame: a dump in OpenFlow 1.0 does not say")
    tag = scope.values[VLAN] | VLAN_PRESENT
    if action.vid is not None:
        tag = tag & 0xF000 | action.vid
    if action.pcp is not None:
        tag = tag & 0x1FFF | action.pcp << 13
    scope.values[VLAN] = tag


def _push_vlan(scope: Scope, action: a.PushVlan) -> None:
    if action.ethertype != 0x8100:
        raise Unknown(f"a tag of type {action.ethertype:#x}")
    if scope.values[INNER_VLAN]:
        raise Unknown("a third VLAN tag")
    scope.values[INNER_VLAN], scope.values[VLAN] = scope.values[VLAN], VLAN_PRESENT


def _pop_vlan(scope: Scope, _action: a.PopVlan) -> None:
    scope.values[VLAN], scope.values[INNER_VLAN] = scope.values[INNER_VLAN], 0


def _cells(subfield: a.Subfield) -> Iterator[f.Field]:
    return (cell for cell, *_ in f.places(subfield.field, subfield.start, subfield.bits))


def _move(scope: Scope, action: a.Move) -> None:
    if all(has_header(cell, scope.values) for part in (action.source, action.target) for cell in _cells(part)):
        write(scope.values, action.target, read(scope.values, action.source))


def _push(scope: Scope, action: a.Push) -> None:
    scope.stack.append(read(scope.values, action.source))


def _pop(scope: Scope, action: a.Pop) -> None:
    if scope.stack:
        write(scope.values, action.target, scope.stack.pop())


CHANGES: Final[Mapping[type, Callable[..., None]]] = {
    a.SetField: _set_field,
    a.SetVlan: _set_vlan,
    a.PushVlan: _push_vlan,
    a.PopVlan: _pop_vlan,
    a.Move: _move,
    a.Push: _push,
    a.Pop: _pop,
}
"""Kind of action -> what it does to the packet of a scope."""
