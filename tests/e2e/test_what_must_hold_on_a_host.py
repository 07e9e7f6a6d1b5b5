"""What a host keeps to whatever happens to its agent, its switch, the server or its administrator's patience.

One lab for the module: a network host and two compute hosts, a router with an external network, an instance on each
compute host. Every test leaves it as it found it, which is what is tested.
"""

import re
import secrets
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from warren.lab import api, control, processes
from warren.lab.directory import LabDirectory
from warren.lab.down import take_down
from warren.lab.host import Place, place
from warren.lab.instances import Instance, Kind, boot
from warren.lab.plan import EXTERNAL_CIDR, EXTERNAL_POOL, WORLD, WORLD_ADDRESS, LabPlan, plan_hosts
from warren.lab.up import bring_up

pytestmark = pytest.mark.root

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
            fresh = self.log(host).read_text()[seen:]
            return any(all(word in line for word in words) for line in fresh.splitlines())

        api.wait_until(is_said, f"a line with {words} in {self.log(host)}", within_s)

    def kill_vswitchd(self, host: str) -> None:
        pid = int(self.host(host).must("cat", "/run/openvswitch/ovs-vswitchd.pid"))
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


@pytest.fixture(scope="module")
def lab() -> Iterator[LabDirectory]:
    name = f"e2e{secrets.token_hex(3)}"
    try:
        yield bring_up(LabPlan(name=name, hosts=plan_hosts(total=3, network_hosts=1)), lambda _: None)
    finally:
        take_down(name)


@pytest.fixture(scope="module")
def estate(lab: LabDirectory) -> Estate:
    client = control.wait_for_server(lab)
    external = client.create_external_network("public", control.PHYSICAL_NETWORK)
    client.create_subnet("outside", external, EXTERNAL_CIDR, WORLD_ADDRESS, pool=EXTERNAL_POOL)
    for group in client.groups():
        client.allow(group, "icmp")
    network = client.create_network("inside")
    subnet = client.create_subnet("inside", network, "192.168.5.0/24", "192.168.5.1")
    router = client.create_router("r1")
    client.set_gateway(router, external)
    client.add_interface(router, subnet)
    first, second = (
        boot.boot(lab, client, name=f"vm{number}", on_host=f"compute{number}", network=network, kind=Kind.NETNS)
        for number in (1, 2)
    )
    for instance in (first, second):
        boot.wait_lease(lab, instance)
    made = Estate(
        lab=lab,
        client=client,
        external=external,
        network=network,
        first=first,
        second=second,
        router_namespace=f"qrouter-{router.id}",
        dhcp_namespace=f"qdhcp-{network.id}",
    )
    made.wait_for_ping(PATIENCE_S)
    return made


def test_an_agent_that_is_killed_and_started_again_loses_no_packet_and_touches_no_flow(estate: Estate) -> None:
    before = {host: estate.flow_ages(host) for host in ("network", "compute1", "compute2")}
    learned = {key for key in before["compute1"] if key[1] == "20" and "dl_dst=fa:16" in key[2]}
    assert learned, "nothing was learned, so nothing can be lost"
    ping = estate.first.place(estate.lab)
    running = subprocess.Popen(
        ping.command(["ping", "-q", "-i", "0.001", "-c", "3000", estate.second.address]),
        env=ping.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    for host in before:
        estate.kill_agent(host)
        estate.start_agent(host)
    said, _ = running.communicate(timeout=60)
    assert "3000 packets transmitted, 3000 received, 0% packet loss" in said
    for host, ages in before.items():
        after = estate.flow_ages(host)
        assert after.keys() >= ages.keys()
        assert all(after[key] > age for key, age in ages.items()), f"a flow of {host} was added anew"


def test_a_switch_that_is_killed_and_started_again_is_as_before_within_two_seconds(estate: Estate) -> None:
    tables = {key for key in estate.flow_ages("compute1") if key[1] != "20"}
    estate.kill_vswitchd("compute1")
    estate.start_vswitchd("compute1")
    returned_at = time.monotonic()
    estate.wait_for_ping(SOON_S)
    assert time.monotonic() - returned_at < SOON_S
    assert {key for key in estate.flow_ages("compute1") if key[1] != "20"} == tables


def test_a_network_host_whose_switch_was_killed_routes_and_serves_again(estate: Estate) -> None:
    estate.kill_vswitchd("network")
    estate.start_vswitchd("network")
    estate.wait_for_world()


def test_a_database_server_that_is_killed_and_started_again_is_watched_and_repaired_as_before(estate: Estate) -> None:
    compute = estate.host("compute2")
    compute.must("sh", "-c", "kill -9 $(cat /run/openvswitch/ovsdb-server.pid); rm -f /run/openvswitch/db.sock")
    compute.must(*START_OVSDB)
    with estate.logs("compute2", "ovsdb.repair", "tag=99"):
        compute.must("ovs-vsctl", "--timeout=20", "set", "Port", f"qvo{estate.second.port_id[:11]}", "tag=99")
    estate.wait_for_ping(PATIENCE_S)


def test_a_host_is_rebuilt_from_its_disk_while_the_server_is_away(estate: Estate) -> None:
    server = estate.lab.living(estate.lab.path / "server.pid")
    assert server is not None
    processes.end_one(server, estate.lab.lab_id)
    try:
        assert " 0% packet loss" in estate.pings("-i", "0.01", "-c", "100").stdout
        estate.kill_agent("compute1")
        estate.kill_vswitchd("compute1")
        estate.start_vswitchd("compute1")
        assert estate.pings("-c", "1", "-W", "0.5").returncode != 0, "a switch without flows passes nothing"
        estate.start_agent("compute1")
        estate.wait_for_ping(PATIENCE_S)
    finally:
        control.run_server(estate.lab)
        control.wait_for_agents(estate.lab, control.wait_for_server(estate.lab))


def flows_removed(estate: Estate) -> None:
    estate.host("network").must("ovs-ofctl", "del-flows", "br-tun", "table=22")


def flow_changed(estate: Estate) -> None:
    estate.host("network").must("ovs-ofctl", "mod-flows", "br-tun", "table=4,actions=drop")


def flow_replaced_by_another_cookies(estate: Estate) -> None:
    estate.host("network").must("ovs-ofctl", "add-flow", "br-tun", "table=4,cookie=0x7,priority=0,actions=drop")


def flow_added(estate: Estate) -> None:
    estate.host("network").must("ovs-ofctl", "add-flow", "br-int", "table=60,priority=4000,actions=NORMAL")


def tag_changed(estate: Estate) -> None:
    port = estate.host("network").must("ovs-vsctl", "--bare", "--columns=name", "find", "Port", "tag=1").split()[0]
    estate.host("network").must("ovs-vsctl", "set", "Port", port, "tag=77")


def bridge_removed(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "del-br", "br-tun")


def fail_mode_changed(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "set-fail-mode", "br-int", "standalone")


def protocols_changed(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "set", "Bridge", "br-int", "protocols=OpenFlow15")


def controller_set(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "set-controller", "br-tun", "tcp:127.0.0.1:6653")


def spanning_tree_begun(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "set", "Bridge", "br-int", "stp_enable=true")


def port_kept_from_receiving(estate: Estate) -> None:
    estate.host("network").must("ovs-ofctl", "mod-port", "br-tun", "patch-int", "no-receive")


def mark_changed(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "set", "Port", "patch-tun", "external_ids:warren=nobody")


def tunnel_changed(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "set", "Interface", "vxlan-0a090002", "options:remote_ip=10.9.0.77")


def router_route_removed(estate: Estate) -> None:
    estate.host("network").must("ip", "netns", "exec", estate.router_namespace, "ip", "route", "del", "default")


def subnets_route_removed(estate: Estate) -> None:
    estate.host("network").must("ip", "netns", "exec", estate.router_namespace, "ip", "route", "del", "192.168.5.0/24")


def router_forwarding_switched_off(estate: Estate) -> None:
    in_router = ("ip", "netns", "exec", estate.router_namespace)
    estate.host("network").must(*in_router, "sysctl", "-qw", "net.ipv4.ip_forward=0")


def router_address_added(estate: Estate) -> None:
    in_router = ("ip", "netns", "exec", estate.router_namespace)
    link = re.search(r"(qr-\S+?)[@:]", estate.host("network").must(*in_router, "ip", "-o", "link"))
    assert link is not None
    estate.host("network").must(*in_router, "ip", "address", "add", "192.0.2.7/24", "dev", link[1])


def router_rules_removed(estate: Estate) -> None:
    in_router = ("ip", "netns", "exec", estate.router_namespace)
    estate.host("network").must(*in_router, "iptables", "-t", "nat", "-F", "warren-l3-snat")


def router_namespace_removed(estate: Estate) -> None:
    estate.host("network").must("ip", "netns", "delete", estate.router_namespace)


def router_interface_removed(estate: Estate) -> None:
    ports = estate.host("network").must("ovs-vsctl", "list-ports", "br-int").split()
    estate.host("network").must("ovs-vsctl", "del-port", next(port for port in ports if port.startswith("qr-")))


def dnsmasq_killed(estate: Estate) -> None:
    pids = estate.host("network").must("ip", "netns", "pids", estate.dhcp_namespace).split()
    for pid in pids:
        estate.host("network").must("kill", "-9", pid)


def dhcp_namespace_removed(estate: Estate) -> None:
    estate.host("network").must("ip", "netns", "delete", estate.dhcp_namespace)


def group_rule_removed(estate: Estate) -> None:
    chain = f"warren-o{estate.first.port_id[:11]}"
    estate.host("compute1").must("iptables", "-D", chain, "1")


def everything_accepted_first(estate: Estate) -> None:
    """What somebody else adds stays, so it is taken back as soon as Warren's jump is before it."""
    compute, ours = estate.host("compute1"), "-A FORWARD -j warren-FORWARD"
    compute.must("iptables", "-I", "FORWARD", "-j", "ACCEPT")
    api.wait_until(
        lambda: compute.must("iptables-save").index(ours) < compute.must("iptables-save").index("-A FORWARD -j ACCEPT"),
        "the jump to be first again",
        PATIENCE_S,
    )
    compute.must("iptables", "-D", "FORWARD", "-j", "ACCEPT")


def group_rule_added(estate: Estate) -> None:
    chain = f"warren-i{estate.first.port_id[:11]}"
    estate.host("compute1").must("iptables", "-I", chain, "1", "-j", "ACCEPT")


def every_rule_removed(estate: Estate) -> None:
    estate.host("compute1").must("iptables", "-F")


DRIFTS: list[tuple[Callable[[Estate], None], tuple[str, ...]]] = [
    (flows_removed, ("flow.repair", "bridge=br-tun", "table=22", "had=nothing", "because=")),
    (flow_changed, ("flow.repair", "bridge=br-tun", "table=4", "had=drop", "because=")),
    (flow_replaced_by_another_cookies, ("flow.repair", 'had="cookie=0x7, table=4', 'want="cookie=0x1000000000000,')),
    (flow_added, ("flow.repair", "bridge=br-int", "had=NORMAL", "want=nothing", "nothing asks for it")),
    (tag_changed, ("ovsdb.repair", "tag=77", "the local VLAN of its network")),
    (bridge_removed, ("ovsdb.repair", "row=bridge/br-tun", "had=nothing", "part of every host")),
    (fail_mode_changed, ("ovsdb.repair", "row=bridge/br-int", "fail_mode=standalone", "fail_mode=secure")),
    (protocols_changed, ("ovsdb.repair", "row=bridge/br-int", "protocols=OpenFlow15 ", "protocols=OpenFlow10,")),
    (controller_set, ("ovsdb.repair", "row=bridge/br-tun", "controller=tcp:127.0.0.1:6653", "part of every host")),
    (spanning_tree_begun, ("ovsdb.repair", "row=bridge/br-int", "stp_enable=true")),
    (port_kept_from_receiving, ("port.repair", "port=patch-int", "had=NO_RECV", "want=free", "because=")),
    (mark_changed, ("ovsdb.repair", "row=port/patch-tun", "warren=nobody", "warren=bridge")),
    (tunnel_changed, ("ovsdb.repair", "row=port/vxlan-0a090002", "remote_ip=10.9.0.77", "peer/compute1")),
    (router_route_removed, ("setting.repair", "kind=route", "name=default", "had=nothing", "gateway of subnet")),
    (subnets_route_removed, ("setting.repair", "kind=address", "without its subnet's route", "want=there")),
    (router_forwarding_switched_off, ("setting.repair", "kind=sysctl", "name=net/ipv4/ip_forward", "had=0", "want=1")),
    (router_address_added, ("setting.repair", "kind=address", "192.0.2.7", "want=nothing")),
    (router_rules_removed, ("setting.repair", "kind=chain", "warren-l3-snat", "because=")),
    (router_namespace_removed, ("setting.repair", "kind=namespace", "qrouter-", "had=nothing")),
    (router_interface_removed, ("ovsdb.repair", "row=port/qr-", "had=nothing")),
    (dnsmasq_killed, ("setting.repair", "kind=process", "name=dnsmasq", "had=nothing", "serves DHCP")),
    (group_rule_removed, ("filter.repair", "name=filter/warren-o", "groups of port/")),
    (group_rule_added, ("filter.repair", "name=filter/warren-i", "groups of port/")),
    (everything_accepted_first, ("filter.repair", "name=filter/FORWARD", "behind a rule", 'want="-j warren-FORWARD')),
    (every_rule_removed, ("filter.repair", "name=filter/FORWARD", "had=nothing", "security groups")),
    (dhcp_namespace_removed, ("setting.repair", "kind=namespace", "qdhcp-", "had=nothing")),
]


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
        found[f"{bridge} ports"] = [line for line in ports if "config:" in line]
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


@pytest.mark.parametrize(("disturb", "line"), DRIFTS, ids=lambda value: getattr(value, "__name__", None))
def test_what_somebody_changed_by_hand_is_put_back_at_once_and_the_log_says_why(
    estate: Estate, disturb: Callable[[Estate], None], line: tuple[str, ...]
) -> None:
    before = at_rest(estate)
    with estate.logs("compute1" if line[0] == "filter.repair" else "network", *line):
        disturb(estate)
    wait_for(before, estate)


def test_what_has_no_event_is_put_back_by_the_audit(estate: Estate) -> None:
    compute = estate.host("compute2")
    config = estate.lab.host("compute2") / "run" / "warren" / "agent.toml"
    estate.kill_agent("compute2")
    config.write_text("audit_interval_s = 0.5\n" + config.read_text())
    estate.start_agent("compute2")
    members = [line for line in compute.must("ipset", "save").splitlines() if line.startswith("add warren4-")]
    with estate.logs("compute2", "filter.repair", "kind=set", "addresses of group/"):
        compute.must("ipset", "del", *members[0].split()[1:])
    api.wait_until(lambda: members[0] in compute.must("ipset", "save"), "the member to be back", PATIENCE_S)
    with estate.logs("compute2", "underlay.repair", "arp_ignore"):
        compute.must("sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=0")
    read = ("sysctl", "-n", "net.ipv4.conf.eth0.arp_ignore")
    api.wait_until(lambda: compute.must(*read).strip() == "1", "the NIC to be silent again", PATIENCE_S)


def test_what_is_not_warrens_is_left_alone(estate: Estate) -> None:
    network = estate.host("network")
    in_router = ("ip", "netns", "exec", estate.router_namespace)
    network.must("ovs-vsctl", "add-br", "br-mine", "--", "set", "Bridge", "br-mine", "datapath_type=netdev")
    network.must("ovs-ofctl", "add-flow", "br-ex", "cookie=0x7,table=9,priority=7,actions=drop")
    network.must("ip", "netns", "add", "mine")
    network.must("ip", "link", "add", "mine0", "type", "bridge")
    network.must(*in_router, "iptables", "-A", "FORWARD", "-s", "192.0.2.99", "-j", "DROP")
    with estate.logs("network", "flow.repair"):
        flows_removed(estate)
    with estate.logs("network", "setting.repair", "warren-l3-snat"):
        router_rules_removed(estate)
    assert "br-mine" in network.must("ovs-vsctl", "list-br").split()
    assert "priority=7" in network.must("ovs-ofctl", "dump-flows", "br-ex", "table=9")
    assert "mine" in network.must("ip", "netns")
    assert "192.0.2.99/32 -j DROP" in network.must(*in_router, "iptables-save")
    network.must("ip", "link", "show", "mine0")
    network.must("ovs-vsctl", "del-br", "br-mine")
    network.must("ip", "netns", "delete", "mine")
    network.must("ovs-ofctl", "del-flows", "br-ex", "cookie=0x7/-1")
    network.must(*in_router, "iptables", "-D", "FORWARD", "-s", "192.0.2.99", "-j", "DROP")
    network.must("ip", "link", "delete", "mine0")


def test_a_port_is_down_when_its_interface_goes_and_active_when_it_comes_back(estate: Estate) -> None:
    instance = boot.plug(
        estate.lab, estate.client, name="vm3", on_host="compute1", network=estate.network, kind=Kind.NETNS
    )
    try:
        estate.wait_status(instance.port_id, "ACTIVE")
        qvo = f"qvo{instance.port_id[:11]}"
        compute = estate.host("compute1")
        compute.must("ovs-vsctl", "del-port", qvo)
        estate.wait_status(instance.port_id, "DOWN")
        assert qvo not in compute.must("ovs-ofctl", "--names", "dump-flows", "br-int")
        ids = f"external_ids:iface-id={instance.port_id}"
        compute.must("ovs-vsctl", "add-port", "br-int", qvo, "--", "set", "Interface", qvo, ids)
        estate.wait_status(instance.port_id, "ACTIVE")
    finally:
        boot.remove(estate.lab, estate.client, instance)


def test_one_router_that_cannot_be_made_stops_no_other_and_is_made_when_it_can_be(estate: Estate) -> None:
    network = estate.host("network")
    router = estate.client.create_router("r2")
    blocked = estate.client.create_network("blocked")
    subnet = estate.client.create_subnet("blocked", blocked, "192.168.7.0/24", "192.168.7.1")
    in_the_way = f"/run/netns/qrouter-{router.id}"
    network.must("mkdir", in_the_way)
    try:
        with estate.logs("network", "object.wrong", f"router/{router.id}"):
            estate.client.add_interface(router, subnet)
        port = estate.client.ports(network_id=blocked.id, device_owner="network:router_interface")[0]
        estate.wait_status(port.id, "ERROR")
        with estate.logs("network", "setting.repair", "kind=route", estate.router_namespace, "gateway of subnet"):
            router_route_removed(estate)
        floating = estate.client.create_floating_ip(estate.external, estate.client.port(estate.first.port_id))
        world = place(estate.lab, WORLD)
        api.wait_until(
            lambda: world.run("ping", "-c1", "-W1", floating.floating_ip_address).returncode == 0,
            "an answer through the other router's new floating IP",
            PATIENCE_S,
        )
        estate.client.delete("floatingip", floating.id)
        network.must("rmdir", in_the_way)
        estate.wait_status(port.id, "ACTIVE")
        assert f"qrouter-{router.id}" in network.must("ip", "netns")
        estate.client.remove_interface(router, port)
    finally:
        network.run("rmdir", in_the_way)
        estate.client.delete("router", router.id)
        estate.client.delete("network", blocked.id)
    api.wait_until(lambda: router.id not in network.must("ip", "netns"), "the router's end", PATIENCE_S)


def test_a_port_whose_group_cannot_be_enforced_stays_dead_and_stops_no_other(estate: Estate) -> None:
    compute, client = estate.host("compute1"), estate.client
    group = client.create_group("broken", remote_is_itself=True)
    in_the_way = f"warren4-{group.id[:23]}"
    compute.must("ipset", "create", in_the_way, "hash:net", "family", "inet6")
    compute.must("ip6tables", "-A", "INPUT", "-m", "set", "--match-set", in_the_way, "src", "-j", "DROP")
    broken = boot.plug(estate.lab, client, name="vm4", on_host="compute1", network=estate.network, kind=Kind.NETNS)
    sound = boot.plug(estate.lab, client, name="vm5", on_host="compute1", network=estate.network, kind=Kind.NETNS)
    try:
        with estate.logs("compute1", "object.wrong", f"port/{broken.port_id}"):
            client.set_groups(broken.port_id, group)
        estate.wait_status(sound.port_id, "ACTIVE")
        estate.wait_status(broken.port_id, "ERROR")
        with estate.logs("compute1", "filter.repair", "name=filter/warren-o", "groups of port/"):
            group_rule_removed(estate)
        assert f"qvo{broken.port_id[:11]}" not in compute.must("ovs-ofctl", "--names", "dump-flows", "br-int")
        estate.wait_for_ping(SOON_S)
        compute.must("ip6tables", "-D", "INPUT", "-m", "set", "--match-set", in_the_way, "src", "-j", "DROP")
        estate.wait_status(broken.port_id, "ACTIVE")
    finally:
        for instance in (broken, sound):
            boot.remove(estate.lab, client, instance)
        client.delete("security_group", group.id)


def test_a_tap_put_straight_on_br_int_past_its_groups_stays_dead_and_says_why(estate: Estate) -> None:
    compute, client = estate.host("compute1"), estate.client
    port = client.create_port("past", estate.network, "compute1")
    tap = f"tap{port.id[:11]}"
    ids = f"external_ids:iface-id={port.id}"
    try:
        with estate.logs("compute1", "object.wrong", f"port/{port.id}", "past the Linux bridge", f"qvo{port.id[:11]}"):
            compute.must("ovs-vsctl", "add-port", "br-int", tap, "--", "set", "Interface", tap, "type=internal", ids)
        estate.wait_status(port.id, "ERROR")
        assert tap not in compute.must("ovs-ofctl", "--names", "dump-flows", "br-int")
        assert compute.must("ovs-vsctl", "get", "Port", tap, "tag").strip() == "4095"
    finally:
        compute.must("ovs-vsctl", "del-port", tap)
        client.delete("port", port.id)


def test_an_interface_that_ovs_cannot_open_is_a_complaint_until_it_is_there(estate: Estate) -> None:
    network, config = estate.host("network"), estate.lab.host("network") / "run" / "warren" / "agent.toml"
    before = config.read_text()
    estate.kill_agent("network")
    config.write_text(before.replace('interface = "eth1"', 'interface = "eth7"'))
    try:
        with estate.logs("network", "object.wrong", "object=host", "could not open network device eth7"):
            control.run_agent(estate.lab, network)
        with estate.logs("network", "object.right", "object=host"):
            network.must("ip", "link", "add", "eth7", "type", "veth", "peer", "name", "eth8")
    finally:
        estate.kill_agent("network")
        config.write_text(before)
        network.run("ip", "link", "delete", "eth7")
        estate.start_agent("network")
    estate.wait_for_world()


def test_a_state_that_cannot_be_put_on_disk_is_followed_and_complained_of_once(estate: Estate) -> None:
    compute, client = estate.host("compute2"), estate.client
    compute.must("mount", "-t", "tmpfs", "-o", "ro", "none", "/run/warren/state")
    try:
        with estate.logs("compute2", "object.wrong", "object=memory", "Read-only file system"):
            instance = boot.plug(
                estate.lab, client, name="vm7", on_host="compute2", network=estate.network, kind=Kind.NETNS
            )
        estate.wait_status(instance.port_id, "ACTIVE")
    finally:
        with estate.logs("compute2", "object.right", "object=memory"):
            compute.must("umount", "/run/warren/state")
        boot.remove(estate.lab, client, instance)


def everything_lost(estate: Estate) -> None:
    """As after a reboot: no namespace, no dnsmasq, no flow; only what is on disk, OVSDB included."""
    network = estate.host("network")
    for namespace in (estate.router_namespace, estate.dhcp_namespace):
        for pid in network.run("ip", "netns", "pids", namespace).stdout.split():
            network.run("kill", "-9", pid)
        network.run("ip", "netns", "delete", namespace)
    estate.kill_vswitchd("network")
    estate.start_vswitchd("network")
    for bridge in ("br-tun", "br-ex"):
        network.must("ovs-vsctl", "del-br", bridge)


def test_a_host_that_lost_everything_is_as_before_although_its_agent_is_killed_again_and_again(estate: Estate) -> None:
    before = at_rest(estate)
    estate.kill_agent("network")
    everything_lost(estate)
    for wait_s in (0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7):
        control.run_agent(estate.lab, estate.host("network"))
        time.sleep(wait_s)  # not a wait for anything: the moment of the kill is what varies
        estate.kill_agent("network")
    estate.start_agent("network")
    wait_for(before, estate)
    estate.wait_for_world()


def test_what_was_deleted_by_the_api_leaves_nothing_behind(estate: Estate) -> None:
    before, client = at_rest(estate), estate.client
    tunnels_before = estate.host("compute1").must("ovs-ofctl", "--no-stats", "dump-flows", "br-tun")
    network = client.create_network("passing")
    subnet = client.create_subnet("passing", network, "192.168.9.0/24", "192.168.9.1")
    router = client.create_router("passing")
    client.set_gateway(router, estate.external)
    client.add_interface(router, subnet)
    instance = boot.boot(estate.lab, client, name="vm6", on_host="compute1", network=network, kind=Kind.NETNS)
    boot.wait_lease(estate.lab, instance)
    boot.remove(estate.lab, client, instance)
    client.remove_interface(router, client.ports(network_id=network.id, device_owner="network:router_interface")[0])
    client.delete("router", router.id)
    client.delete("network", network.id)
    wait_for(before, estate)
    assert {*estate.host("network").must("ip", "netns").split()} >= {estate.router_namespace, estate.dhcp_namespace}
    assert router.id not in estate.host("network").must("ip", "netns")
    api.wait_until(
        lambda: (
            estate.host("compute1").must("ovs-ofctl", "--no-stats", "dump-flows", "br-tun").count("\n")
            == tunnels_before.count("\n")
        ),
        "the tunnel bridge of compute1 as it was",
        PATIENCE_S,
    )


def test_a_second_agent_on_the_host_is_refused_with_one_sentence(estate: Estate) -> None:
    second = estate.host("compute1").run("python3", "-m", "warren", "agent", "--config", "/run/warren/agent.toml")
    assert second.returncode == 2
    assert re.fullmatch(
        r"warren: another agent \(process \d+\) works with /run/warren/state: stop it first.*\n", second.stderr
    )


def test_a_dry_run_beside_the_running_agent_plans_nothing_on_a_host_that_is_right(estate: Estate) -> None:
    dry = estate.host("network").run(
        "python3", "-m", "warren", "agent", "--config", "/run/warren/agent.toml", "--dry-run"
    )
    assert dry.returncode == 0
    assert ".plan" not in dry.stderr
