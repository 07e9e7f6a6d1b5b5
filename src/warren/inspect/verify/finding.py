"""A fault as a value: what, how bad, where, how it was seen, and what mends it."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """How bad a fault is; the worst has the highest number."""

    UNTIDY = 1
    """Nothing is lost, but nobody asked for it."""
    RISK = 2
    """Something will be lost, or is lost now and then."""
    OUTAGE = 3
    """Frames are lost."""
    LEAK = 4
    """A frame of one network can reach another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fault. `object` is what it concerns, by name or id; `evidence` are lines of the dumps."""

    kind: str
    severity: Severity
    host: str
    object: str
    what: str
    mend: str
    evidence: tuple[str, ...] = ()


def worst_first(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Without repetitions, the worst first, then in a stable order."""
    return tuple(
        sorted(set(findings), key=lambda found: (-found.severity, found.kind, found.host, found.object, found.what))
    )
