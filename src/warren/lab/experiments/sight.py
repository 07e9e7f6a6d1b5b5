"""Looking at every host at one moment: raw output of plain commands into files, and br-tun read from them."""

import shutil
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from warren.core.errors import Rejected
from warren.lab.directory import LabDirectory
from warren.lab.experiments import tables
from warren.lab.host import Place


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSight:
    """One host at one moment; every output is a file in `folder`."""

    host: str
    folder: Path
    tunnels: tuple[tables.Entry, ...]
    """Every flow of br-tun."""
    packets: Mapping[str, tuple[int, int]]
    """Port of br-tun -> (received, sent)."""

    def text(self, name: str) -> str:
        """The output that a file has; nothing where there was none to take."""
        path = self.folder / name
        return path.read_text(errors="replace") if path.exists() else ""

    def evidence(self, name: str) -> str:
        """A file's path as results.json gives it."""
        return f"{self.folder.parent.name}/{self.host}/{name}"

    @property
    def learned(self) -> tuple[tables.Entry, ...]:
        return tuple(entry for entry in self.tunnels if entry.is_learned)

    def toward(self, mac: str) -> tables.Entry | None:
        """The entry of table 20 for a MAC address, learned or known ahead."""
        return next((entry for entry in self.tunnels if entry.table == tables.LEARNED_TABLE and entry.mac == mac), None)

    def counted(self, table: int, match: str) -> int:
        """Packets that a flow has counted; 0 where there is no such flow."""
        return sum(entry.n_packets for entry in self.tunnels if entry.table == table and entry.match == match)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """All hosts at one moment."""

    stage: str
    began_s: float
    """When looking began, on the clock of `time.monotonic`."""
    hosts: Mapping[str, HostSight]

    def __getitem__(self, host: str) -> HostSight:
        return self.hosts[host]


def look(lab: LabDirectory, places: Mapping[str, Place], stage: str, out: Path) -> Sight:
    """Take every host's outputs into `out/<stage>/<host>/`.

    Raises:
        Rejected: a host could not be looked at, or its br-tun not be read.
    """
    began_s = time.monotonic()
    with ThreadPoolExecutor(max_workers=len(places)) as pool:
        seen = pool.map(lambda item: _look_at(lab, item[1], out / stage / item[0]), places.items())
        return Sight(stage=stage, began_s=began_s, hosts={sight.host: sight for sight in seen})


def _look_at(lab: LabDirectory, place: Place, folder: Path) -> HostSight:
    script = resources.files("warren.lab.scripts").joinpath("look.sh").read_text()
    inside = "/run/warren-look"
    place.must("sh", "-s", inside, stdin=script)
    if folder.exists():
        shutil.rmtree(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(lab.host(place.name) / "run" / "warren-look", folder)
    shown = folder / "ofctl_show_br-tun"
    dumped = folder / "dump-flows_br-tun"
    if not (shown.exists() and dumped.exists()):
        raise Rejected(
            f"{place.name} has no br-tun: its agent did not build it (log: {lab.host(place.name)}/agent.log)"
        )
    names = tables.port_names(shown.read_text())
    return HostSight(
        host=place.name,
        folder=folder,
        tunnels=tables.entries(dumped.read_text(), names, str(dumped)),
        packets=tables.port_packets((folder / "dump-ports_br-tun").read_text(), names),
    )
