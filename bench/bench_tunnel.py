"""What a tunnel carries between two instances, against the least that Open vSwitch can do between the same hosts."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from subprocess import CompletedProcess
from typing import Final, TypeAlias

from bench.bench_lab import lab
from bench.figure import Figure
from warren.core.state import Plug
from warren.lab import api, control
from warren.lab.directory import LabDirectory
from warren.lab.host import place
from warren.lab.instances import Kind
from warren.lab.instances.boot import boot, wait_lease
from warren.lab.machine import datapath_type

RUNS: Final = 7
IPERF_S: Final = 3
PATIENCE_S: Final = 10.0
BY_HAND: Final = """
ip netns add hand
ip link add hand0 mtu 1450 type veth peer name eth0 mtu 1450 netns hand
ip link set hand0 up
ip -n hand address add 198.51.100.{number}/24 dev eth0
ip -n hand link set eth0 up
{finish}
ovs-vsctl add-br br-hand -- set bridge br-hand datapath_type={datapath} fail_mode=secure \\
  -- add-port br-hand hand0 -- set interface hand0 ofport_request=1 \\
  -- add-port br-hand hand-tunnel -- set interface hand-tunnel ofport_request=2 type=vxlan \\
     options:local_ip={local} options:remote_ip={remote} options:key=7777777
ovs-ofctl add-flow br-hand in_port=1,actions=2
ovs-ofctl add-flow br-hand in_port=2,actions=1
"""
FINISH: Final = {"netdev": "ip netns exec hand ethtool -K eth0 tx off >/dev/null", "system": ""}
"""A switch in userspace leaves segments and checksums undone; by hand as for Warren's instances."""
Runner: TypeAlias = Callable[..., CompletedProcess[str]]
"""Runs a command, given word by word, at one end."""


def carried(plug: Plug) -> Callable[[], Iterator[float]]:
    """TCP between two instances, as a share of what two flows made by hand carry between the same hosts.

    Each run measures both, one right after the other, in an order that alternates: what else the machine does then
    disturbs both alike.
    """

    def measure() -> Iterator[float]:
        with lab(hosts=3, plug=plug) as made:
            by_hand = _made_by_hand(made), "198.51.100.2"
            tenants = _instances(made, plug)
            for run in range(RUNS):
                ways = (by_hand, tenants) if run % 2 else (tenants, by_hand)
                rates = {way: _bits_per_s(*way) for way in ways}
                yield rates[tenants] / rates[by_hand]

    return measure


def _instances(made: LabDirectory, plug: Plug) -> tuple[tuple[Runner, Runner], str]:
    """How to run a command in an instance on each compute host, and the second one's address."""
    client = control.wait_for_server(made)
    network = client.create_network("n1", port_security=plug is Plug.HYBRID)
    client.create_subnet("s1", network, "10.77.0.0/24", "10.77.0.1")
    vms = [
        boot(made, client, name=f"vm{number}", on_host=f"compute{number}", network=network, kind=Kind.NETNS)
        for number in (1, 2)
    ]
    for vm in vms:
        wait_lease(made, vm)
    return (vms[0].place(made).run, vms[1].place(made).run), vms[1].address


def _made_by_hand(made: LabDirectory) -> tuple[Runner, Runner]:
    """On both compute hosts a bridge with a tunnel, a namespace, and the two flows that join them."""
    vteps = [host.vtep_ip for host in made.plan.hosts if not host.is_network]
    hosts = place(made, "compute1"), place(made, "compute2")
    for number, (local, remote) in enumerate(zip(vteps, reversed(vteps), strict=True), start=1):
        datapath = datapath_type()
        script = BY_HAND.format(number=number, datapath=datapath, finish=FINISH[datapath], local=local, remote=remote)
        hosts[number - 1].must("sh", "-e", stdin=script)
    return (
        partial(hosts[0].run, "ip", "netns", "exec", "hand"),
        partial(hosts[1].run, "ip", "netns", "exec", "hand"),
    )


def _bits_per_s(ends: tuple[Runner, Runner], address: str) -> float:
    """What one iperf3 from the first end to the second received."""
    client, server = ends
    server("iperf3", "--server", "--one-off", "--daemon")

    def tried() -> float | None:
        """Nothing while the server does not listen yet."""
        done = client("iperf3", "-c", address, "-t", str(IPERF_S), "-J")
        return None if done.returncode else float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"])

    return api.wait_until(tried, f"iperf3 to {address}", PATIENCE_S)


FIGURES = (
    Figure(
        name="tunnel-ovs",
        what="iperf3 over VXLAN, share of two flows made by hand (plug ovs, no groups)",
        unit="",
        reach=0.9,
        more_is_better=True,
        peer="",
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
