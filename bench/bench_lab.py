"""What a person waits for: a lab, a router that works, a floating IP; and what a tunnel carries."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from subprocess import CompletedProcess
from typing import Final, TypeAlias

from bench.figure import Figure
from warren.core.errors import Rejected
from warren.core.state import Plug
from warren.lab import api, control
from warren.lab.control import PHYSICAL_NETWORK
from warren.lab.directory import LabDirectory
from warren.lab.down import take_down
from warren.lab.host import Place, place
from warren.lab.instances import boot
from warren.lab.instances.instance import Instance, Kind
from warren.lab.machine import datapath_type
from warren.lab.plan import EXTERNAL_CIDR, EXTERNAL_POOL, WORLD, WORLD_ADDRESS, LabPlan, plan_hosts
from warren.lab.up import bring_up

RUNS: Final = 5
PATIENCE_S: Final = 30.0
IPERF_S: Final = 4
ASK_AGAIN_MS: Final = 10
"""How often a neighbour's address is asked for: the kernel's second would hide what is measured."""

BY_HAND: Final = """
ip netns add hand
ip link add hand0 mtu 1450 type veth peer name eth0 mtu 1450 netns hand
ip link set hand0 up
ip -n hand address add 198.51.100.{number}/24 dev eth0
ip -n hand link set eth0 up
ip netns exec hand ethtool -K eth0 tx off >/dev/null
ovs-vsctl add-br br-hand -- set bridge br-hand datapath_type={datapath} fail_mode=secure \\
  -- add-port br-hand hand0 -- set interface hand0 ofport_request=1 \\
  -- add-port br-hand hand-tunnel -- set interface hand-tunnel ofport_request=2 type=vxlan \\
     options:local_ip={local} options:remote_ip={remote} options:key=7777777
ovs-ofctl add-flow br-hand in_port=1,actions=2
ovs-ofctl add-flow br-hand in_port=2,actions=1
"""
Runner: TypeAlias = Callable[..., CompletedProcess[str]]
"""Runs a command, given word by word, at one end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bed:
    """A lab with a tenant network, a network outside and an instance on each compute host."""

    lab: LabDirectory
    client: api.Client
    external: api.Network
    subnet: api.Subnet
    instances: tuple[Instance, ...]

    @property
    def vm(self) -> Place:
        return self.instances[0].place(self.lab)

    @property
    def world(self) -> Place:
        return place(self.lab, WORLD)

    def port(self) -> api.Port:
        return self.client.port(self.instances[0].port_id)


@contextmanager
def _lab(plug: Plug) -> Iterator[LabDirectory]:
    name = f"bench{secrets.token_hex(3)}"
    plan = LabPlan(name=name, hosts=plan_hosts(total=3, network_hosts=1), plug=plug)
    try:
        yield bring_up(plan, lambda _: None)
    finally:
        take_down(name)


@contextmanager
def _bed(plug: Plug = Plug.HYBRID) -> Iterator[Bed]:
    with _lab(plug) as lab:
        client = control.wait_for_server(lab)
        external = client.create_external_network("public", PHYSICAL_NETWORK)
        client.create_external_subnet("public-v4", external, EXTERNAL_CIDR, WORLD_ADDRESS, EXTERNAL_POOL)
        network = client.create_network("red", port_security=plug is Plug.HYBRID)
        subnet = client.create_subnet("red-v4", network, "192.168.5.0/24", "192.168.5.1")
        instances = []
        for number in (1, 2):
            made = boot.boot(
                lab, client, name=f"vm{number}", on_host=f"compute{number}", network=network, kind=Kind.NETNS
            )
            boot.wait_lease(lab, made)
            _ask_again_soon(made.place(lab))
            instances.append(made)
        for group in client.groups(name="default"):
            client.allow(group, "icmp")
        yield Bed(lab=lab, client=client, external=external, subnet=subnet, instances=tuple(instances))


def _ask_again_soon(asker: Place) -> None:
    script = f"for limit in /proc/sys/net/ipv4/neigh/*/retrans_time_ms; do echo {ASK_AGAIN_MS} >$limit; done"
    asker.must("sh", "-c", script)


def _ms_to_answer(since: float, asker: Place, address: str) -> float:
    """Milliseconds from `since` until a ping of an address is answered."""
    deadline = since + PATIENCE_S
    while asker.run("ping", "-c", "1", "-W", "0.1", "-q", address).returncode != 0:
        if time.perf_counter() > deadline:
            raise Rejected(f"{address} did not answer within {PATIENCE_S:.0f} s")
    return 1000 * (time.perf_counter() - since)


def lab_up() -> Iterator[float]:
    """Seconds until every agent of a lab of three hosts has reported."""
    for _ in range(RUNS):
        start = time.perf_counter()
        with _lab(Plug.HYBRID):
            yield time.perf_counter() - start


def router_interface() -> Iterator[float]:
    """Milliseconds from the call that adds a subnet to a router until an instance hears the router."""
    with _bed() as bed:
        for _ in range(RUNS):
            router = bed.client.create_router("r")
            start = time.perf_counter()
            bed.client.add_interface(router, bed.subnet)
            yield _ms_to_answer(start, bed.vm, "192.168.5.1")
            _remove(bed, router)


def gateway() -> Iterator[float]:
    """Milliseconds from the call that gives a router its gateway until an instance hears the world."""
    with _bed() as bed:
        for _ in range(RUNS):
            router = bed.client.create_router("r")
            bed.client.add_interface(router, bed.subnet)
            _ms_to_answer(time.perf_counter(), bed.vm, "192.168.5.1")
            start = time.perf_counter()
            bed.client.set_gateway(router, bed.external)
            yield _ms_to_answer(start, bed.vm, WORLD_ADDRESS)
            _remove(bed, router)


def floating_ip() -> Iterator[float]:
    """Milliseconds from the call that makes a floating IP until the world hears the instance by it."""
    with _bed() as bed:
        router = bed.client.create_router("r")
        bed.client.add_interface(router, bed.subnet)
        bed.client.set_gateway(router, bed.external)
        _ms_to_answer(time.perf_counter(), bed.vm, WORLD_ADDRESS)
        _ask_again_soon(bed.world)
        for _ in range(RUNS):
            start = time.perf_counter()
            made = bed.client.create_floating_ip(bed.external, bed.port())
            yield _ms_to_answer(start, bed.world, made.floating_ip_address)
            bed.client.delete("floatingip", made.id)


def _remove(bed: Bed, router: api.Router) -> None:
    bed.client.clear_gateway(router)
    for port in bed.client.ports(device_id=router.id):
        bed.client.remove_interface(router, port)
    bed.client.delete("router", router.id)


def carried(plug: Plug) -> Callable[[], Iterator[float]]:
    """TCP between two instances, as a share of what two flows made by hand carry between the same hosts."""

    def measure() -> Iterator[float]:
        with _bed(plug) as bed:
            by_hand = _made_by_hand(bed)
            tenants = (bed.instances[0].place(bed.lab).run, bed.instances[1].place(bed.lab).run)
            for _ in range(RUNS):
                most = _bits_per_s(by_hand, "198.51.100.2")
                yield _bits_per_s(tenants, bed.instances[1].address) / most

    return measure


def _made_by_hand(bed: Bed) -> tuple[Runner, Runner]:
    """On both compute hosts a bridge with a tunnel, a namespace, and the two flows that join them."""
    vteps = [host.vtep_ip for host in bed.lab.plan.hosts if not host.is_network]
    for number, (local, remote) in enumerate(zip(vteps, reversed(vteps), strict=True), start=1):
        on = place(bed.lab, f"compute{number}")
        on.must("sh", "-e", stdin=BY_HAND.format(number=number, datapath=datapath_type(), local=local, remote=remote))
    hosts = place(bed.lab, "compute1"), place(bed.lab, "compute2")
    return (
        partial(hosts[0].run, "ip", "netns", "exec", "hand"),
        partial(hosts[1].run, "ip", "netns", "exec", "hand"),
    )


def _bits_per_s(ends: tuple[Runner, Runner], address: str) -> float:
    """One iperf3 from the first end to the second."""
    client, server = ends
    server("iperf3", "--server", "--one-off", "--daemon")
    deadline = time.monotonic() + PATIENCE_S
    while (done := client("iperf3", "-c", address, "-t", str(IPERF_S), "-J")).returncode != 0:
        if time.monotonic() > deadline:
            raise Rejected(f"iperf3 to {address} failed: {done.stdout[-300:]}")
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"])


FIGURES = (
    Figure(name="lab-up", what="lab of 3 hosts up", unit="s", reach=10, peer="35 - 60 s", measure=lab_up),
    Figure(
        name="router-interface",
        what="router interface: API call to first packet",
        unit="ms",
        reach=300,
        peer="3.1 s",
        measure=router_interface,
    ),
    Figure(
        name="router-gateway",
        what="gateway: API call to first packet",
        unit="ms",
        reach=300,
        peer="3.3 s",
        measure=gateway,
    ),
    Figure(
        name="router-floating-ip",
        what="floating IP: API call to first packet",
        unit="ms",
        reach=300,
        peer="1.6 s",
        measure=floating_ip,
    ),
    Figure(
        name="tunnel-ovs",
        what="iperf3 over VXLAN, share of two flows made by hand (plug ovs, no groups)",
        unit="",
        reach=0.9,
        more_is_better=True,
        peer="0.53 (OVS firewall)",
        measure=carried(Plug.OVS),
    ),
    Figure(
        name="tunnel-hybrid",
        what="iperf3 over VXLAN, share of two flows made by hand (hybrid, groups)",
        unit="",
        reach=0.75,
        more_is_better=True,
        peer="0.53 (OVS firewall)",
        measure=carried(Plug.HYBRID),
    ),
)
