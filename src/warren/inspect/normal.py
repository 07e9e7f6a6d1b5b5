"""The normal form of actions: lists that a switch carries out alike become equal.

`parse` already joins spellings of one action; this joins what is spelled as several actions, or depends on the place:

* OpenFlow 1.3 writes `mod_vlan_vid:1` as `push_vlan:0x8100,set_field:4097->vlan_vid`, and a last `resubmit(,60)` as
  `goto_table:60`; a load of a tag without its presence bit is `strip_vlan`;
* constants written one after the other, to the same or different bits, in whatever order and width;
* `enqueue:1:2` is `set_queue:2,output:1,pop_queue`.
"""

from collections.abc import Iterator
from typing import Final

from warren.inspect.parse import fields as f
from warren.inspect.parse.actions import (
    Action,
    Enqueue,
    GotoTable,
    Named,
    Nested,
    Output,
    PopVlan,
    PushVlan,
    Resubmit,
    SetField,
    SetVlan,
)
from warren.inspect.parse.match import VLAN_PRESENT

_VLAN_ETHERTYPE: Final = 0x8100
_VID_MASK: Final = 0x1FFF


def normal_actions(actions: tuple[Action, ...]) -> tuple[Action, ...]:
    """Actions in normal form, for comparison. Nested lists as well."""
    found: list[Action] = []
    constants: list[SetField] = []
    for action in _respelled(actions):
        if isinstance(action, SetField):
            constants.append(action)
            continue
        found += (*_joined(constants), action)
        constants.clear()
    found += _joined(constants)
    if found and isinstance(last := found[-1], GotoTable):
        found[-1] = Resubmit(table=last.table)
    return tuple(found)


def _respelled(actions: tuple[Action, ...]) -> Iterator[Action]:
    """Action by action, each in its one spelling."""
    for index, action in enumerate(actions):
        if isinstance(action, SetField):
            yield from _tagged(action) or (action,)
        elif isinstance(action, Nested):
            yield Nested(name=action.name, actions=normal_actions(action.actions))
        elif isinstance(action, Enqueue):
            yield Named(name="set_queue", arguments=(str(action.queue),), form=":")
            yield Output(port=action.port)
            yield Named(name="pop_queue", form="")
        elif action != PushVlan(ethertype=_VLAN_ETHERTYPE) or not _sets_tag(actions[index + 1 : index + 2]):
            yield action


def _sets_tag(following: tuple[Action, ...]) -> bool:
    """Whether the next action sets a tag's id, as it does after the push that belongs to `mod_vlan_vid`."""
    return any(isinstance(action, SetField) and action.mask != 0xFFFF and _tagged(action) for action in following)


def _tagged(action: SetField) -> tuple[Action, ...]:
    """A constant written to the tag as what sets or removes the tag in OpenFlow 1.0; nothing for all else."""
    vid, pcp = SetVlan(vid=action.value & 0xFFF), SetVlan(pcp=action.value >> 13)
    if action.field is f.VLAN_VID and action.mask == _VID_MASK and action.value & VLAN_PRESENT:
        return (vid,)
    if action.field is f.VLAN_TCI and action.mask == 0xE000:
        return (pcp,)
    if action.field is f.VLAN_TCI and action.mask == 0xFFFF:
        return (vid, pcp) if action.value & VLAN_PRESENT else (PopVlan(),)
    return ()


def _joined(constants: list[SetField]) -> Iterator[SetField]:
    """Constants written one after the other, as one write to each cell, in the order of the cells."""
    written: dict[f.Field, tuple[int, int]] = {}
    for action in constants:
        for cell, in_cell, in_value, bits in f.places(action.field, 0, action.field.bits):
            part = (1 << bits) - 1
            value, mask = (action.value >> in_value & part) << in_cell, (action.mask >> in_value & part) << in_cell
            old_value, old_mask = written.get(cell, (0, 0))
            if mask:
                written[cell] = (old_value & ~mask | value, old_mask | mask)
    for cell in sorted(written, key=lambda cell: cell.order):
        value, mask = written[cell]
        yield SetField(field=cell, value=value, mask=mask)
