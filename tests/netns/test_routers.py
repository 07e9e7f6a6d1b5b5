import subprocess
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from warren.agent.drivers import conntrack, netlink, netns
from warren.agent.drivers.command import run
from warren.agent.drivers.namespaces import Announcement, Namespaces, Outcome, announce
from warren.agent.loop import AUDIT, Pass, Reason, Source
from warren.agent.stages.namespaces import Namespaces as Stage
from warren.core import names
from warren.core.ids import RouterId
from warren.core.state import FloatingIp, HostState, Route
from warren.namespaces import Key, Setting, render
from warren.reconcile.plan import Plan, plan
from warren.testing.ovs import wait_until
from warren.testing.segments import Machine, bridge_of, lay, machine, plug_in
from warren.testing.sites import Site

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("host")]


def difference(state: HostState) -> Plan[Key, Setting]:
    desired = render(state)
    return plan(desired, Namespaces().installed({key.namespace for key in desired}))


def converge(state: HostState) -> Outcome:
    outcome = Namespaces().apply(difference(state))
    assert not outcome.failed
    assert not difference(state)
    return outcome


class Town:
    """A site that stands: an instance on red, two on blue, and the world outside."""

    def __init__(self, *, has_gateway: bool = True, enable_snat: bool = True) -> None:
        self.site = Site()
        self.router = replace(self.site.router, enable_snat=enable_snat)
        lay(self.site.state())
        self.set_router() if has_gateway else self.set_router(gateway_port_id=None)
        self.red = machine(self.site.red, "10.1.0.7/24", gateway="10.1.0.1")
        self.red_too = machine(self.site.red, "10.1.0.8/24", gateway="10.1.0.1")
        self.blue = machine(self.site.blue, "10.2.0.7/24", gateway="10.2.0.1")
        self.world = machine(self.site.outside, "203.0.113.1/24")

    @property
    def namespace(self) -> str:
        return names.router_namespace(self.router.id)

    def state(self, **changed: Any) -> HostState:
        self.router = replace(self.router, **changed)
        return self.site.state(self.router)

    def set_router(self, **changed: Any) -> Outcome:
        return converge(self.state(**changed))

    def float(self, number: int, fixed: str) -> FloatingIp:
        floating = self.site.floating_ip(number, fixed)
        self.set_router(floating_ips=(*self.router.floating_ips, floating))
        return floating


def senders_seen(by: Machine, of: Machine, target: str) -> str:
    """Addresses that one machine sees another's pings come from."""
    capture = by.start("tcpdump", "-n", "-l", "-c", "2", "-i", "eth0", "icmp[icmptype] == icmp-echo")
    assert capture.stdout is not None
    while "listening" not in capture.stdout.readline():
        pass
    ping = of.start("ping", "-n", "-i", "0.2", target)
    try:
        return capture.communicate(timeout=10)[0]
    finally:
        ping.kill()
        ping.communicate()


def test_tenants_reach_the_world_by_the_gateways_address() -> None:
    town = Town()
    assert "IP 203.0.113.10 > 203.0.113.1" in senders_seen(town.world, town.red, "203.0.113.1")


def test_without_snat_tenants_keep_their_addresses() -> None:
    town = Town(enable_snat=False)
    assert "IP 10.1.0.7 > 203.0.113.1" in senders_seen(town.world, town.red, "203.0.113.1")


def test_between_a_routers_networks_nothing_is_translated() -> None:
    town = Town()
    town.float(50, "10.1.0.7")
    assert "IP 10.1.0.7 > 10.2.0.7" in senders_seen(town.blue, town.red, "10.2.0.7")


def test_a_floating_ip_translates_both_ways() -> None:
    town = Town()
    town.float(50, "10.1.0.7")
    assert town.world.reaches("203.0.113.50")
    assert "IP 203.0.113.1 > 10.1.0.7" in senders_seen(town.red, town.world, "203.0.113.50")
    assert "IP 203.0.113.50 > 203.0.113.1" in senders_seen(town.world, town.red, "203.0.113.1")


def test_a_floating_ip_is_reached_from_inside_by_those_with_one_and_those_without() -> None:
    town = Town()
    town.float(50, "10.1.0.7")
    assert town.red_too.reaches("203.0.113.50")
    assert town.blue.reaches("203.0.113.50")
    town.float(51, "10.1.0.8")
    assert town.red_too.reaches("203.0.113.50")
    assert town.red.reaches("203.0.113.50")


def test_who_routes_a_tenants_prefix_to_the_gateway_does_not_get_in_while_snat_is_on() -> None:
    town = Town()
    town.world.ask("ip", "route", "add", "10.1.0.0/24", "via", "203.0.113.10")
    assert not town.world.reaches("10.1.0.7")
    town.set_router(enable_snat=False)
    assert town.world.reaches("10.1.0.7")


def test_a_ping_that_runs_while_the_gateway_is_set_is_answered_from_then_on() -> None:
    town = Town(has_gateway=False)
    with netns.entered(town.namespace):  # connections are tracked already, as they are not in a router without rules
        run(["iptables", "-A", "INPUT", "-m", "conntrack", "--ctstate", "INVALID", "-j", "DROP"])
    ping = town.red.start("ping", "-n", "-i", "0.002", "203.0.113.1")
    try:
        assert not town.red.reaches("203.0.113.1")
        town.set_router(gateway_port_id=town.site.gateway_port.id)
        assert lines(ping, until="bytes from")[-1].startswith("64 bytes from 203.0.113.1")
    finally:
        ping.kill()
        ping.communicate()


def lines(process: "subprocess.Popen[str]", until: str) -> list[str]:
    """Lines of a process until one has a text, or ten seconds are over."""
    seen: list[str] = []
    end = threading.Timer(10, process.kill)
    end.start()
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(line)
        if until in line:
            break
    end.cancel()
    return seen


def test_a_ping_that_runs_untranslated_is_translated_when_snat_is_switched_on() -> None:
    town = Town(enable_snat=False)
    ping = town.red.start("ping", "-n", "-i", "0.002", "203.0.113.1")
    try:
        seen = town.world.ask("tcpdump", "-n", "-c", "3", "-i", "eth0", "src", "host", "10.1.0.7")
        assert "IP 10.1.0.7 > 203.0.113.1" in seen
        town.set_router(enable_snat=True)
        assert lines(ping, until="bytes from")[-1].startswith("64 bytes")
    finally:
        ping.kill()
        ping.communicate()


def test_where_rules_are_refused_no_path_is_laid() -> None:
    town = Town(has_gateway=False)
    wrong = town.site.floating_ip(50, "nonsense")
    outcome = Namespaces().apply(
        difference(town.state(gateway_port_id=town.site.gateway_port.id, floating_ips=(wrong,)))
    )
    assert any("iptables-restore" in why for why in outcome.failed.values())
    with netns.entered(town.namespace):
        tables = netlink.read()
    assert not [route for route in tables.routes if route.destination == "default"]
    assert not [each for each in tables.addresses if each.interface.startswith("qg-")]
    town.set_router(floating_ips=())
    assert town.red.reaches("203.0.113.1")


def test_connections_of_a_floating_ip_end_when_it_is_taken_away() -> None:
    town = Town()
    town.float(50, "10.1.0.7")
    assert town.world.reaches("203.0.113.50")
    town.set_router(floating_ips=())
    with netns.entered(town.namespace):
        assert not [each for each in conntrack.tracked() if each.connection.destination == "203.0.113.50"]
    assert not town.world.reaches("203.0.113.50")


def test_a_floating_ip_that_moves_to_another_instance_takes_its_running_ping_along() -> None:
    town = Town()
    floating = town.float(50, "10.1.0.7")
    ping = town.world.start("ping", "-n", "-i", "0.05", "203.0.113.50")
    try:
        assert lines(ping, until="bytes from")
        town.set_router(floating_ips=(replace(floating, fixed_ip_address="10.1.0.8"),))
        seen = town.red_too.ask("tcpdump", "-n", "-c", "1", "-i", "eth0", "icmp[icmptype] == icmp-echo")
        assert "IP 203.0.113.1 > 10.1.0.8" in seen
    finally:
        ping.kill()
        ping.communicate()


def test_addresses_that_appear_are_announced_and_only_those() -> None:
    town = Town()
    floating = town.site.floating_ip(50, "10.1.0.7")
    outcome = town.set_router(floating_ips=(floating,))
    assert [(each.interface, each.address) for each in outcome.announcements] == [
        (names.router_gateway(town.site.gateway_port.id), "203.0.113.50")
    ]


def test_neighbours_hear_at_once_where_an_address_is_now() -> None:
    town = Town()
    outcome = town.set_router(floating_ips=(town.site.floating_ip(50, "10.1.0.7"),))
    stale = ["ip", "neigh", "replace", "203.0.113.50", "lladdr", "02:00:00:00:00:01", "dev", "eth0", "nud", "stale"]
    town.world.ask(*stale)
    mac = town.site.gateway_port.mac_address

    def has_heard() -> bool:  # a kernel does not change an entry twice within a second (neigh/*/locktime)
        assert announce(outcome.announcements) == []
        return mac in town.world.ask("ip", "neigh", "show", "203.0.113.50")

    wait_until(has_heard, "the world has heard")


def test_what_cannot_be_announced_is_said() -> None:
    gone = Announcement(
        namespace="qrouter-gone", interface="qg-x", mac_address="02:00:00:00:00:01", address="192.0.2.1"
    )
    assert len(announce([gone])) == 1
    town = Town()
    (complaint,) = announce([replace(gone, namespace=town.namespace)])
    assert "192.0.2.1 could not be announced on qg-x" in complaint


def test_who_was_sought_while_no_frame_could_leave_is_sought_again_with_the_announcement() -> None:
    town = Town(has_gateway=False)
    interface = names.router_gateway(town.site.gateway_port.id)
    run(["ip", "link", "set", f"x{interface[1:]}", "nomaster"])  # not wired yet
    outcome = town.set_router(gateway_port_id=town.site.gateway_port.id)
    with netns.entered(town.namespace):
        Path(f"/proc/sys/net/ipv4/neigh/{interface}/retrans_time_ms").write_text("60000")  # the kernel alone: never
    ping = town.red.start("ping", "-n", "-c", "1", "-W", "10", "203.0.113.1")
    with netns.entered(town.namespace):
        wait_until(lambda: netlink.read_unresolved(interface) == ("203.0.113.1",), "a search that fails")
    run(["ip", "link", "set", f"x{interface[1:]}", "master", bridge_of(town.site.outside)])
    assert not announce(outcome.announcements)
    assert "1 received" in ping.communicate(timeout=20)[0]


def test_a_router_that_is_down_or_gone_has_no_namespace() -> None:
    town = Town()
    driver = Namespaces()
    desired = render(town.state(admin_state_up=False))
    outcome = driver.apply(plan(desired, driver.installed({town.namespace, *(key.namespace for key in desired)})))
    assert not outcome.failed
    assert town.namespace not in netns.names()


def test_extra_routes_lead_where_they_say_and_one_that_cannot_is_said() -> None:
    town = Town()
    far = machine(town.site.blue, "10.2.0.9/24", "172.30.0.1/32", gateway="10.2.0.1")
    assert far.reaches("10.2.0.1")
    good = Route(destination="172.30.0.0/24", nexthop="10.2.0.9")
    bad = Route(destination="172.31.0.0/24", nexthop="192.0.2.1")
    town.set_router(routes=(good,))
    assert town.red.reaches("172.30.0.1")
    outcome = Namespaces().apply(difference(town.state(routes=(good, bad))))
    assert [key.name for key in outcome.failed] == ["172.31.0.0/24"]
    assert town.red.reaches("172.30.0.1")


def test_interfaces_that_a_restarted_switch_made_anew_take_the_place_of_the_dead_ones() -> None:
    town = Town()
    interface = names.router_interface(town.site.red_port.id)
    run(["ip", "link", "set", f"x{interface[1:]}", "nomaster"])  # its switch is gone; the interface stays, dead
    run(["ip", "link", "add", interface, "type", "veth", "peer", "name", "anew"])
    run(["ip", "link", "set", "anew", "master", bridge_of(town.site.red), "up"])
    assert difference(town.state())
    converge(town.state())
    assert town.red.reaches("10.2.0.7")


FAULTS = {
    "namespace deleted": "ip netns delete {namespace}",
    "address removed": "ip -n {namespace} address delete 10.1.0.1/24 dev {interface}",
    "address added": "ip -n {namespace} address add 10.1.0.77/24 dev {interface}",
    "link down": "ip -n {namespace} link set {interface} down",
    "MAC changed": "ip -n {namespace} link set {interface} address fa:16:3e:99:99:99",
    "MTU changed": "ip -n {namespace} link set {interface} mtu 1300",
    "ARP off": "ip -n {namespace} link set {interface} arp off",
    "interface put into a bridge": (
        "ip -n {namespace} link add b0 type bridge && ip -n {namespace} link set {interface} master b0"
    ),
    "default route removed": "ip -n {namespace} route delete default",
    "default route replaced": "ip -n {namespace} route replace default via 203.0.113.99",
    "route of a subnet removed": "ip -n {namespace} route delete 10.1.0.0/24",
    "route of a subnet replaced": "ip -n {namespace} route replace 10.1.0.0/24 via 203.0.113.99 metric 0",
    "route to nowhere added": "ip -n {namespace} route add blackhole 10.1.0.0/25",
    "route by the loopback added": "ip -n {namespace} route add 203.0.113.1/32 dev lo",
    "route with a metric added": "ip -n {namespace} route add default via 203.0.113.99 metric 50",
    "route of a subnet added with a metric": "ip -n {namespace} route add 10.1.0.0/24 via 203.0.113.99 metric 50",
    "route for a type of service added": "ip -n {namespace} route add 10.1.0.0/24 tos 0x8 via 203.0.113.99",
    "route with two ways added": "ip -n {namespace} route add 10.1.0.0/26 nexthop dev {interface} nexthop dev lo",
    "route in the table of own addresses added": "ip -n {namespace} route add 203.0.113.1/32 dev lo table local",
    "addresses of others taken for own ones": "ip -n {namespace} route add local 203.0.113.0/30 dev lo",
    "route of an own address removed": "ip -n {namespace} route delete local 10.1.0.1 dev {interface} table local",
    "routing rule added": "ip -n {namespace} rule add pref 100 from 10.1.0.0/24 iif {interface} lookup 7",
    "routing rule added twice": "ip -n {namespace} rule add pref 32766 ipproto icmp lookup main",
    "routing rule to nowhere added": "ip -n {namespace} rule add not fwmark 0x1/0xff blackhole",
    "routing rules flushed": "ip -n {namespace} rule flush",
    "routing rules all deleted": "ip -n {namespace} rule flush && ip -n {namespace} rule delete pref 0",
    "route added": "ip -n {namespace} route add 198.51.100.0/24 via 203.0.113.99",
    "rules flushed": "ip netns exec {namespace} iptables -t nat -F",
    "rule removed": "ip netns exec {namespace} iptables -t nat -D warren-l3-snat 1",
    "rule added": "ip netns exec {namespace} iptables -t nat -I warren-l3-snat -j ACCEPT",
    "rule replaced": "ip netns exec {namespace} iptables -t nat -R warren-l3-snat 1 -j ACCEPT",
    "jump removed": "ip netns exec {namespace} iptables -t nat -D POSTROUTING -j warren-l3-POSTROUTING",
    "jump doubled": "ip netns exec {namespace} iptables -t nat -A POSTROUTING -j warren-l3-POSTROUTING",
    "jump behind another rule": "ip netns exec {namespace} iptables -t nat -I POSTROUTING -j ACCEPT",
    "chain added": "ip netns exec {namespace} iptables -t nat -N warren-l3-more",
    "forwarding off": "ip netns exec {namespace} sysctl -qw net.ipv4.ip_forward=0",
    "forwarding of an interface off": "ip netns exec {namespace} sysctl -qw net.ipv4.conf.{interface}.forwarding=0",
    "rp_filter of an interface on": "ip netns exec {namespace} sysctl -qw net.ipv4.conf.{interface}.rp_filter=1",
    "loopback down": "ip -n {namespace} link set lo down",
    "IPv6 on": "ip netns exec {namespace} sysctl -qw net.ipv6.conf.all.disable_ipv6=0",
}


def routing_of(namespace: str) -> list[str]:
    shown = (["rule"], ["-6", "rule"], ["route"], ["route", "show", "table", "local"])
    return sorted(line for words in shown for line in run(["ip", "-n", namespace, *words]).splitlines())


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_is_changed_by_hand_is_put_back(fault: str) -> None:
    town = Town()
    town.float(50, "10.1.0.8")
    interface = names.router_interface(town.site.red_port.id)
    routes = routing_of(town.namespace)
    for command in FAULTS[fault].format(namespace=town.namespace, interface=interface).split(" && "):
        run(command.split())
    if fault == "namespace deleted":
        wait_until(
            lambda: not any(name.startswith(("xr-", "xg-")) for name in netlink.read_links()), "its interfaces are gone"
        )
        for port in (town.site.blue_port, town.site.red_port):
            plug_in(names.router_interface(port.id), town.site.network_of(port))
        plug_in(names.router_gateway(town.site.gateway_port.id), town.site.outside)
    assert difference(town.state())
    converge(town.state())
    assert routing_of(town.namespace) == routes
    assert "IP 203.0.113.10 > 203.0.113.1" in senders_seen(town.world, town.red, "203.0.113.1")


def test_a_router_that_cannot_be_made_has_no_event_read_the_others() -> None:
    town, stage = Town(), Stage()
    port = town.site.port(town.site.red, 9)
    cannot = replace(town.router, id=RouterId("cannot"), gateway_port_id=None, interface_port_ids=(port.id,))
    state = town.site.state(town.router, cannot, port)

    def settled(*reasons: Reason) -> tuple[int, bool]:
        outcome = stage.run(Pass(state=state, reasons=frozenset(reasons)))
        assert outcome.wrong.keys() == {cannot.key, port.key}
        return outcome.changes, "default" in run(["ip", "-n", town.namespace, "route"])

    settled(AUDIT)
    run(["ip", "-n", town.namespace, "route", "delete", "default"])
    assert settled(Reason(Source.LINKS, names.router_namespace(cannot.id))) == (0, False)
    assert settled(Reason(Source.LINKS, town.namespace)) == (1, True)


def test_rules_and_interfaces_that_are_not_warrens_stay() -> None:
    town = Town()
    with netns.entered(town.namespace):
        run(["iptables", "-t", "nat", "-A", "POSTROUTING", "-s", "192.0.2.0/24", "-j", "ACCEPT"])
        run(["iptables", "-N", "someone-elses"])
        run(["ip", "link", "add", "foreign0", "type", "bridge"])
    assert not difference(town.state())
    town.set_router(enable_snat=False)
    with netns.entered(town.namespace):
        saved = run(["iptables-save"])
        assert "-A POSTROUTING -s 192.0.2.0/24 -j ACCEPT" in saved
        assert ":someone-elses" in saved
        run(["ip", "link", "show", "foreign0"])


def test_a_file_among_the_namespaces_that_is_none_is_replaced() -> None:
    town = Town()
    netns.delete(town.namespace)
    wait_until(lambda: not any(name.startswith(("xr-", "xg-")) for name in netlink.read_links()), "all is gone")
    (netns.DIRECTORY / town.namespace).write_text("")
    for port in (town.site.blue_port, town.site.red_port):
        plug_in(names.router_interface(port.id), town.site.network_of(port))
    plug_in(names.router_gateway(town.site.gateway_port.id), town.site.outside)
    converge(town.state())
    assert town.red.reaches("10.2.0.7")


def test_words_in_foreign_rules_that_are_no_text_harm_nobody() -> None:
    town = Town()
    with netns.entered(town.namespace):
        subprocess.run(
            [b"iptables", b"-A", b"INPUT", b"-m", b"comment", b"--comment", b"caf\xe9 \xff", b"-j", b"ACCEPT"],
            check=True,
        )
    assert not difference(town.state())
