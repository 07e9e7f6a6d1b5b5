"""What an experiment works with: the lab, the API, its instances; and where stages, steps and claims are noted.

Owns the output directory. Knows nothing of any single experiment.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess

from warren.lab import api, host
from warren.lab.directory import LabDirectory
from warren.lab.experiments import atlas, tables
from warren.lab.experiments.record import Claim, Experiment, FlowChange, Hop, Stage, Way
from warren.lab.experiments.sight import Sight, look
from warren.lab.host import Place
from warren.lab.instances import Instance, Kind
from warren.lab.plan import WORLD


@dataclass(slots=True, kw_only=True)
class Objects:
    """What the experiments made so far, by the API; the later ones build on it."""

    external: api.Network | None = None
    tenant: api.Network | None = None
    router: api.Router | None = None
    instances: dict[str, Instance] = field(default_factory=dict)


class Scene:
    """The lab during a run. `tell` is given lines for the terminal: (kind, text)."""

    def __init__(
        self, *, lab: LabDirectory, client: api.Client, out: Path, kind: Kind, tell: Callable[[str, str], None]
    ) -> None:
        self.lab = lab
        self.client = client
        self.out = out
        self.kind = kind
        self.objects = Objects()
        self.places: Mapping[str, Place] = {planned.name: host.place(lab, planned.name) for planned in lab.plan.hosts}
        self.world = host.place(lab, WORLD)
        self._tell = tell
        self._before: Sight | None = None
        self.experiment: Experiment | None = None

    @property
    def network_host(self) -> str:
        """The host that has the router and the DHCP server."""
        return next(planned.name for planned in self.lab.plan.hosts if planned.is_network)

    @property
    def is_learning(self) -> bool:
        return self.lab.plan.mode.value == "learning"

    @property
    def tunnel(self) -> str:
        return self.lab.plan.tunnel.value

    # Notes.

    def begin(self, number: int, title: str, question: str) -> Experiment:
        """Start a new experiment; everything noted from here on is its."""
        self.experiment = Experiment(number=number, title=title, question=question)
        self._tell("experiment", f"{number}. {title}")
        return self.experiment

    def step(self, command: str) -> None:
        """Note what was done, as a command that a person would type."""
        self._current.steps.append(command)
        self._tell("step", command)

    def stage(self, name: str, title: str) -> Sight:
        """Look at every host, save the outputs, and note what changed in br-tun since the stage before."""
        seen = look(self.lab, self.places, name, self.out)
        names = self.names(seen)
        changes = {where: self._changes(seen, where, names) for where in seen.hosts}
        flows = {
            where: tuple(f"{entry.n_packets:>6}  {entry.text}" for entry in sight.tunnels)
            for where, sight in seen.hosts.items()
        }
        self._current.stages.append(Stage(name=name, title=title, changes=changes, flows=flows))
        self._before = seen
        self._tell("stage", f"{name}: {title}")
        for where, found in changes.items():
            for change in found:
                self._tell(change.change, f"{where}  {change.flow}  [{change.owner}]")
        return seen

    def claim(self, text: str, *, held: bool, expected: object, observed: object, evidence: str) -> None:
        """Note whether a claim holds, with what was expected, what was seen and the file that shows it."""
        stage = self._current.stages[-1].name if self._current.stages else ""
        claim = Claim(
            experiment=self._current.number,
            stage=stage,
            claim=text,
            held=held,
            expected=str(expected),
            observed=str(observed),
            evidence=evidence,
        )
        self._current.claims.append(claim)
        self._tell(
            "held" if held else "failed", text if held else f"{text}\nexpected: {expected}\nobserved: {observed}"
        )

    def way(self, title: str, hops: Sequence[Hop]) -> None:
        """Note a packet's way."""
        self._current.ways.append(Way(title=title, hops=tuple(hops)))

    def save(self, name: str, text: str) -> str:
        """Keep an output as evidence in the folder of the present stage; gives its path for a claim."""
        stage = self._current.stages[-1].name if self._current.stages else f"{self._current.number}"
        path = self.out / stage / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path.relative_to(self.out))

    # Doing.

    def on(self, name: str, *command: str, save_as: str | None = None) -> CompletedProcess[str]:
        """Run a command on a host, in the world or in an instance, note it as a step, and keep its output."""
        self.step(f"[{name}] {' '.join(command)}")
        instance = self.objects.instances.get(name)
        done = instance.run(self.lab, *command) if instance else self.place(name).run(*command)
        if save_as:
            self.save(f"{name}/{save_as}", done.stdout + done.stderr)
        return done

    def place(self, name: str) -> Place:
        return self.world if name == WORLD else self.places[name]

    def names(self, seen: Sight) -> atlas.Atlas:
        """Names of everything there is now."""
        vteps = {planned.name: planned.vtep_ip for planned in self.lab.plan.hosts}
        return atlas.draw(self.client.networks(), self.client.ports(), vteps, seen)

    @property
    def _current(self) -> Experiment:
        assert self.experiment is not None
        return self.experiment

    def _changes(self, seen: Sight, name: str, names: atlas.Atlas) -> tuple[FlowChange, ...]:
        before = self._before[name].tunnels if self._before else ()
        found = tables.difference(before, seen[name].tunnels)
        marked = [("removed", entry) for entry in found.removed] + [("added", entry) for entry in found.added]
        return tuple(
            FlowChange(
                change=change,
                table=entry.table,
                purpose=atlas.PURPOSES.get(entry.table, ""),
                flow=entry.text,
                owner=names.owner(entry),
                is_learned=entry.is_learned,
            )
            for change, entry in sorted(marked, key=lambda item: item[1].key)
        )
