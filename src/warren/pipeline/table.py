"""Tables and register fields as declarations. Importing a wrong pipeline raises."""

from collections.abc import Iterable
from dataclasses import dataclass

from warren.core.errors import Impossible


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One flow table: what it is for, what it may look at, where it may send a frame, what happens on a miss."""

    id: int
    name: str
    purpose: str
    """One sentence, for people."""
    matches: frozenset[str] = frozenset()
    """Names of match fields and protocol words, as OVS spells them."""
    goes_to: frozenset[int] = frozenset()
    """Tables that it resubmits to, or that its learn() writes into."""
    miss: str | None = "drop"
    """Actions of the flow with priority 0 and no match. None: its flows cover every frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterField:
    """Bits of a register with a meaning of their own."""

    name: str
    register: int
    purpose: str
    first_bit: int = 0
    last_bit: int = 31


def check_pipeline(tables: Iterable[Table], fields: Iterable[RegisterField] = ()) -> tuple[Table, ...]:
    """The tables in the order of their numbers, if they make a pipeline.

    Raises:
        Impossible: a number or name is used twice, a table goes to one that is not declared, or fields overlap.
    """
    ordered = tuple(sorted(tables, key=lambda table: table.id))
    ids = [table.id for table in ordered]
    if len(set(ids)) < len(ids) or len({table.name for table in ordered}) < len(ids):
        raise Impossible(f"two tables have the same number or name: {ids}")
    for table in ordered:
        if not 0 <= table.id <= 254:
            raise Impossible(f"table {table.id} ({table.name}): numbers are 0..254")
        if missing := table.goes_to - set(ids):
            raise Impossible(f"table {table.id} ({table.name}) goes to {sorted(missing)}, which nobody declared")
    _check_fields(fields)
    return ordered


def _check_fields(fields: Iterable[RegisterField]) -> None:
    taken: dict[tuple[int, int], str] = {}
    for field in fields:
        if not 0 <= field.first_bit <= field.last_bit <= 31 or not 0 <= field.register <= 15:
            raise Impossible(f"register field {field.name} does not fit 32 bits of reg0..reg15")
        for bit in range(field.first_bit, field.last_bit + 1):
            other = taken.setdefault((field.register, bit), field.name)
            if other != field.name:
                raise Impossible(f"register fields {other} and {field.name} share bit {bit} of reg{field.register}")
