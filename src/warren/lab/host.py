"""A host of the lab: a process that holds its network, mount and UTS namespaces, and commands run inside them.

Inside, /run, /etc/openvswitch, /var/lib/openvswitch, /var/log/openvswitch and /etc/hosts are the host's own, bound
from its directory, and /sys shows its own interfaces: plain commands answer as on a real host.
"""

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from warren.core.errors import Conflict, NotFound, Rejected, Unreachable
from warren.lab import processes
from warren.lab.directory import LabDirectory
from warren.lab.manifest import Made
from warren.lab.plan import UNDERLAY, WORLD

_DIRECTORIES: Final = {
    "run": "/run",
    "etc-openvswitch": "/etc/openvswitch",
    "lib-openvswitch": "/var/lib/openvswitch",
    "log": "/var/log/openvswitch",
}
"""Folder in the host's directory -> where the host sees it."""

_HOLDER: Final = """
set -e
host=$1; name=$2; server=$3; instances=$4
hostname "$name"
mount -t sysfs sysfs /sys
mount --bind "$server" "$host/run/warren/server"
mount --bind "$instances" "$host$instances"
mount --bind "$host/hosts" /etc/hosts
mount --bind "$host/etc-openvswitch" /etc/openvswitch
mount --bind "$host/lib-openvswitch" /var/lib/openvswitch
mount --bind "$host/log" /var/log/openvswitch
mount --rbind "$host/run" /run
sysctl -qw net.ipv6.conf.default.disable_ipv6=1 net.ipv6.conf.all.disable_ipv6=1
if [ -e /proc/sys/net/bridge ]; then sysctl -qw net.bridge.bridge-nf-call-iptables=1; fi
ip link set lo up
echo ready >&3
exec 3>&-
exec sleep infinity
"""

COMMAND_DEADLINE_S: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Namespaces that commands can run in: a host's, the world's, the underlay's or an instance's.

    They live as long as a process in them; `holder_pid` is the one by which they are entered.
    """

    name: str
    lab_id: str
    holder_pid: int
    hostname: str

    def command(self, command: Sequence[str]) -> list[str]:
        """What to run on this machine so that `command` runs there."""
        return ["nsenter", f"--target={self.holder_pid}", "--net", "--mount", "--uts", "--", *command]

    def environment(self) -> dict[str, str]:
        return processes.environment(self.lab_id, {"PS1": f"[{self.hostname}] \\w # "})

    def run(
        self, *command: str, stdin: str = "", timeout_s: float = COMMAND_DEADLINE_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a command there to its end, whatever its status.

        Raises:
            Unreachable: it did not end in time.
        """
        try:
            return subprocess.run(
                self.command(command),
                input=stdin,
                env=self.environment(),
                capture_output=True,
                text=True,
                errors="replace",
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unreachable(f"`{' '.join(command)}` on {self.name} took more than {timeout_s:g} s") from None

    def must(self, *command: str, stdin: str = "") -> str:
        """Run a command that must succeed there, and give its output.

        Raises:
            Rejected: it failed; with what it said.
        """
        done = self.run(*command, stdin=stdin)
        if done.returncode:
            said = (done.stderr or done.stdout).strip()
            raise Rejected(f"`{' '.join(command)}` on {self.name} failed: {said}")
        return done.stdout

    def start(self, command: Sequence[str], *, log: Path) -> int:
        """Start a long-lived process there; gives its number."""
        return processes.start(self.command(command), env=self.environment(), log=log)


def hold(lab: LabDirectory, name: str) -> Place:
    """Start the process that holds a host's namespaces and wait until they are as a host's.

    Raises:
        Rejected: the kernel refused something; with what it said.
    """
    directory = lab.host(name)
    for folder in (*_DIRECTORIES, "run/warren/server", "run/openvswitch", "run/netns", "run/lock"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
    # An instance's files have the same path on the machine and on its host.
    Path(f"{directory}{lab.instances}").mkdir(parents=True)
    (directory / "hosts").write_text(_hosts_file(lab, name))
    lab.manifest.will_make(
        Made(kind="namespace", name=name), Made(kind="process", name=f"holder of {name}", where=name)
    )
    server = lab.server / "agents"
    server.mkdir(exist_ok=True)
    holder = ["sh", "-c", _HOLDER, "warren-lab-host", str(directory), name, str(server), str(lab.instances)]
    pid = start_holder(
        ["unshare", "--net", "--mount", "--uts", "--propagation=private", *holder],
        lab_id=lab.lab_id,
        name=name,
        log=directory / "holder.log",
    )
    (directory / "holder.pid").write_text(f"{pid}\n")
    return Place(name=name, lab_id=lab.lab_id, holder_pid=pid, hostname=name)


def start_holder(command: Sequence[str], *, lab_id: str, name: str, log: Path) -> int:
    """Start a holder, which says `ready` on its descriptor 3 when its namespaces are made; gives its number.

    Raises:
        Rejected: it ended before; with what it said.
    """
    reading, writing = os.pipe()
    try:
        pid = processes.start(command, env=processes.environment(lab_id), log=log, descriptor_3=writing)
    finally:
        os.close(writing)
    with os.fdopen(reading) as answer:
        if answer.readline() != "ready\n":
            raise Rejected(f"The namespaces of {name} could not be made: {log.read_text().strip()}")
    return pid


def place(lab: LabDirectory, name: str) -> Place:
    """A host that is up, by name; `world` and `underlay` included.

    Raises:
        NotFound: the lab has no such host.
        Conflict: it has ended.
    """
    if name not in (WORLD, UNDERLAY):
        lab.plan.host(name)
    return entered(lab, name, lab.host(name) / "holder.pid", hostname=name)


def entered(lab: LabDirectory, name: str, pid_file: Path, *, hostname: str) -> Place:
    """The place whose holder a file names.

    Raises:
        NotFound: the file is not there.
        Conflict: that process is no more.
    """
    if not pid_file.exists():
        raise NotFound("HostNotFound", f"Lab '{lab.plan.name}' has no '{name}'.")
    pid = lab.living(pid_file)
    if pid is None:
        raise Conflict("HostEnded", f"'{name}' of lab '{lab.plan.name}' has ended; take the lab down and up again.")
    return Place(name=name, lab_id=lab.lab_id, holder_pid=pid, hostname=hostname)


def _hosts_file(lab: LabDirectory, own_name: str) -> str:
    lines = ["127.0.0.1 localhost", f"127.0.1.1 {own_name}"]
    lines += [f"{host.vtep_ip} {host.name}" for host in lab.plan.hosts]
    return "\n".join(lines) + "\n"
