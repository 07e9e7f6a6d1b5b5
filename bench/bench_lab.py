"""The lab's promises: how soon it is up, and how soon what the API was asked for lets a first packet through."""

import re
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.figure import Figure
from warren.core.errors import Rejected
from warren.core.state import OWNER_ROUTER_INTERFACE, Plug
from warren.lab import api, control
from warren.lab.directory import LabDirectory
from warren.lab.down import take_down
from warren.lab.host import Place, place
from warren.lab.instances import Kind
from warren.lab.instances.boot import boot, wait_lease
from warren.lab.plan import EXTERNAL_CIDR, EXTERNAL_POOL, WORLD, WORLD_ADDRESS, LabPlan, plan_hosts
from warren.lab.up import bring_up

RUNS = 5
PROBE_EVERY_S = "0.005"
PROBE_FOR_S = 20
GATEWAY = "10.77.0.1"
REPLY = re.compile(r"^\[(\d+\.\d+)\] \d+ bytes from ", re.MULTILINE)


@contextmanager
def lab(*, hosts: int, plug: Plug) -> Iterator[LabDirectory]:
    """A lab that is taken down again, whatever happens."""
    name = f"bench{secrets.token_hex(3)}"
    try:
        yield bring_up(LabPlan(name=name, hosts=plan_hosts(total=hosts, network_hosts=1), plug=plug), lambda _: None)
    finally:
        take_down(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A network with an instance that has its lease, an external network, a router between them that joins neither."""

    client: api.Client
    subnet: api.Subnet
    external: api.Network
    router: api.Router
    vm: api.Port
    inside: Place
    world: Place

    def add_interface(self) -> None:
        self.client.add_interface(self.router, self.subnet)

    def remove_interface(self) -> None:
        (port,) = self.client.ports(device_id=self.router.id, device_owner=OWNER_ROUTER_INTERFACE)
        self.client.remove_interface(self.router, port)


@contextmanager
def _site() -> Iterator[Site]:
    with lab(hosts=2, plug=Plug.HYBRID) as made:
        client = control.wait_for_server(made)
        network = client.create_network("n1")
        subnet = client.create_subnet("s1", network, "10.77.0.0/24", GATEWAY)
        external = client.create_external_network("public", control.PHYSICAL_NETWORK)
        client.create_subnet("outside", external, EXTERNAL_CIDR, WORLD_ADDRESS, pool=EXTERNAL_POOL)
        (group,) = client.groups(project_id=network.project_id, name="default")
        client.allow(group, "icmp")
        vm = boot(made, client, name="vm1", on_host="compute1", network=network, kind=Kind.NETNS)
        wait_lease(made, vm)
        yield Site(
            client=client,
            subnet=subnet,
            external=external,
            router=client.create_router("r1"),
            vm=client.port(vm.port_id),
            inside=vm.place(made),
            world=place(made, WORLD),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """A ping every few milliseconds, from its start until its first answer."""

    process: subprocess.Popen[str]

    def answered_at(self) -> float:
        """Seconds since the epoch at which the first answer came, as ping(8) saw it.

        Raises:
            Rejected: none came in time.
        """
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if reply := REPLY.match(line):
                return float(reply[1])
        raise Rejected(f"no ping was answered within {PROBE_FOR_S} s")


@contextmanager
def probing(origin: Place, address: str) -> Iterator[Probe]:
    """Ping an address for a while; what has not ended by then is ended."""
    # Its own deadline (-w) would also end it at the first answer that says "unreachable".
    command = ["timeout", str(PROBE_FOR_S), "ping", "-n", "-D", "-i", PROBE_EVERY_S, address]
    process = subprocess.Popen(
        origin.command(command), env=origin.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    with process:
        try:
            yield Probe(process=process)
        finally:
            process.terminate()


def lab_up() -> Iterator[float]:
    """Seconds until a lab of three hosts is up: every agent has reported, all tunnel addresses reach each other."""
    for _ in range(RUNS):
        started_at = time.perf_counter()
        with lab(hosts=3, plug=Plug.HYBRID):
            yield time.perf_counter() - started_at


def router_interface() -> Iterator[float]:
    """Milliseconds from the API call to the first ping that the gateway of an instance answers."""
    with _site() as site:
        for _ in range(RUNS):
            with probing(site.inside, GATEWAY) as probe:
                yield _until_answered(probe, site.add_interface)
            site.remove_interface()
            _wait_for_silence(site.inside, GATEWAY)


def router_gateway() -> Iterator[float]:
    """Milliseconds from the API call to the first ping of an instance that the world answers.

    The instance pings from before the call: a connection that runs while its gateway is being set must be translated.
    """
    with _site() as site:
        site.add_interface()
        _wait_for_answer(site.inside, GATEWAY)
        for _ in range(RUNS):
            with probing(site.inside, WORLD_ADDRESS) as probe:
                yield _until_answered(probe, lambda: site.client.set_gateway(site.router, site.external))
            site.client.clear_gateway(site.router)
            _wait_for_silence(site.inside, WORLD_ADDRESS)


def floating_ip() -> Iterator[float]:
    """Milliseconds from the API call, which tells the address, to the first ping from outside that is answered."""
    with _site() as site:
        site.add_interface()
        site.client.set_gateway(site.router, site.external)
        _wait_for_answer(site.inside, WORLD_ADDRESS)
        for _ in range(RUNS):
            started_at = time.time()
            floating = site.client.create_floating_ip(site.external, site.vm)
            with probing(site.world, floating.floating_ip_address) as probe:
                yield 1000 * (probe.answered_at() - started_at)
            site.client.delete("floatingip", floating.id)
            _wait_for_silence(site.world, floating.floating_ip_address)


def _until_answered(probe: Probe, ask: Callable[[], None]) -> float:
    started_at = time.time()
    ask()
    return 1000 * (probe.answered_at() - started_at)


def _wait_for_answer(origin: Place, address: str) -> None:
    api.wait_until(lambda: _is_answered(origin, address), f"an answer of {address}", PROBE_FOR_S)


def _wait_for_silence(origin: Place, address: str) -> None:
    """Wait until the way is gone again, so that the next run begins without it."""
    api.wait_until(lambda: not _is_answered(origin, address), f"no answer of {address}", PROBE_FOR_S)


def _is_answered(origin: Place, address: str) -> bool:
    return origin.run("ping", "-n", "-c", "1", "-W", "1", address).returncode == 0


FIGURES = (
    Figure(
        name="lab-up",
        what="lab of 3 hosts up",
        unit="s",
        reach=10,
        peer="35-60 s",
        measure=lab_up,
    ),
    Figure(
        name="router-interface",
        what="router interface: API call to first packet through",
        unit="ms",
        reach=300,
        peer="3.1 s",
        measure=router_interface,
    ),
    Figure(
        name="router-gateway",
        what="router gateway: API call to first packet through",
        unit="ms",
        reach=300,
        peer="3.3 s",
        measure=router_gateway,
    ),
    Figure(
        name="floating-ip",
        what="floating IP: API call to first packet through",
        unit="ms",
        reach=300,
        peer="1.6 s",
        measure=floating_ip,
    ),
)
