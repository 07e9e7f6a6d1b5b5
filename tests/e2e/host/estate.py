"""A lab with something in it, what tests do to it, and what a person would see of its hosts."""

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from warren.lab import api, control, processes
from warren.lab.directory import LabDirectory
from warren.lab.host import Place, place
from warren.lab.instances import Instance
from warren.lab.plan import WORLD_ADDRESS

SOON_S = 2.0
"""How soon everything is back, at most, once there is an event."""
PATIENCE_S = 15.0
"""How long to wait for what has no promised time."""
DURATION = re.compile(r"duration=([\d.]+)s, table=(\d+), .*?(priority=\S+) actions=")
OFPORT_LOADED = re.compile(r"load:0x[0-9a-f]+->NXM_NX_REG5\[\]")
WORDS = re.compile(r"[ ,]+|actions=")
COUNTERS = re.compile(r"\[\d+:\d+\]")
START_OVSDB = (
    "ovsdb-server",
    "/etc/openvswitch/conf.db",
    "--remote=punix:/run/openvswitch/db.sock",
    "--pidfile",
    "--detach",
    "--no-chdir",
    "--log-file",
    "-vconsole:off",
)
START_VSWITCHD = (
    "ovs-vswitchd",
    "unix:/run/openvswitch/db.sock",
    "--pidfile",
    "--detach",
    "--no-chdir",
    "--log-file",
    "-vconsole:off",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """A lab with something in it, and what tests do to it."""

    lab: LabDirectory
    client: api.Client
    external: api.Network
    network: api.Network
    first: Instance
    second: Instance
    router_namespace: str
    dhcp_namespace: str

    def host(self, name: str) -> Place:
        return place(self.lab, name)

    def log(self, host: str) -> Path:
        return self.lab.host(host) / "agent.log"

    def kill_agent(self, host: str) -> None:
        pid = self.lab.living(self.lab.host(host) / "agent.pid")
        assert pid is not None
        processes.end_one(pid, self.lab.lab_id)

    def start_agent(self, host: str) -> None:
        """Start it and wait until its first pass is done."""
        with self.logs(host, "agent.ready"):
            control.run_agent(self.lab, self.host(host))

    @contextmanager
    def logs(self, host: str, *words: str, within_s: float = PATIENCE_S) -> Iterator[None]:
        """The agent's log gets a line with all these words, during the body or soon after."""
        seen = self.log(host).stat().st_size if self.log(host).exists() else 0
        yield

        def is_said() -> bool:
            fresh = self.log(host).read_bytes()[seen:].decode()
            return any(all(word in line for word in words) for line in fresh.splitlines())

        api.wait_until(is_said, f"a line with {words} in {self.log(host)}", within_s)

    def kill_vswitchd(self, host: str) -> None:
        self._kill_daemon(host, "ovs-vswitchd")

    def kill_ovsdb(self, host: str) -> None:
        self._kill_daemon(host, "ovsdb-server")

    def _kill_daemon(self, host: str, name: str) -> None:
        """Wait until it is gone, too: it holds its pidfile until then, and the next would not start."""
        pid = int(self.host(host).must("cat", f"/run/openvswitch/{name}.pid"))
        processes.end_one(pid, self.lab.lab_id)

    def start_vswitchd(self, host: str) -> None:
        self.host(host).must(*START_VSWITCHD)

    def pings(self, *options: str) -> subprocess.CompletedProcess[str]:
        """A ping from the first instance to the second."""
        return self.first.run(self.lab, "ping", "-q", *options, self.second.address)

    def wait_for_ping(self, within_s: float) -> None:
        api.wait_until(
            lambda: self.pings("-c", "1", "-W", "0.2").returncode == 0, "an answer of the second instance", within_s
        )

    def wait_for_world(self) -> None:
        api.wait_until(
            lambda: self.first.run(self.lab, "ping", "-c", "1", "-W", "1", WORLD_ADDRESS).returncode == 0,
            "an answer of the world to the first instance",
            PATIENCE_S,
        )

    def flow_ages(self, host: str) -> dict[tuple[str, str, str], float]:
        """(bridge, table, match) -> seconds since the flow was added; learned entries included."""
        ages = {}
        for bridge in self.host(host).must("ovs-vsctl", "list-br").split():
            for line in self.host(host).must("ovs-ofctl", "dump-flows", bridge).splitlines():
                if found := DURATION.search(line):
                    ages[bridge, found[2], found[3]] = float(found[1])
        return ages

    def port_status(self, instance: Instance) -> str:
        return self.client.port(instance.port_id).status

    def wait_status(self, port_id: str, status: str) -> None:
        api.wait_until(lambda: self.client.port(port_id).status == status, f"port {port_id} {status}", PATIENCE_S)


def everything_of(estate: Estate) -> dict[str, list[str]]:
    """What a person would look at on hosts, without counters, ages and what OVS and the kernel number."""
    compute, network = estate.host("compute1"), estate.host("network")
    rules = (*compute.must("iptables-save").splitlines(), *compute.must("ip6tables-save").splitlines())
    rows = network.must("ovs-vsctl", "show").splitlines()[1:]
    # ovs-vswitchd may keep the last error of a patch port in its row although the port works again.
    found = {"ovsdb": [line for line in rows if 'error: "No usable peer' not in line]}
    for bridge in ("br-int", "br-tun", "br-ex"):
        flows = network.must("ovs-ofctl", "--no-stats", "--names", "dump-flows", bridge).splitlines()
        ports = network.must("ovs-ofctl", "dump-ports-desc", bridge).splitlines()
        # Of what is in a namespace, the kernel's datapath says up or down as it was before it went there.
        found[f"{bridge} ports"] = [line.replace("PORT_DOWN", "0") for line in ports if "config:" in line]
        flows = [OFPORT_LOADED.sub("REG5", line) for line in flows if "hard_timeout" not in line]
        found[bridge] = [" ".join(sorted(WORDS.split(line))) for line in flows]
    for namespace in (estate.router_namespace, estate.dhcp_namespace):
        inside = ("ip", "netns", "exec", namespace)
        found[f"{namespace} addresses"] = network.must(*inside, "ip", "-br", "address").splitlines()
        found[f"{namespace} routes"] = network.must(*inside, "ip", "route").splitlines()
        translations = network.must(*inside, "iptables-save").splitlines()
        found[f"{namespace} rules"] = [COUNTERS.sub("", line) for line in translations if not line.startswith("#")]
    found["compute1 rules"] = [COUNTERS.sub("", line) for line in rules if not line.startswith("#")]
    found["compute1 sets"] = compute.must("ipset", "save").splitlines()
    servers = network.must("ip", "netns", "pids", estate.dhcp_namespace).split()
    return {what: sorted(lines) for what, lines in found.items()} | {"dnsmasq": ["runs"] * len(servers)}


def at_rest(estate: Estate) -> dict[str, list[str]]:
    """Everything of the hosts once it is the same three times: what an earlier test deleted is gone by then."""
    seen = [everything_of(estate)]
    deadline = time.monotonic() + PATIENCE_S
    while (len(seen) < 3 or seen[-1] != seen[-2] or seen[-2] != seen[-3]) and time.monotonic() < deadline:
        seen.append(everything_of(estate))
    return seen[-1]


def wait_for(before: dict[str, list[str]], estate: Estate) -> None:
    """Wait until the hosts are as before."""
    deadline = time.monotonic() + PATIENCE_S
    while (left := differences(before, everything_of(estate))) and time.monotonic() < deadline:
        pass
    assert not left, "\n".join(left)


def differences(before: dict[str, list[str]], after: dict[str, list[str]]) -> list[str]:
    """A line for each line that is gone (-) or new (+)."""
    return [
        f"{sign} {what}: {line}"
        for what in before
        for sign, one, other in (("-", before[what], after[what]), ("+", after[what], before[what]))
        for line in (Counter(one) - Counter(other)).elements()
    ]


def router_route_removed(estate: Estate) -> None:
    estate.host("network").must("ip", "netns", "exec", estate.router_namespace, "ip", "route", "del", "default")


def group_rule_removed(estate: Estate) -> None:
    chain = f"warren-o{estate.first.port_id[:11]}"
    estate.host("compute1").must("iptables", "-D", chain, "1")
