"""What an experiment works with: the lab, the API, its instances; and where stages, steps and claims are noted.

Owns the output directory. Knows nothing of any single experiment.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Literal, TypeAlias

from warren.core.state import TunnelMode
from warren.lab import api, host
from warren.lab.directory import LabDirectory
from warren.lab.experiments import atlas, tables
from warren.lab.experiments.record import Claim, Experiment, FlowChange, Hop, Stage, Way
from warren.lab.experiments.sentences import sentences
from warren.lab.experiments.sight import Sight, look
from warren.lab.host import Place
from warren.lab.instances import Instance, Kind
from warren.lab.plan import WORLD

LineKind: TypeAlias = Literal["experiment", "step", "stage", "added", "removed", "held", "failed"]
Tell: TypeAlias = Callable[[LineKind, str], None]
"""Told each line of a run as it comes: what kind of line it is, and its text."""


@dataclass(slots=True, kw_only=True)
class Objects:
    """What the experiments made so far, by the API; the later ones build on it."""

    external: api.Network | None = None
    tenant: api.Network | None = None
    tenant_subnet: api.Subnet | None = None
    router: api.Router | None = None
    instances: dict[str, Instance] = field(default_factory=dict)


class Scene:
    """The lab during a run. `tell` is given lines for the terminal."""

    def __init__(
        self,
        *,
        lab: LabDirectory,
        credentials: api.Credentials,
        out: Path,
        kind: Kind,
        tell: Tell,
    ) -> None:
        self.lab = lab
        self.client = api.Client(credentials, say=self.step)
        self.out = out
        self.kind = kind
        self.objects = Objects()
        self.places: Mapping[str, Place] = {planned.name: host.place(lab, planned.name) for planned in lab.plan.hosts}
        self._tell = tell
        self._before: Sight | None = None
        self._sentences: Mapping[str, Mapping[tables.FlowKey, str]] = {}
        self._experiment: Experiment | None = None

    @property
    def network_host(self) -> str:
        """The host that has the router and the DHCP server; of several network hosts the others stand by."""
        return next(planned.name for planned in self.lab.plan.hosts if planned.is_network)

    @property
    def is_learning(self) -> bool:
        return self.lab.plan.mode is TunnelMode.LEARNING

    @property
    def tunnel(self) -> str:
        return self.lab.plan.tunnel.value

    @property
    def current(self) -> Experiment:
        """The experiment that runs now."""
        assert self._experiment is not None
        return self._experiment

    # Notes.

    def begin(self, number: int, title: str, question: str) -> None:
        """Start a new experiment; everything noted from here on is its."""
        self._experiment = Experiment(number=number, title=title, question=question)
        self._tell("experiment", f"{number}. {title}")

    def step(self, command: str) -> None:
        """Note what was done, as a command that a person would type."""
        if self._experiment is not None:
            self._experiment.steps.append(command)
        self._tell("step", command)

    def stage(self, name: str, title: str) -> Sight:
        """Look at every host, save the outputs, and note what changed in br-tun since the stage before."""
        seen = look(self.lab, self.places, name, self.out)
        names = self.names(seen)
        since = {where: self._since_before(seen, where) for where in seen.hosts}
        told = sentences(self.out / name, self.client.everything())
        before = self._sentences
        known = {where: {**before.get(where, {}), **told.get(where, {})} for where in seen.hosts}
        changes = {where: _changes(found, names, known[where]) for where, found in since.items()}
        self.current.stages.append(
            Stage(
                name=name,
                title=title,
                changes=changes,
                counted={where: _counted(found) for where, found in since.items()},
                has_before=self._before is not None,
                flows={where: _listed(sight.tunnels) for where, sight in seen.hosts.items()},
            )
        )
        self._before, self._sentences = seen, told
        self._tell("stage", f"{name}: {title}")
        for where, found in changes.items():
            for change in found:
                self._tell(change.change, f"{where}  {change.flow}  [{change.owner}]")
        return seen

    def claim(self, text: str, *, held: bool, expected: object, observed: object, evidence: str) -> None:
        """Note whether a claim holds, with what was expected, what was seen and the file that shows it."""
        stage = self.current.stages[-1].name if self.current.stages else ""
        claim = Claim(
            experiment=self.current.number,
            stage=stage,
            claim=text,
            held=held,
            expected=_worded(expected),
            observed=_worded(observed),
            evidence=evidence,
        )
        self.current.claims.append(claim)
        self._tell(
            "held" if held else "failed",
            text if held else f"{text}\nexpected: {claim.expected}\nseen: {claim.observed}",
        )

    def way(self, title: str, hops: Sequence[Hop]) -> None:
        """Note a packet's way."""
        self.current.ways.append(Way(title=title, hops=tuple(hops)))

    def save(self, name: str, text: str) -> str:
        """Keep an output as evidence in the folder of the present stage; gives its path for a claim."""
        stage = self.current.stages[-1].name if self.current.stages else f"{self.current.number}"
        path = self.out / stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return str(path.relative_to(self.out))

    # Doing.

    def on(self, name: str, *command: str) -> CompletedProcess[str]:
        """Run a command on a host, in the world or in an instance, and note it as a step."""
        self.step(f"[{name}] {' '.join(command)}")
        instance = self.objects.instances.get(name)
        return instance.run(self.lab, *command) if instance else self._place(name).run(*command)

    def names(self, seen: Sight) -> atlas.Atlas:
        """Names of everything there is now."""
        vteps = {planned.name: planned.vtep_ip for planned in self.lab.plan.hosts}
        return atlas.draw(self.client.networks(), self.client.ports(), vteps, seen)

    def _place(self, name: str) -> Place:
        return host.place(self.lab, WORLD) if name == WORLD else self.places[name]

    def _since_before(self, seen: Sight, where: str) -> tables.Difference:
        """Nothing, for the first look: there is nothing to compare with."""
        before = (self._before or seen)[where]
        return tables.difference(before.tunnels, seen[where].tunnels)


def _changes(
    found: tables.Difference, names: atlas.Atlas, told: Mapping[tables.FlowKey, str]
) -> tuple[FlowChange, ...]:
    marked: list[tuple[Literal["added", "removed"], tables.Entry]] = [
        *(("removed", entry) for entry in found.removed),
        *(("added", entry) for entry in found.added),
    ]
    return tuple(
        FlowChange(
            change=change,
            table=entry.table,
            purpose=atlas.PURPOSES.get(entry.table, ""),
            flow=entry.text,
            sentence=told.get(entry.key, ""),
            owner=names.owner(entry),
            is_learned=entry.is_learned,
        )
        for change, entry in sorted(marked, key=lambda item: item[1].key)
    )


def _counted(found: tables.Difference) -> tuple[str, ...]:
    return tuple(f"{packets:>+6}  {entry.text}" for entry, packets in found.counted)


def _listed(flows: Sequence[tables.Entry]) -> tuple[str, ...]:
    return tuple(f"{entry.n_packets:>6}  {entry.text}" for entry in flows)


def _worded(value: object) -> str:
    """A mapping as `key: value, key: value`, a sequence as its entries."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_worded(entry)}" for key, entry in value.items())
    if isinstance(value, tuple | list):
        return ", ".join(map(str, value))
    return str(value)
