"""The switch's side of an agent: reading back, comparing and writing flows and rows. On a private switch."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final

from bench.figure import Figure
from warren.agent.drivers.ofctl import OfctlSwitch
from warren.agent.drivers.ovsdb import Ovsdb
from warren.core.ids import MacAddress, SubnetId
from warren.core.state import Deployment, FixedIp, HostState, Port, StateObject
from warren.pipeline import BridgeFlows, Layout, Row, Switch, desired_rows, present_rows, render, switch_view
from warren.reconcile.plan import Plan, plan
from warren.testing.ovs import PrivateOvs, private_ovs
from warren.testing.states import NETWORKS, plugged_as, port_id

RUNS = 7
PORTS = 200
LAYOUT: Final = Layout(datapath_type="netdev", local_ip="10.9.0.1")


def _state() -> HostState:
    ports = [
        Port(
            id=port_id(number),
            network_id=NETWORKS[0].id,
            mac_address=MacAddress(f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}"),
            fixed_ips=(FixedIp(subnet_id=SubnetId(""), ip_address=f"10.5.0.{number}"),),
        )
        for number in range(1, PORTS + 1)
    ]
    objects: list[StateObject] = [Deployment(), NETWORKS[0], *ports]
    return HostState({found.key: found for found in objects})


@dataclass(frozen=True, slots=True, kw_only=True)
class Plugged:
    """A host with 200 plugged instance ports, none of them wired yet."""

    ovs: PrivateOvs
    database: Ovsdb
    state: HostState

    def rows(self) -> tuple[Switch, Plan[str, Row]]:
        switch = self.database.read()
        desired = desired_rows(self.state, switch, LAYOUT)
        return switch, plan(desired, present_rows(switch, desired))

    def flows(self) -> BridgeFlows:
        return render(self.state, switch_view(self.database.read(), self.state), LAYOUT)["br-int"]

    @property
    def br_int(self) -> OfctlSwitch:
        return OfctlSwitch(bridge="br-int", rundir=self.ovs.directory)


@contextmanager
def plugged() -> Iterator[Plugged]:
    state = _state()
    with private_ovs() as ovs, closing(Ovsdb(ovs.db)) as database:
        host = Plugged(ovs=ovs, database=database, state=state)
        switch, bridges = host.rows()
        database.apply(bridges, switch)
        ids = {plugged_as(number): port_id(number) for number in range(1, PORTS + 1)}
        words = (
            f"-- add-port br-int {name} -- set Interface {name} external_ids:iface-id={identity}"
            for name, identity in ids.items()
        )
        ovs.vsctl(*" ".join(words).split())
        yield host


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


def read_flows() -> Iterator[float]:
    """Milliseconds for 1,000 flows, scaled from what 200 ports have."""
    with plugged() as host:
        flows, switch = host.flows(), host.br_int
        switch.apply(flows.plan(switch.installed()))
        for _ in range(RUNS):
            yield _timed(switch.installed) * 1000 / len(flows.desired)


def write_flows() -> Iterator[float]:
    """Milliseconds for all flows of 200 ports, from an empty bridge."""
    with plugged() as host:
        flows, switch = host.flows(), host.br_int
        for _ in range(RUNS):
            host.ovs.ofctl("del-flows", "br-int")
            wanted = flows.plan(switch.installed())
            yield _timed(partial(switch.apply, wanted))


def tag_ports() -> Iterator[float]:
    """Milliseconds until ovs-vswitchd has acted on the tags of 200 ports."""
    with plugged() as host:
        for _ in range(RUNS):
            switch, tags = host.rows()
            yield _timed(partial(host.database.apply, tags, switch))
            every = (f"-- clear Port {plugged_as(number)} tag other_config" for number in range(1, PORTS + 1))
            host.ovs.vsctl(*" ".join(every).split())


def idle_pass() -> Iterator[float]:
    """Milliseconds to read rows and flows of 200 ports, render and find that nothing is to do."""
    with plugged() as host:
        switch, tags = host.rows()
        host.database.apply(tags, switch)
        br_int = host.br_int
        br_int.apply(host.flows().plan(br_int.installed()))

        def look() -> None:
            assert not host.rows()[1]
            assert not host.flows().plan(br_int.installed())

        for _ in range(RUNS):
            yield _timed(look)


FIGURES: Final = (
    Figure(
        name="flows-read",
        what="read back 1,000 flows",
        unit="ms",
        reach=15,
        peer="os-ken: 117 ms",
        measure=read_flows,
        needs_root=False,
    ),
    Figure(
        name="flows-write",
        what="all flows of br-int for 200 ports, one bundle",
        unit="ms",
        reach=150,
        peer="2.8 s (1.73 ms a flow)",
        measure=write_flows,
        needs_root=False,
    ),
    Figure(
        name="rows-tag",
        what="tag 200 ports in OVSDB, acted on",
        unit="ms",
        reach=100,
        peer="",
        measure=tag_ports,
        needs_root=False,
    ),
    Figure(
        name="pass-idle",
        what="rows and flows of 200 ports read, rendered, compared",
        unit="ms",
        reach=100,
        peer="",
        measure=idle_pass,
        needs_root=False,
    ),
)
