"""What became of a packet, as values: lookups, outputs, what was learned, and what could not be said."""

from dataclasses import dataclass

from warren.inspect.evaluate.classifier import Rule
from warren.inspect.parse.actions import TableId
from warren.inspect.parse.dump import Flow
from warren.inspect.parse.match import Match


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One table looked up. `rule` is None for a miss. `depth` counts the lookups that this one happened inside of."""

    bridge: str
    table: TableId
    rule: Rule | None
    depth: int

    @property
    def flow(self) -> Flow | None:
        return self.rule.flow if self.rule is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A copy of the packet that left a bridge by a port. `step` is the index of the lookup that sent it."""

    bridge: str
    port: int
    values: tuple[int, ...]
    step: int
    by_normal: bool = False
    max_len: int = 0
    """Bytes it was cut to; 0: whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """A flow that learn() would write."""

    bridge: str
    flow: Flow
    match: Match


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenAddress:
    """What NORMAL would note: a MAC address on a port."""

    bridge: str
    vlan: int
    mac: int
    port: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Everything that a packet caused, in order.

    With `not_modelled` the rest is true as far as it goes, but more may have happened. `error` is why Open vSwitch
    gives the packet up; nothing is sent then.
    """

    steps: tuple[Step, ...]
    sent: tuple[Sent, ...]
    learned: tuple[Learned, ...] = ()
    seen: tuple[SeenAddress, ...] = ()
    final: tuple[tuple[int, ...], ...] = ()
    """The packet at the end of each pass: the first, and one for each time the connection tracker sent it back."""
    not_modelled: tuple[str, ...] = ()
    error: str = ""
