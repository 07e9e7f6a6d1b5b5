"""What real packets of tenants do on several hosts: they stay in their network, and survive the loss of a host."""

import contextlib
import os
import secrets
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from warren.core.state import Plug, TunnelMode
from warren.lab import control, host, processes
from warren.lab.api import Client, Network, Port, wait_until
from warren.lab.directory import LabDirectory
from warren.lab.down import take_down
from warren.lab.host import Place
from warren.lab.instances import Instance, Kind, boot
from warren.lab.plan import EXTERNAL_CIDR, EXTERNAL_POOL, WORLD, WORLD_ADDRESS, LabPlan, plan_hosts
from warren.lab.up import bring_up

pytestmark = pytest.mark.root

CIDR, GATEWAY = "192.168.5.0/24", "192.168.5.1"
SEND = """
import socket, sys
card = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
card.bind(("eth0", 0))
for frame in sys.argv[1:]:
    card.send(bytes.fromhex(frame))
"""


class Site:
    """A lab with its client."""

    def __init__(self, lab: LabDirectory) -> None:
        self.lab = lab
        self.client = Client(control.access(lab).credentials())

    def place(self, name: str) -> Place:
        return host.place(self.lab, name)

    def network(self, name: str) -> Network:
        made = self.client.create_network(name, port_security=self.lab.plan.plug is Plug.HYBRID)
        self.client.create_subnet(f"{name}-v4", made, CIDR, GATEWAY)
        return made

    def boot(self, name: str, on_host: str, network: Network) -> Instance:
        made = boot.boot(self.lab, self.client, name=name, on_host=on_host, network=network, kind=Kind.NETNS)
        boot.wait_lease(self.lab, made)
        return made

    def pings(self, where: Place, address: str) -> bool:
        return where.run("ping", "-c", "1", "-W", "1", address).returncode == 0

    def owned(self, owner: str) -> Port:
        return self.client.ports(device_owner=owner)[0]


@contextlib.contextmanager
def site(*, plug: Plug, mode: TunnelMode = TunnelMode.LEARNING, network_hosts: int = 1) -> Iterator[Site]:
    name = f"s{secrets.token_hex(4)}"
    hosts = plan_hosts(total=network_hosts + 2, network_hosts=network_hosts)
    try:
        yield Site(bring_up(LabPlan(name=name, hosts=hosts, plug=plug, mode=mode), say=lambda _: None))
    finally:
        take_down(name)


def frames(source: str, target: str, tags: range) -> list[str]:
    """A broadcast and a unicast, plain and with each VLAN tag; of the experimental EtherType 0x88b5."""
    ends = [f"{mac}{source}".replace(":", "") for mac in ("ff:ff:ff:ff:ff:ff", target)]
    plain = [f"{end}88b5{'00' * 46}" for end in ends]
    return plain + [f"{end}8100{tag:04x}88b5{'00' * 46}" for end in ends for tag in tags]


@contextlib.contextmanager
def heard(lab: LabDirectory, instance: Instance) -> Iterator[list[str]]:
    """What arrives at an instance's card while the block runs, a decoded line each."""
    lines: list[str] = []
    log = instance.directory / "heard"
    command = ["tcpdump", "-l", "-e", "-n", "--immediate-mode", "-Q", "in", "-i", "eth0"]
    pid = instance.place(lab).start(command, log=log)
    wait_until(lambda: "listening on" in log.read_text(), "tcpdump", 20)
    yield lines
    processes.end_one(pid, lab.lab_id)
    lines.extend(log.read_text().splitlines())


@pytest.mark.parametrize("plug", [Plug.HYBRID, Plug.OVS])
def test_a_machine_hears_nothing_of_another_network_whatever_that_sends(plug: Plug) -> None:
    with site(plug=plug) as here:
        red, blue = here.network("red"), here.network("blue")
        sender, mate = here.boot("red1", "compute1", red), here.boot("red2", "compute2", red)
        near, far = here.boot("blue1", "compute1", blue), here.boot("blue2", "compute2", blue)
        assert sender.address == near.address
        for target in (near, far, mate):
            sent = frames(sender.mac_address, target.mac_address, range(1, 8))
            with heard(here.lab, near) as at_near, heard(here.lab, far) as at_far, heard(here.lab, mate) as at_mate:
                # In its network namespace only: what is below the machine's /root is not there in an instance.
                inside = ["ip", "netns", "exec", sender.name]
                here.place(sender.host).must(*inside, sys.executable, "-c", SEND, *sent)
                assert here.pings(sender.place(here.lab), mate.address)
                wait_until(lambda: "0x88b5" in (mate.directory / "heard").read_text(), "red's broadcast", 10)
            assert [line for line in at_near + at_far if sender.mac_address in line] == []
            assert any(sender.mac_address in line for line in at_mate)


@pytest.mark.parametrize("mode", list(TunnelMode))
def test_when_a_network_host_dies_another_routes_and_serves_in_its_place(mode: TunnelMode) -> None:
    with site(plug=Plug.HYBRID, mode=mode, network_hosts=2) as here:
        client = here.client
        outside = client.create_external_network("public", control.PHYSICAL_NETWORK)
        client.create_subnet("public-v4", outside, EXTERNAL_CIDR, WORLD_ADDRESS, pool=EXTERNAL_POOL)
        red = here.network("red")
        router = client.create_router("r1")
        client.set_gateway(router, outside)
        client.add_interface(router, client.subnets(network_id=red.id)[0])
        client.allow(client.groups(name="default", project_id=red.project_id)[0], "icmp")
        vm = here.boot("vm1", "compute1", red)
        floating = client.create_floating_ip(outside, client.port(vm.port_id)).floating_ip_address
        wait_until(lambda: here.pings(here.place(WORLD), floating), "the floating IP's first answer", 20)
        died = here.owned("network:router_interface").host
        end_host(here.place(died))
        moved = "the router's and the DHCP server's move to a living host"
        wait_until(lambda: {port.host for port in services(client)} == {other(died)}, moved, 60)
        since = time.monotonic()
        wait_until(lambda: here.pings(here.place(WORLD), floating), "the floating IP's answer from the other host", 20)
        assert time.monotonic() - since < 10
        assert here.pings(vm.place(here.lab), WORLD_ADDRESS)
        renewals = (vm.directory / "udhcpc.log").read_text().count("obtained")
        os.kill(int((vm.directory / "udhcpc.pid").read_text()), signal.SIGUSR1)
        wait_until(
            lambda: (vm.directory / "udhcpc.log").read_text().count("obtained") > renewals, "a renewal of the lease", 20
        )


def services(client: Client) -> list[Port]:
    return [port for port in client.ports() if port.device_owner.startswith("network:") and port.host]


def other(name: str) -> str:
    return {"network1": "network2", "network2": "network1"}[name]


def end_host(place: Place) -> None:
    """Kill every process in a host's mount namespace, as a power cut would."""
    namespace = Path(f"/proc/{place.holder_pid}/ns/mnt").readlink()
    for process in processes.carrying(place.lab_id):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{process.pid}/ns/mnt").readlink() == namespace:
                os.kill(process.pid, signal.SIGKILL)
