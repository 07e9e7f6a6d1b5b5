"""An instance as a value, remembered in its directory `instances/<name>`, and commands run inside it."""

import subprocess
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import msgspec

from warren.core.errors import NotFound
from warren.lab import host
from warren.lab.directory import LabDirectory
from warren.lab.host import COMMAND_DEADLINE_S, Place
from warren.lab.instances import console
from warren.lab.plan import UNDERLAY, WORLD


class Kind(str, Enum):
    """What an instance is made of."""

    NETNS = "netns"
    QEMU = "qemu"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One instance. `address` is what the API gave its port; `directory` has its files and logs."""

    name: str
    host: str
    kind: Kind
    network_id: str
    port_id: str
    mac_address: str
    address: str
    mtu: int
    directory: Path

    @property
    def pid_file(self) -> Path:
        return self.directory / "holder.pid"

    def run(
        self, lab: LabDirectory, *command: str, timeout_s: float = COMMAND_DEADLINE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the instance to its end, whatever its status.

        Raises:
            Conflict: the instance has ended.
            Unreachable: the command did not end in time.
        """
        if self.kind is Kind.QEMU:
            return console.run(self.directory, command, timeout_s=timeout_s)
        return self.place(lab).run(*command, timeout_s=timeout_s)

    def place(self, lab: LabDirectory) -> Place:
        """The namespaces that it is in; for a guest, those of the QEMU process.

        Raises:
            Conflict: the instance has ended.
        """
        return host.entered(lab, self.name, self.pid_file, hostname=self.name)

    def lease(self, lab: LabDirectory, timeout_s: float = COMMAND_DEADLINE_S) -> dict[str, str]:
        """What its DHCP client was given (`address`, `server`, `gateway`, `mtu`, …); empty before that."""
        read = self.run(lab, "cat", "/run/lease", timeout_s=timeout_s)
        return dict(line.split("=", 1) for line in read.stdout.splitlines()) if read.returncode == 0 else {}


def save(instance: Instance) -> None:
    """Remember it."""
    (instance.directory / "instance.json").write_bytes(msgspec.json.format(msgspec.json.encode(_written(instance))))


def find(lab: LabDirectory, name: str) -> Instance | Place:
    """The instance or the host of that name; `world` and `underlay` are hosts here.

    Raises:
        NotFound: there is neither; the message lists those there are.
        Conflict: it has ended.
    """
    instances = load_all(lab)
    if name in instances:
        return instances[name]
    hosts = (*(planned.name for planned in lab.plan.hosts), WORLD, UNDERLAY)
    if name not in hosts:
        there = f"hosts {', '.join(hosts)}" + (f"; instances {', '.join(instances)}" if instances else "")
        raise NotFound("PlaceNotFound", f"Lab '{lab.plan.name}' has no host or instance '{name}'; it has {there}.")
    return host.place(lab, name)


def load_all(lab: LabDirectory) -> dict[str, Instance]:
    """Every instance of the lab, by name."""
    files = sorted(lab.instances.glob("*/instance.json"))
    return {path.parent.name: _read(path) for path in files}


def _written(instance: Instance) -> dict[str, object]:
    fields = {name: getattr(instance, name) for name in instance.__dataclass_fields__}
    return {**fields, "directory": str(instance.directory)}


def _read(path: Path) -> Instance:
    return msgspec.convert(msgspec.json.decode(path.read_bytes()), Instance, dec_hook=lambda cls, value: cls(value))
