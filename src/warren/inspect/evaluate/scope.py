"""What one bridge keeps while it handles a packet, and the two ways in which following it can end early."""

from dataclasses import dataclass, field

from warren.inspect.evaluate.model import BridgeModel
from warren.inspect.evaluate.packet import Values
from warren.inspect.parse.actions import Action


class GivenUp(Exception):
    """Open vSwitch would drop the packet and all its copies."""


class Unknown(Exception):
    """The rest of this way cannot be said; the message says why."""


@dataclass(slots=True)
class Scope:
    """The packet and what belongs to it in one bridge."""

    bridge: BridgeModel
    values: Values
    stack: list[int] = field(default_factory=list)
    """Of `push` and `pop`."""
    written: list[Action] = field(default_factory=list)
    """The action set of `write_actions`."""
    matches_tag: bool = False
    """The flow whose actions are carried out takes tagged frames only."""
    ended: bool = False
    """`exit` was met."""
