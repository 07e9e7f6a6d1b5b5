"""Writing what a run yielded: `results.json`, for scripts. The page for people is `report`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from warren.lab.experiments.record import Claim, Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of the experiments on one lab. `lab` says which: tunnel, mode, plug, ageing, instances, hosts."""

    lab: Mapping[str, object]
    started_at: str
    took_s: float
    experiments: Sequence[Experiment]

    @property
    def claims(self) -> list[Claim]:
        return [claim for experiment in self.experiments for claim in experiment.claims]

    @property
    def has_held(self) -> bool:
        """Every experiment made claims, and every claim holds."""
        return bool(self.experiments) and all(experiment.has_held for experiment in self.experiments)


def write(run: Run, out: Path) -> Path:
    """Write `results.json`: the claims in one list, and each experiment with its steps, stages and ways."""
    content = {
        "held": run.has_held,
        "lab": run.lab,
        "started_at": run.started_at,
        "took_s": round(run.took_s, 1),
        "claims": [asdict(claim) for claim in run.claims],
        "experiments": [asdict(experiment) for experiment in run.experiments],
    }
    path = out / "results.json"
    path.write_bytes(msgspec.json.format(msgspec.json.encode(content)))
    return path
