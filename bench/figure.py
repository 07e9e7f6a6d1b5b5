"""What a benchmark is: a promise with a figure, and the way to measure it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A promise of the documentation that can be measured.

    `measure` yields one value per run, in `unit`, and cleans up after the last. `reach` is what is promised: a value to
    stay at or below, or, with `more_is_better`, to reach or exceed. `peer` is what Neutron 29 (MariaDB, RabbitMQ, its
    agents, hosts of the same kind), or the tool named, did on such a machine.
    """

    name: str
    what: str
    unit: str
    reach: float
    peer: str
    measure: Callable[[], Iterator[float]]
    more_is_better: bool = False
    needs_root: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The runs of one figure, in its unit."""

    figure: Figure
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    @property
    def is_reached(self) -> bool:
        if self.figure.more_is_better:
            return self.median >= self.figure.reach
        return self.median <= self.figure.reach
