"""What a run of the experiments yields, as values: steps, stages, claims, the packet's way. Pure; JSON by msgspec."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A sentence that was checked against what was observed."""

    experiment: int
    stage: str
    claim: str
    held: bool
    expected: str
    observed: str
    evidence: str
    """A file that shows it, relative to the output directory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowChange:
    """A flow of br-tun that came or went, with what the table is for and whom the flow serves."""

    change: Literal["added", "removed"]
    table: int
    purpose: str
    flow: str
    sentence: str
    """What it does, in words."""
    owner: str
    is_learned: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A moment at which every host was looked at."""

    name: str
    title: str
    changes: Mapping[str, tuple[FlowChange, ...]]
    """Host -> what changed in its br-tun since the stage before."""
    counted: Mapping[str, tuple[str, ...]]
    """Host -> flows that counted packets since the stage before, with how many."""
    has_before: bool
    flows: Mapping[str, tuple[str, ...]]
    """Host -> br-tun as it is, with the packets that each flow has counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """One place on a packet's way."""

    host: str
    place: str
    detail: str
    evidence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """A packet's way, in order."""

    title: str
    hops: tuple[Hop, ...]


@dataclass(slots=True, kw_only=True)
class Experiment:
    """One experiment as it fills up."""

    number: int
    title: str
    question: str
    steps: list[str] = field(default_factory=list)
    """What was done, as commands that a person would type."""
    stages: list[Stage] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    ways: list[Way] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def has_held(self) -> bool:
        return bool(self.claims) and all(claim.held for claim in self.claims)
