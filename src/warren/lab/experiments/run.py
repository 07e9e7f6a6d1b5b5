"""Running experiments one after the other on a lab that is up, and writing what they yield."""

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from warren.core.errors import Conflict, Invalid, WarrenError
from warren.lab import control, machine
from warren.lab.directory import LabDirectory
from warren.lab.experiments import five, four, one, results, six, sweep, three, two
from warren.lab.experiments.scene import Scene, Tell
from warren.lab.experiments.standby import others_standing_by
from warren.lab.instances import Kind, qemu
from warren.lab.plan import LabPlan

EXPERIMENTS: Final = {1: one.run, 2: two.run, 3: three.run, 4: four.run, 5: five.run, 6: six.run}


def chosen(words: Sequence[str]) -> tuple[int, ...]:
    """The experiments that were asked for, with those before them, on which they build; all where none was named.

    Raises:
        Invalid: there is no such experiment.
    """
    unknown = [word for word in words if not (word.isdigit() and int(word) in EXPERIMENTS)]
    if unknown:
        raise Invalid("NoSuchExperiment", f"There is no experiment '{unknown[0]}'; they are 1 to {max(EXPERIMENTS)}.")
    last = max((int(word) for word in words), default=max(EXPERIMENTS))
    return tuple(number for number in EXPERIMENTS if number <= last)


def check_lab(plan: LabPlan, kind: Kind) -> None:
    """Say what the experiments lack on a lab like this.

    Raises:
        Invalid: they speak of compute1 and compute2, which it does not have.
        Unmet: its instances would lack something.
    """
    if not {"compute1", "compute2"} <= {host.name for host in plan.hosts}:
        raise Invalid(
            "WrongLab",
            f"The experiments speak of compute1 and compute2; lab '{plan.name}' has {plan.host_names()}: "
            "start one with two compute hosts or more.",
        )
    if kind is Kind.QEMU:
        qemu.check()


def run(lab: LabDirectory, numbers: Sequence[int], *, kind: Kind, out: Path, tell: Tell) -> results.Run:
    """Run experiments in their order; what the lab has of the API's objects is deleted first.

    An experiment that cannot go on is a claim that did not hold, and the last of the run.
    """
    started = time.monotonic()
    at = datetime.now(timezone.utc)
    with _alone(lab):
        scene = Scene(lab=lab, credentials=control.admin(lab), out=out, kind=kind, tell=tell)
        with others_standing_by(scene):
            sweep.sweep(scene)
            done = []
            for number in numbers:
                is_whole = _run_one(scene, number)
                done.append(scene.current)
                if not is_whole:
                    break
    return results.Run(
        lab=_described(lab, kind), started_at=at.isoformat(), took_s=time.monotonic() - started, experiments=done
    )


@contextmanager
def _alone(lab: LabDirectory) -> Iterator[None]:
    """Nobody else runs experiments on this lab meanwhile.

    Raises:
        Conflict: somebody does.
    """
    with (lab.path / "experiments.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict("LabBusy", f"Experiments run on lab '{lab.plan.name}' already: wait for them.") from None
        yield


def _run_one(scene: Scene, number: int) -> bool:
    """Whether the experiment went to its end."""
    started = time.monotonic()
    try:
        EXPERIMENTS[number](scene)
    except WarrenError as error:
        scene.claim(
            "the experiment goes to its end",
            held=False,
            expected="every step succeeds",
            observed=str(error),
            evidence="results.json",
        )
        return False
    finally:
        scene.current.took_s = round(time.monotonic() - started, 2)
    return True


def _described(lab: LabDirectory, kind: Kind) -> dict[str, object]:
    plan = lab.plan
    return {
        "name": plan.name,
        "tunnel": plan.tunnel.value,
        "mode": plan.mode.value,
        "plug": plan.plug.value,
        "ageing_s": plan.ageing_s,
        "instances": kind.value,
        "datapath_type": machine.datapath_type(),
        "hosts": [
            {"name": host.name, "role": host.role, "vtep": host.vtep_ip, "external_ip": host.external_ip}
            for host in plan.hosts
        ],
    }
