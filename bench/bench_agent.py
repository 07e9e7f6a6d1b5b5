"""The agent's promises: how soon ports are ACTIVE, how little a restart costs, how much memory it takes."""

import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.figure import Figure
from warren.core.errors import Rejected
from warren.core.ids import PortId
from warren.core.names import ID_CHARS_IN_NAME, qvo
from warren.core.state import Plug
from warren.lab import api, control, processes
from warren.lab.directory import LabDirectory
from warren.lab.down import take_down
from warren.lab.host import Place, place
from warren.lab.plan import LabPlan, plan_hosts
from warren.lab.up import bring_up

HOST = "compute1"
SINGLE_PORTS = 100
MANY_PORTS = 200
RUNS = 3
PATIENCE_S = 120.0
LINK_GROUP = "77"
"""Links that are made for a run, to be deleted at once: one after another takes the kernel 40 ms each."""
DURATION = re.compile(r"duration=([\d.]+)s, table=(\d+), .*?(priority=\S+) actions=")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A lab of two hosts with a network, and what the benchmarks do on its compute host."""

    lab: LabDirectory
    client: api.Client
    network: api.Network

    @property
    def host(self) -> Place:
        return place(self.lab, HOST)

    @property
    def log(self) -> Path:
        return self.lab.host(HOST) / "agent.log"

    def agent_pid(self) -> int:
        pid = self.lab.living(self.lab.host(HOST) / "agent.pid")
        if pid is None:
            raise Rejected(f"the agent of {HOST} has ended; its log is {self.log}")
        return pid

    def create_ports(self, count: int) -> list[api.Port]:
        return [self.client.create_port(f"p{number}", self.network, HOST) for number in range(count)]

    def make_links(self, ports: list[api.Port], *, is_chatty: bool) -> None:
        """Everything of a hybrid plug but the last step: taps, Linux bridges and veth pairs, all up."""
        self.host.run("ip", "netns", "add", "guests")
        silent = "0" if is_chatty else "1"
        self.host.must("ip", "netns", "exec", "guests", "sysctl", "-qw", f"net.ipv6.conf.default.disable_ipv6={silent}")
        self.host.must("ip", "-batch", "-", stdin="".join(_links(port) for port in ports))
        guests = "".join(f"link set g{port.id[:ID_CHARS_IN_NAME]} up\n" for port in ports)
        self.host.must("ip", "netns", "exec", "guests", "ip", "-batch", "-", stdin=guests)

    def plug(self, ports: list[api.Port]) -> None:
        """The last step: all of them in one transaction, without a tag, as os-vif does."""
        arguments = [argument for port in ports for argument in _add_port(port)]
        self.host.must("ovs-vsctl", "--timeout=60", "--no-wait", *arguments)

    def unplug(self, ports: list[api.Port]) -> None:
        deleted = [word for port in ports for word in ("--", "--if-exists", "del-port", qvo(PortId(port.id)))]
        self.host.must("ovs-vsctl", "--timeout=60", *deleted)
        self.host.must("ip", "netns", "delete", "guests")
        self.host.must("ip", "link", "delete", "group", LINK_GROUP)
        for port in ports:
            self.client.delete("port", port.id)

    def wait_active(self, ports: list[api.Port]) -> None:
        """Ask for one port at a time, as a client that waits does: asking must not be what is measured."""
        for port in ports:
            api.wait_until(self._is_active(port), f"port {port.id} ACTIVE", PATIENCE_S)

    def _is_active(self, port: api.Port) -> Callable[[], bool]:
        return lambda: self.client.port(port.id).status == "ACTIVE"

    def wait_ready(self, seen: int) -> None:
        """Wait for the line of a first pass in the log behind `seen` bytes."""
        api.wait_until(lambda: " agent.ready " in self.log.read_text()[seen:], "a first pass", PATIENCE_S)


def _links(port: api.Port) -> str:
    short = port.id[:ID_CHARS_IN_NAME]
    return (
        f"link add tap{short} type veth peer name g{short} address {port.mac_address} netns guests\n"
        f"link add qbr{short} group {LINK_GROUP} type bridge forward_delay 0 stp_state 0 mcast_snooping 0\n"
        f"link add qvo{short} group {LINK_GROUP} type veth peer name qvb{short}\n"
        + "".join(f"link set {side}{short} master qbr{short} up\n" for side in ("qvb", "tap"))
        + "".join(f"link set {side}{short} up\n" for side in ("qbr", "qvo"))
    )


def _add_port(port: api.Port) -> tuple[str, ...]:
    name = qvo(PortId(port.id))
    ids = (f"external_ids:iface-id={port.id}", f'external_ids:attached-mac="{port.mac_address}"')
    return ("--", "add-port", "br-int", name, "--", "set", "Interface", name, *ids)


@contextmanager
def _bed() -> Iterator[Bed]:
    name = f"bench{secrets.token_hex(3)}"
    try:
        plan = LabPlan(name=name, hosts=plan_hosts(total=2, network_hosts=1), plug=Plug.HYBRID)
        lab = bring_up(plan, lambda _: None)
        client = control.wait_for_server(lab)
        network = client.create_network("n1")
        client.create_subnet("s1", network, "10.77.0.0/16", "10.77.0.1")
        yield Bed(lab=lab, client=client, network=network)
    finally:
        take_down(name)


def plugged_to_active() -> Iterator[float]:
    """Milliseconds, the 99th percentile of `SINGLE_PORTS` ports that are plugged one after another."""
    with _bed() as bed:
        took_ms = []
        ports = bed.create_ports(SINGLE_PORTS)
        bed.make_links(ports, is_chatty=False)
        for port in ports:
            started_at = time.perf_counter()
            bed.plug([port])
            bed.wait_active([port])
            took_ms.append(1000 * (time.perf_counter() - started_at))
        yield sorted(took_ms)[int(0.99 * len(took_ms)) - 1]


def many_at_once(*, is_chatty: bool) -> Callable[[], Iterator[float]]:
    """Seconds from `MANY_PORTS` interfaces plugged in one transaction until all are ACTIVE."""

    def measure() -> Iterator[float]:
        with _bed() as bed:
            for _ in range(RUNS):
                ports = bed.create_ports(MANY_PORTS)
                bed.make_links(ports, is_chatty=is_chatty)
                started_at = time.perf_counter()
                bed.plug(ports)
                bed.wait_active(ports)
                yield time.perf_counter() - started_at
                bed.unplug(ports)

    return measure


@contextmanager
def _full_bed() -> Iterator[Bed]:
    with _bed() as bed:
        ports = bed.create_ports(MANY_PORTS)
        bed.make_links(ports, is_chatty=False)
        bed.plug(ports)
        bed.wait_active(ports)
        yield bed


def restart() -> Iterator[float]:
    """Seconds from starting a killed agent's successor until its first pass is done; it must not touch a flow."""
    with _full_bed() as bed:
        for _ in range(RUNS):
            ages = _flow_ages(bed)
            processes.end_one(bed.agent_pid(), bed.lab.lab_id)
            seen = bed.log.stat().st_size
            started_at = time.perf_counter()
            control.run_agent(bed.lab, bed.host)
            bed.wait_ready(seen)
            yield time.perf_counter() - started_at
            after = _flow_ages(bed)
            if after.keys() != ages.keys() or any(after[key] <= age for key, age in ages.items()):
                raise Rejected("the restarted agent changed flows")


def _flow_ages(bed: Bed) -> dict[tuple[str, str, str], float]:
    """(bridge, table, match) -> seconds since the flow was added."""
    return {
        (bridge, found[2], found[3]): float(found[1])
        for bridge in ("br-int", "br-tun")
        for line in bed.host.must("ovs-ofctl", "dump-flows", bridge).splitlines()
        if (found := DURATION.search(line)) and "hard_timeout" not in line
    }


def memory() -> Iterator[float]:
    """MB of resident memory of an agent with `MANY_PORTS` ports, after a restart and a full pass, and as it grew."""
    with _full_bed() as bed:
        status = Path(f"/proc/{bed.agent_pid()}/status").read_text()
        found = re.search(r"VmRSS:\s+(\d+) kB", status)
        yield int(found[1]) / 1000 if found else 0.0


FIGURES = (
    Figure(
        name="agent-port",
        what=f"one port (hybrid, groups), from plugged to ACTIVE, p99 of {SINGLE_PORTS}",
        unit="ms",
        reach=200,
        peer="1.7 s (median)",
        measure=plugged_to_active,
    ),
    Figure(
        name="agent-ports-at-once",
        what=f"{MANY_PORTS} ports plugged at once until all are ACTIVE",
        unit="s",
        reach=2,
        peer="51 s",
        measure=many_at_once(is_chatty=False),
    ),
    Figure(
        name="agent-ports-chatty",
        what=f"{MANY_PORTS} ports plugged at once, their instances chatter IPv6",
        unit="s",
        reach=2,
        peer="never (300 s, 0 ACTIVE)",
        measure=many_at_once(is_chatty=True),
    ),
    Figure(
        name="agent-restart",
        what=f"agent restarted with {MANY_PORTS} ports until its first pass is done, no flow touched",
        unit="s",
        reach=1,
        peer="69 s, every flow replaced",
        measure=restart,
    ),
    Figure(
        name="agent-memory",
        what=f"agent's memory with {MANY_PORTS} ports",
        unit="MB",
        reach=80,
        peer="211 MB",
        measure=memory,
    ),
)
