# ruff: noqa: E501
"""Trace and verify against reality: a live lab, real packets, and labs that are broken on purpose.

One lab for the module, its agents stopped while something is broken, so that nobody mends it meanwhile. Every test leaves
it as it found it.
"""

import itertools
import os
import random
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import pytest

from warren.cli.live import open_estate
from warren.cli.verify import judged
from warren.core.errors import Unreachable
from warren.core.state import NetworkType, Plug, TunnelMode
from warren.inspect.path.endpoint import find
from warren.inspect.path.hop import Trace, Verdict
from warren.inspect.path.question import Question, protocol_number, trace
from warren.inspect.path.topology import Topology
from warren.inspect.snapshot.model import Estate
from warren.inspect.snapshot.names import Names
from warren.inspect.verify.verify import Report
from warren.lab import api, control
from warren.lab.directory import LabDirectory
from warren.lab.down import take_down
from warren.lab.host import Place, place
from warren.lab.instances import Instance, Kind, boot
from warren.lab.plan import EXTERNAL_CIDR, EXTERNAL_POOL, WORLD, WORLD_ADDRESS, LabPlan, plan_hosts
from warren.lab.up import bring_up
from warren.pipeline import LEARNED

pytestmark = pytest.mark.root

PATIENCE_S: Final = 20.0
PAIRS: Final = 30
MODES: Final = tuple(itertools.product((TunnelMode.LEARNING, TunnelMode.L2POP), (Plug.HYBRID, Plug.OVS)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A lab with two networks, one of them routed, and instances of both on both compute hosts."""

    lab: LabDirectory
    instances: dict[str, Instance]
    router: str
    floating_ip: str

    def host(self, name: str) -> Place:
        return place(self.lab, name)

    def estate(self) -> Estate:
        """Captured now, all hosts, by the script that `warren capture` runs."""
        return open_estate([f"lab://{self.lab.plan.name}/"], Names())

    def agents(self) -> list[int]:
        files = (self.lab.host(planned.name) / "agent.pid" for planned in self.lab.plan.hosts)
        return [pid for pid in map(self.lab.living, files) if pid is not None]

    @contextmanager
    def broken(self, host: str, damage: str, repair: str) -> Iterator[None]:
        """Something is damaged on a host while no agent can see it."""
        for pid in self.agents():
            os.kill(pid, signal.SIGSTOP)
        try:
            self.host(host).must("sh", "-ec", damage)
            yield
        finally:
            self.host(host).run("sh", "-c", repair)
            self.forget()
            for pid in self.agents():
                os.kill(pid, signal.SIGCONT)

    def forget(self) -> None:
        """Take out what br-tun of every host learned: what a loop taught the others outlives its repair by minutes."""
        for planned in self.lab.plan.hosts:
            self.host(planned.name).must("ovs-ofctl", "del-flows", "br-tun", f"cookie={LEARNED:#x}/-1,table=20")

    def reaches(self, sender: str, address: str, what: str) -> bool:
        """Whether a real packet gets an answer; a refusal by TCP is one."""
        where = self.host(WORLD) if sender == WORLD else self.instances[sender].place(self.lab)
        if what == "icmp":
            return where.run("ping", "-c1", "-W1", address).returncode == 0
        port = what.partition(" ")[2]
        said = where.run("busybox", "nc", "-w", "1", address, port)
        return said.returncode == 0 or "refused" in said.stderr


def asked(estate: Estate, sender: str, receiver: str, what: str = "icmp") -> Trace:
    protocol, _, port = what.partition(" ")
    topology = Topology(estate=estate)
    question = Question(protocol=protocol_number(protocol), destination_port=int(port or 0))
    return trace(estate, find(sender, topology), find(receiver, topology), question)


def populate(lab: LabDirectory) -> Site:
    client = control.wait_for_server(lab)
    external = client.create_external_network("public", control.PHYSICAL_NETWORK)
    client.create_subnet("outside", external, EXTERNAL_CIDR, WORLD_ADDRESS, pool=EXTERNAL_POOL)
    is_secured = lab.plan.plug is Plug.HYBRID
    red, blue = (client.create_network(name, port_security=is_secured) for name in ("red", "blue"))
    inside = client.create_subnet("red", red, "192.168.5.0/24", "192.168.5.1")
    client.create_subnet("blue", blue, "192.168.6.0/24", "192.168.6.1")
    router = client.create_router("r1")
    client.set_gateway(router, external)
    client.add_interface(router, inside)
    group = next(found for found in client.groups() if found.name == "default")
    client.allow(group, "icmp")
    client.allow(group, "tcp", 22)
    wanted = (("vm1", "compute1", red), ("vm2", "compute2", red), ("b1", "compute1", blue), ("b2", "compute2", blue))
    instances = {}
    for name, host, network in wanted:
        instances[name] = boot.boot(lab, client, name=name, on_host=host, network=network, kind=Kind.NETNS)
    for instance in instances.values():
        boot.wait_lease(lab, instance)
    floating = client.create_floating_ip(external, client.port(instances["vm1"].port_id))
    site = Site(lab=lab, instances=instances, router=f"qrouter-{router.id}", floating_ip=floating.floating_ip_address)
    api.wait_until(lambda: site.reaches(WORLD, site.floating_ip, "icmp"), "an answer of the floating IP", PATIENCE_S)
    api.wait_until(lambda: site.reaches("vm1", instances["vm2"].address, "icmp"), "an answer of vm2", PATIENCE_S)
    return site


@contextmanager
def lab_of(mode: TunnelMode, plug: Plug, tunnel: NetworkType = NetworkType.VXLAN) -> Iterator[LabDirectory]:
    name = f"tr{secrets.token_hex(3)}"
    hosts = plan_hosts(total=3, network_hosts=1)
    try:
        yield bring_up(LabPlan(name=name, hosts=hosts, plug=plug, mode=mode, tunnel=tunnel), lambda _: None)
    finally:
        take_down(name)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with lab_of(TunnelMode.LEARNING, Plug.HYBRID) as lab:
        yield populate(lab)


def test_trace_and_reality_agree_for_random_pairs_and_protocols(site: Site) -> None:
    choose = random.Random(secrets.randbits(32))
    senders = [*site.instances, WORLD]
    targets = [i.address for i in site.instances.values()]
    targets += [site.floating_ip, WORLD_ADDRESS, "192.168.5.1", "192.168.5.200", "198.51.100.9"]
    # What the first round of real packets teaches (ARP, table 20) is there when the hosts are captured.
    chosen = [
        (choose.choice(senders), choose.choice(targets), choose.choice(("icmp", "tcp 22", "tcp 81")))
        for _ in range(PAIRS)
    ]
    pairs = [(s, t, w) for s, t, w in chosen if s == WORLD or site.instances[s].address != t]
    real = [site.reaches(*pair) for pair in pairs]
    estate = site.estate()
    said = [asked(estate, *pair).verdict for pair in pairs]
    disagreed = [
        (pair, verdict.name, got)
        for pair, verdict, got in zip(pairs, said, real, strict=True)
        # A probe has a second: on a busy machine an answer may come later than that.
        if verdict.is_success != got and not (verdict.is_success and site.reaches(*pair))
    ]
    assert disagreed == []
    assert {True, False} <= set(real), "no pair failed, or none succeeded: the test says nothing"


def test_trace_names_the_interfaces_that_tcpdump_saw_the_packet_on_in_that_order(site: Site) -> None:
    target = site.instances["vm2"].address
    found = asked(site.estate(), "vm1", target)
    assert found.verdict is Verdict.DELIVERED
    named = found.paths[0].interfaces
    bystanders = [("compute1", f"tap{site.instances['b1'].port_id[:11]}"), ("network", "br-int")]
    dumps = {where: listen(site, *where, target) for where in dict.fromkeys([*named, *bystanders])}
    assert site.reaches("vm1", target, "icmp")
    seen = {where: heard(dump) for where, dump in dumps.items()}
    assert [where for where in named if seen[where] is None] == []
    times = [seen[where] or 0.0 for where in named]
    assert times == sorted(times)
    assert [where for where in bystanders if seen[where] is not None] == []


def listen(site: Site, host: str, interface: str, target: str) -> "subprocess.Popen[str]":
    """tcpdump of echo requests for `target`, listening when this returns."""
    inside = {"vm1": "eth0", "vm2": "eth0"}
    where = next(
        (i.place(site.lab) for name, i in site.instances.items() if interface == inside.get(name) and i.host == host),
        site.host(host),
    )
    words = ["tcpdump", "-n", "-tt", "-l", "-U", "-i", interface, f"icmp[icmptype] = 8 and dst host {target}"]
    dump = subprocess.Popen(
        where.command(words), env=where.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert dump.stderr is not None
    while line := dump.stderr.readline():
        if "listening on" in line:
            break
    return dump


def heard(dump: "subprocess.Popen[str]") -> float | None:
    """When the first packet was seen, if one was; ends tcpdump."""
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline and dump.poll() is None:
        time.sleep(0.02)
    dump.send_signal(signal.SIGINT)
    out, _ = dump.communicate(timeout=10)
    first = out.partition(" ")[0]
    return float(first) if re.fullmatch(r"\d+\.\d+", first) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What is broken where, the packet that must fail, and the place that must be named."""

    host: str
    damage: str
    repair: str
    receiver: str
    named: tuple[str, str, Verdict]
    finding: str = ""


def faults(site: Site) -> dict[str, Fault]:
    vm1, vm2 = site.instances["vm1"], site.instances["vm2"]
    tap, qvo, qbr = (f"{prefix}{vm1.port_id[:11]}" for prefix in ("tap", "qvo", "qbr"))
    key = hex(next(n.segmentation_id or 0 for n in control.wait_for_server(site.lab).networks(name="red")))
    ns = f"ip netns exec {site.router} "
    qr = site.host("network").must("sh", "-c", f"ip -n {site.router} -o link | grep -o 'qr-[^:@]*' | head -1").strip()

    def flows(bridge: str, command: str) -> tuple[str, str]:
        folder = f"/run/kept-{bridge}"
        saved = f"ovs-ofctl --no-stats dump-flows {bridge} | grep actions > {folder}; "
        return saved + command, f"ovs-ofctl replace-flows {bridge} {folder}"

    deleted = flows("br-tun", f"ovs-ofctl del-flows br-tun table=4,tun_id={key}")
    forward = flows("br-int", f"ovs-ofctl del-flows br-int table=61,dl_dst={vm2.mac_address}")
    spoof = flows("br-int", f"ovs-ofctl del-flows br-int table=25,dl_src={vm1.mac_address}")
    wrong = flows(
        "br-tun",
        # Nothing is to be learned any more, or a frame of vm2 would show the way again.
        "ovs-ofctl mod-flows br-tun table=10,actions=output:$(ovs-vsctl get Interface patch-int ofport); "
        f"ovs-ofctl del-flows br-tun table=20,priority=1 2>/dev/null || true; "
        f"ovs-ofctl del-flows br-tun table=20,dl_dst={vm2.mac_address}; "
        f"ovs-ofctl dump-flows br-tun table=22 --no-stats | grep load:{key} | sed 's/load:{key}/load:0xabcdef/' > /run/wrong; "
        f"ovs-ofctl add-flows br-tun /run/wrong",
    )
    return {
        "the network's key is not let in at the other host": Fault(
            host="compute2", damage=deleted[0], repair=deleted[1], receiver=vm2.address,
            named=("compute2", "br-tun table 4", Verdict.DROPPED_FLOW), finding="network-not-let-in",
        ),
        "the other host does not know its own port": Fault(
            host="compute2", damage=forward[0], repair=forward[1], receiver=vm2.address,
            named=("compute2", "br-int table 62", Verdict.DROPPED_FLOW), finding="missing-flow",
        ),
        "the sender's address is not its own any more": Fault(
            host="compute1", damage=spoof[0], repair=spoof[1], receiver=vm2.address,
            named=("compute1", "br-int table 25", Verdict.DROPPED_FLOW), finding="missing-flow",
        ),
        "the key into the tunnel is wrong": Fault(
            host="compute1", damage=wrong[0], repair=wrong[1], receiver=vm2.address,
            named=("compute2", "br-tun table 4", Verdict.DROPPED_FLOW), finding="wrong-tunnel-id",
        ),
        "a rule of iptables on the way out of the instance": Fault(
            host="compute1",
            damage=f"iptables -I FORWARD -m physdev --physdev-in {tap} -j DROP",
            repair=f"iptables -D FORWARD -m physdev --physdev-in {tap} -j DROP",
            receiver=vm2.address, named=("compute1", f"{qbr} filter FORWARD", Verdict.DROPPED_RULE),
        ),
        "the switch's side of the instance's cable is down": Fault(
            host="compute1", damage=f"ip link set {qvo} down", repair=f"ip link set {qvo} up",
            receiver=vm2.address, named=("compute1", qvo, Verdict.DROPPED_DOWN),
        ),
        "the router has no default route": Fault(
            host="network", damage=f"{ns}ip route del default",
            repair=f"{ns}ip route add default via {WORLD_ADDRESS}",
            receiver="198.51.100.1", named=("network", site.router, Verdict.DROPPED_NO_ROUTE),
        ),
        "the router does not forward": Fault(
            host="network", damage=f"{ns}sysctl -qw net.ipv4.ip_forward=0", repair=f"{ns}sysctl -qw net.ipv4.ip_forward=1",
            receiver=WORLD_ADDRESS, named=("network", site.router, Verdict.DROPPED_NOT_FORWARDED),
            finding="router-does-not-forward",
        ),
        "a rule of the router drops": Fault(
            host="network", damage=f"{ns}iptables -I FORWARD -p icmp -j DROP",
            repair=f"{ns}iptables -D FORWARD -p icmp -j DROP",
            receiver=WORLD_ADDRESS, named=("network", f"{site.router} filter FORWARD", Verdict.DROPPED_RULE),
        ),
        "a patch leads nowhere": Fault(
            host="compute1", damage="ovs-vsctl set Interface patch-tun options:peer=nothing",
            repair="ovs-vsctl set Interface patch-tun options:peer=patch-int",
            receiver=vm2.address, named=("compute1", "br-int", Verdict.DROPPED_NO_PORT), finding="broken-patch",
        ),
        "the other host has no tunnel back": Fault(
            host="compute2", damage="ovs-vsctl set Interface vxlan-0a090002 options:remote_ip=10.9.0.99",
            repair="ovs-vsctl set Interface vxlan-0a090002 options:remote_ip=10.9.0.2",
            receiver=vm2.address, named=("compute1", "vxlan-0a090003", Verdict.DROPPED_NO_TUNNEL),
            finding="one-way-tunnel",
        ),
        "the other host's end of the tunnel has another UDP port": Fault(
            host="compute2", damage="ovs-vsctl set Interface vxlan-0a090002 options:dst_port=8472",
            repair="ovs-vsctl remove Interface vxlan-0a090002 options dst_port",
            receiver=vm2.address, named=("compute2", "vxlan-0a090002", Verdict.DROPPED_NO_TUNNEL),
            finding="tunnel-port-mismatch",
        ),
        "the router knows the instance by a wrong MAC address": Fault(
            host="network", damage=f"ip -n {site.router} neigh replace {vm1.address} lladdr 02:00:00:00:00:99 dev {qr} nud permanent",
            repair=f"ip -n {site.router} neigh del {vm1.address} dev {qr}",
            receiver=WORLD_ADDRESS, named=("network", site.router, Verdict.DROPPED_WRONG_NEIGHBOUR),
        ),
        "the router's interface is down": Fault(
            host="network", damage=f"ip -n {site.router} link set {qr} down", repair=f"ip -n {site.router} link set {qr} up",
            receiver=WORLD_ADDRESS, named=("network", f"{qr} in {site.router}", Verdict.DROPPED_DOWN), finding="interface-down",
        ),
        "the router does not translate what goes out": Fault(
            host="network", damage=f"{ns}iptables-save -t nat > /run/kept-nat; {ns}iptables -t nat -F warren-l3-snat",
            repair=f"{ns}iptables-restore < /run/kept-nat",
            receiver=WORLD_ADDRESS, named=("network", site.router, Verdict.DROPPED_UNTRANSLATED),
            finding="source-not-translated",
        ),
        "a routing rule of the router refuses": Fault(
            host="network", damage=f"ip -n {site.router} rule add from {vm1.address} prohibit",
            repair=f"ip -n {site.router} rule del from {vm1.address} prohibit",
            receiver=WORLD_ADDRESS, named=("network", site.router, Verdict.DROPPED_NO_ROUTE),
            finding="routing-rule-refuses",
        ),
        "a rule before connections are tracked": Fault(
            host="compute2", damage="iptables -t raw -I PREROUTING -p icmp -j DROP",
            repair="iptables -t raw -D PREROUTING -p icmp -j DROP",
            receiver=vm2.address, named=("compute2", f"qbr{vm2.port_id[:11]} raw PREROUTING", Verdict.DROPPED_RULE),
            finding="changed-setting",
        ),
    }  # fmt: skip


FAULTS: Final = (
    "the network's key is not let in at the other host",
    "the other host does not know its own port",
    "the sender's address is not its own any more",
    "the key into the tunnel is wrong",
    "a rule of iptables on the way out of the instance",
    "the switch's side of the instance's cable is down",
    "the router has no default route",
    "the router does not forward",
    "a rule of the router drops",
    "a patch leads nowhere",
    "the other host has no tunnel back",
    "the other host's end of the tunnel has another UDP port",
    "the router knows the instance by a wrong MAC address",
    "the router's interface is down",
    "the router does not translate what goes out",
    "a routing rule of the router refuses",
    "a rule before connections are tracked",
)


@pytest.mark.parametrize("name", FAULTS)
def test_the_place_that_trace_names_is_the_place_that_was_broken(site: Site, name: str) -> None:
    fault = faults(site)[name]
    with site.broken(fault.host, fault.damage, fault.repair):
        estate = site.estate()
        path = asked(estate, "vm1", fault.receiver).paths[-1]
        way = [f"{hop.host} {hop.place}: {hop.what}" for hop in path.way]
        assert (path.way[-1].host, path.way[-1].place, path.verdict) == fault.named, way
        assert not site.reaches("vm1", fault.receiver, "icmp")
        kinds = {finding.kind for finding in judged(estate).findings}
        assert fault.finding in kinds | {""}
    api.wait_until(lambda: site.reaches("vm1", site.instances["vm2"].address, "icmp"), "vm2 again", PATIENCE_S)


KEEP: Final = "; ".join(
    f"ovs-ofctl --no-stats dump-flows {bridge} | grep actions= > /run/kept-{bridge}" for bridge in ("br-int", "br-tun")
)
RESTORE: Final = "; ".join(f"ovs-ofctl replace-flows {bridge} /run/kept-{bridge}" for bridge in ("br-int", "br-tun"))
NOBODY: Final = "00000000-0000-4000-8000-00000000dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planted:
    """A fault for verify: where, how, how it is taken back, and the kind of finding that it must give."""

    host: str
    damage: str
    kind: str
    repair: str = "true"


def planted(site: Site) -> dict[str, Planted]:
    vm1, vm2, other = (site.instances[name] for name in ("vm1", "vm2", "b1"))
    compute1 = site.host("compute1")
    qvo1, qvo_other = f"qvo{vm1.port_id[:11]}", f"qvo{other.port_id[:11]}"

    def asks(*words: str) -> str:
        return compute1.must("ovs-vsctl", "get", *words).strip().strip('"')

    ofport, vlan = asks("Interface", qvo1, "ofport"), asks("Port", qvo1, "tag")
    other_vlan = asks("Port", qvo_other, "tag")
    to_network = asks("Interface", "vxlan-0a090001", "ofport")
    key = hex(next(n.segmentation_id or 0 for n in control.wait_for_server(site.lab).networks(name="red")))
    to_vm2 = f"reg6={int(vlan):#x},dl_dst={vm2.mac_address}"
    tunnelled = f"strip_vlan,load:{key}->NXM_NX_TUN_ID[],output:{to_network}"
    inside = f"ip -n {site.router} -o link show | sed -n 's/.*: \\(qr-[^:@]*\\)[:@].*/\\1/p' | head -1"
    gateway = f"ip netns exec {site.router} iptables"
    routing = f"ip -n {site.router}"
    return {
        "a frame put into another network": Planted(
            host="compute1", kind="frame-crosses-networks",
            damage=f"ovs-ofctl add-flow br-int 'table=60,priority=200,in_port={ofport},actions="
            f"load:{int(ofport):#x}->NXM_NX_REG5[],load:{int(other_vlan):#x}->NXM_NX_REG6[],resubmit(,61)'",
        ),
        "a flow that nobody asked for": Planted(
            host="compute1", kind="unasked-flow",
            damage="ovs-ofctl add-flow br-int 'table=0,priority=77,in_port=99,actions=resubmit(,60)'",
        ),
        "a loop": Planted(
            host="compute2", kind="loop", damage="ovs-ofctl add-flow br-tun 'table=10,priority=9,actions=resubmit(,22)'",
        ),
        "an entry that points at the wrong host": Planted(
            host="compute1", kind="entry-points-elsewhere",
            damage=f"ovs-ofctl add-flow br-tun 'table=20,priority=3,dl_vlan={vlan},dl_dst={vm2.mac_address},actions={tunnelled}'",
        ),
        "a host left out of a flood": Planted(
            host="compute1", kind="flood-misses-host",
            damage=f"ovs-ofctl mod-flows br-tun 'table=22,dl_vlan={vlan},actions={tunnelled}'",
        ),
        "a tunnel that nobody listens to": Planted(
            host="compute1", kind="deaf-tunnel", damage=f"ovs-ofctl del-flows br-tun 'table=0,in_port={to_network}'",
        ),
        "a flow that can never match": Planted(
            host="compute2", kind="shadowed-flow",
            damage="ovs-ofctl add-flow br-int 'table=61,priority=300,dl_dst=00:00:00:00:00:00/01:00:00:00:00:00,actions=drop'",
        ),
        "an output to nowhere": Planted(
            host="compute1", kind="output-to-nowhere",
            damage=f"ovs-ofctl add-flow br-int 'table=61,priority=13,{to_vm2},actions=output:999'",
        ),
        "a table that was emptied": Planted(
            host="compute1", kind="table-without-flows", damage="ovs-ofctl del-flows br-int table=61",
        ),
        "a tag of another network": Planted(
            host="compute1", kind="port-on-wrong-vlan", damage=f"ovs-vsctl set Port {qvo1} tag={other_vlan}",
            repair=f"ovs-vsctl set Port {qvo1} tag={vlan}",
        ),
        "a port that is a trunk": Planted(
            host="compute1", kind="trunk-port", damage=f"ovs-vsctl set Port {qvo1} vlan_mode=trunk",
            repair=f"ovs-vsctl clear Port {qvo1} vlan_mode",
        ),
        "a port that the API does not know": Planted(
            host="compute1", kind="unknown-port",
            damage=f"ovs-vsctl add-port br-int stray -- set Interface stray type=internal external_ids:iface-id={NOBODY}",
            repair="ovs-vsctl del-port br-int stray",
        ),
        "a port that is not plugged": Planted(
            host="compute1", kind="missing-port", damage=f"ovs-vsctl remove Interface {qvo1} external_ids iface-id",
            repair=f"ovs-vsctl set Interface {qvo1} external_ids:iface-id={vm1.port_id}",
        ),
        "a namespace that the API does not know": Planted(
            host="network", kind="unknown-namespace", damage=f"ip netns add qrouter-{NOBODY}",
            repair=f"ip netns delete qrouter-{NOBODY}",
        ),
        "a router's interface that is down": Planted(
            host="network", kind="interface-down", damage=f"ip -n {site.router} link set $({inside}) down",
            repair=f"ip -n {site.router} link set $({inside}) up",
        ),
        "a route of a router that refuses": Planted(
            host="network", kind="route-refuses", damage=f"{routing} route add blackhole {WORLD_ADDRESS}",
            repair=f"{routing} route del blackhole {WORLD_ADDRESS}",
        ),
        "a routing rule of a router that refuses": Planted(
            host="network", kind="routing-rule-refuses", damage=f"{routing} rule add from {vm1.address} prohibit",
            repair=f"{routing} rule del from {vm1.address} prohibit",
        ),
        "a routing rule past a router's routes": Planted(
            host="network", kind="unasked-routing-rule", damage=f"{routing} rule add from {vm1.address} lookup 77",
            repair=f"{routing} rule del from {vm1.address} lookup 77",
        ),
        "a router whose routes no rule leads to": Planted(
            host="network", kind="routes-not-looked-at", damage=f"{routing} rule del pref 32766",
            repair=f"{routing} rule add pref 32766 table main",
        ),
        "a router whose policy drops": Planted(
            host="network", kind="closed-chain", damage=f"{gateway} -P FORWARD DROP", repair=f"{gateway} -P FORWARD ACCEPT",
        ),
        "a rule of a router that nobody asked for": Planted(
            host="network", kind="unasked-filter-rule", damage=f"{gateway} -A FORWARD -p icmp -j DROP",
            repair=f"{gateway} -D FORWARD -p icmp -j DROP",
        ),
        "a rule of the host before its instances": Planted(
            host="compute1", kind="ports-cut-off", damage=f"iptables -t raw -A PREROUTING -s {vm1.address} -j DROP",
            repair=f"iptables -t raw -D PREROUTING -s {vm1.address} -j DROP",
        ),
        "an underlay too small": Planted(
            host="network", kind="mtu-too-small", damage="ip link set eth0 mtu 1300", repair="ip link set eth0 mtu 1500",
        ),
        "a floating IP without its rule": Planted(
            host="network", kind="floating-ip-not-translated",
            damage=f"{gateway}-save -t nat > /run/kept-nat; {gateway} -t nat -F warren-l3-PREROUTING",
            repair=f"{gateway}-restore < /run/kept-nat",
        ),
        "a chain of a security group that was emptied": Planted(
            host="compute1", kind="changed-setting",
            damage=f"iptables-save -t filter > /run/kept-filter; iptables -F warren-i{vm1.port_id[:11]}",
            repair="iptables-restore < /run/kept-filter",
        ),
    }  # fmt: skip


PLANTED: Final = (
    "a frame put into another network",
    "a flow that nobody asked for",
    "a loop",
    "an entry that points at the wrong host",
    "a host left out of a flood",
    "a tunnel that nobody listens to",
    "a flow that can never match",
    "an output to nowhere",
    "a table that was emptied",
    "a tag of another network",
    "a port that is a trunk",
    "a port that the API does not know",
    "a port that is not plugged",
    "a namespace that the API does not know",
    "a router's interface that is down",
    "a route of a router that refuses",
    "a routing rule of a router that refuses",
    "a routing rule past a router's routes",
    "a router whose routes no rule leads to",
    "a router whose policy drops",
    "a rule of a router that nobody asked for",
    "a rule of the host before its instances",
    "an underlay too small",
    "a floating IP without its rule",
    "a chain of a security group that was emptied",
)


@pytest.mark.parametrize("name", PLANTED)
def test_verify_finds_each_fault_that_is_planted_in_a_live_lab(site: Site, name: str) -> None:
    fault = planted(site)[name]
    with site.broken(fault.host, f"{KEEP}; {fault.damage}", f"{RESTORE}; {fault.repair}"):
        findings = judged(site.estate()).findings
    assert (fault.kind, fault.host) in {(found.kind, found.host) for found in findings}, findings


def test_a_lab_that_was_broken_and_mended_is_healthy_again(site: Site) -> None:
    assert settled(site).findings == ()


def settled(site: Site) -> Report:
    """The report once the hosts have come to rest: right after a change something may be on its way."""
    reports: list[Report] = []

    def is_clean() -> bool:
        reports.append(judged(site.estate()))
        return not reports[-1].findings

    try:
        api.wait_until(is_clean, "a report without findings", 8.0)
    except Unreachable:
        return reports[-1]
    return reports[-1]


@pytest.mark.parametrize(("mode", "plug"), MODES, ids=lambda value: str(value.value))
def test_verify_says_nothing_of_a_healthy_lab_in_each_mode(mode: TunnelMode, plug: Plug) -> None:
    with lab_of(mode, plug, NetworkType.GRE if plug is Plug.OVS else NetworkType.VXLAN) as lab:
        site = populate(lab)
        report = settled(site)
        assert report.findings == ()
        assert report.problems == ()
        assert asked(site.estate(), "vm1", site.instances["vm2"].address).verdict is Verdict.DELIVERED
