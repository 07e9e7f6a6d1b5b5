import itertools
import uuid
from dataclasses import replace
from typing import Any

import pytest

from warren.agent.drivers import conntrack, netns
from warren.agent.drivers.command import run
from warren.agent.drivers.filters import Filters
from warren.core import names
from warren.core.ids import GroupId
from warren.core.state import Group, GroupRule, HostState, NetworkType, Port
from warren.namespaces import Key, Setting, filters
from warren.namespaces.allowed import Connection
from warren.namespaces.groups import group_chain
from warren.namespaces.members import set_name
from warren.plug import Vif, make
from warren.reconcile.plan import Plan, plan
from warren.testing.segments import Machine, bridge_of, machine
from warren.testing.sites import Site, state_of

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("host")]


def rule(direction: str, **conditions: Any) -> GroupRule:
    return GroupRule(id=str(uuid.uuid4()), direction=direction, **conditions)


def group(*rules: GroupRule, members: tuple[str, ...] = ()) -> Group:
    return Group(id=GroupId(str(uuid.uuid4())), rules=rules, members=members)


ANYTHING_OUT = (rule("egress"), rule("egress", ethertype="IPv6"))


def difference(state: HostState) -> Plan[Key, Setting]:
    installed = Filters().installed()
    return plan(filters(state, installed), installed)


def converge(state: HostState) -> None:
    driver = Filters()
    assert not driver.apply(difference(state))
    assert not difference(state)
    driver.cut(state, driver.installed())


def connections() -> list[Connection]:
    return [each.connection for each in conntrack.tracked()]


class Street:
    """A network with two hybrid-plugged instances, and somebody beyond br-int, whom nothing filters."""

    def __init__(self) -> None:
        site = Site()
        self.network = site.network("10.1.0", NetworkType.VXLAN)
        run(["ip", "link", "add", bridge_of(self.network), "type", "bridge"])
        run(["ip", "link", "set", bridge_of(self.network), "up"])
        self.ports = [site.port(self.network, number) for number in (7, 8)]
        self.first, self.second = (self._instance(port) for port in self.ports)
        self.beyond = machine(self.network, "10.1.0.99/24")

    def _instance(self, port: Port) -> Machine:
        name = f"wt-i-{uuid.uuid4().hex[:8]}"
        netns.create(name)
        make(Vif(port_id=port.id, mac_address=port.mac_address, mtu_bytes=1450, namespace=name))
        run(["ip", "link", "set", names.qvo(port.id), "master", bridge_of(self.network), "up"])
        instance = Machine(namespace=name)
        instance.ask("ip", "address", "add", f"{port.fixed_ips[0].ip_address}/24", "dev", "eth0")
        instance.ask("ip", "link", "set", "eth0", "up")
        return instance

    def set_groups(self, first: tuple[Group, ...], second: tuple[Group, ...] = (), *others: Group) -> HostState:
        ports = [
            replace(port, security_groups=tuple(each.id for each in groups))
            for port, groups in zip(self.ports, (first, second), strict=True)
        ]
        state = state_of(self.network, *ports, *first, *second, *others)
        converge(state)
        return state


def test_nothing_comes_in_unless_a_rule_allows_it() -> None:
    street = Street()
    street.set_groups((group(*ANYTHING_OUT),))
    assert not street.beyond.reaches("10.1.0.7")
    street.set_groups((group(*ANYTHING_OUT, rule("ingress", protocol="icmp")),))
    assert street.beyond.reaches("10.1.0.7")


def test_a_port_without_groups_is_silent_both_ways() -> None:
    street = Street()
    street.set_groups((), (group(*ANYTHING_OUT, rule("ingress")),))
    assert not street.first.reaches("10.1.0.99")
    assert not street.second.reaches("10.1.0.7")


def test_answers_to_what_an_instance_began_come_in() -> None:
    street = Street()
    street.set_groups((group(*ANYTHING_OUT),))
    assert street.first.reaches("10.1.0.99")


def test_an_instance_sends_from_its_own_addresses_only() -> None:
    street = Street()
    street.set_groups((group(*ANYTHING_OUT),))
    street.first.ask("ip", "address", "add", "10.1.0.66/24", "dev", "eth0")
    with netns.entered(street.first.namespace):
        run(["ip", "route", "replace", "10.1.0.99", "dev", "eth0", "src", "10.1.0.66"])
    assert not street.first.reaches("10.1.0.99")


def test_a_remote_group_admits_its_members_and_nobody_else() -> None:
    street = Street()
    friends = group(members=("10.1.0.8",))
    mine = group(*ANYTHING_OUT, rule("ingress", remote_group_id=friends.id))
    others = group(*ANYTHING_OUT)
    street.set_groups((mine,), (others,), friends)
    assert street.second.reaches("10.1.0.7")
    assert not street.beyond.reaches("10.1.0.7")
    street.set_groups((mine,), (others,), replace(friends, members=("10.1.0.99",)))
    assert not street.second.reaches("10.1.0.7")
    assert street.beyond.reaches("10.1.0.7")


def test_a_connection_that_lost_its_rule_is_cut_and_others_go_on() -> None:
    street = Street()
    both = group(*ANYTHING_OUT, rule("ingress", protocol="icmp", remote_ip_prefix="10.1.0.99/32"), rule("ingress"))
    street.set_groups((both,), (group(*ANYTHING_OUT),))
    assert street.beyond.reaches("10.1.0.7")
    assert street.second.reaches("10.1.0.7")
    pings = [each.start("ping", "-n", "-w", "8", "-i", "0.02", "10.1.0.7") for each in (street.beyond, street.second)]
    try:
        street.set_groups((replace(both, rules=both.rules[:3]),), (group(*ANYTHING_OUT),))
        left = {each.source for each in connections() if each.zone and each.destination == "10.1.0.7"}
        assert "10.1.0.99" in left
    finally:
        for ping in pings:
            ping.kill()
            ping.communicate()
    assert not street.second.reaches("10.1.0.7")
    assert street.beyond.reaches("10.1.0.7")


def test_a_change_of_rules_never_loses_a_packet_of_what_stays_allowed() -> None:
    street = Street()
    base = group(*ANYTHING_OUT, rule("ingress", protocol="icmp"))
    street.set_groups((base,))
    ping = street.beyond.start("ping", "-n", "-q", "-i", "0.002", "-c", "800", "-w", "8", "10.1.0.7")
    for number in itertools.count(1):
        street.set_groups((replace(base, rules=(*base.rules, rule("ingress", protocol="tcp", port_range_min=number))),))
        if ping.poll() is not None:
            break
    assert ", 0% packet loss" in ping.communicate()[0]


def test_each_ports_connections_are_tracked_apart() -> None:
    street = Street()
    street.set_groups((group(*ANYTHING_OUT),), (group(*ANYTHING_OUT, rule("ingress")),))
    assert street.first.reaches("10.1.0.8")
    zones = {each.zone for each in connections() if each.destination == "10.1.0.8" and each.zone}
    assert len(zones) == 2


def test_a_port_without_port_security_is_not_filtered() -> None:
    street = Street()
    first = replace(street.ports[0], port_security_enabled=False)
    converge(state_of(street.network, first, street.ports[1]))
    assert street.beyond.reaches("10.1.0.7")
    assert not street.beyond.reaches("10.1.0.8")


def test_a_rule_that_a_host_refuses_closes_its_group_only() -> None:
    street = Street()
    wrong = group(*ANYTHING_OUT, rule("ingress"), rule("ingress", protocol="tcp", port_range_min=99999))
    right = group(*ANYTHING_OUT, rule("ingress"))
    ports = [replace(port, security_groups=(each.id,)) for port, each in zip(street.ports, (wrong, right), strict=True)]
    state = state_of(street.network, *ports, wrong, right)
    failed = Filters().apply(difference(state))
    assert [key.name for key in failed] == [f"filter/{group_chain(wrong.id, 'ingress')}"]
    assert not street.beyond.reaches("10.1.0.7")
    assert street.beyond.reaches("10.1.0.8")
    assert set(difference(state).change) == set(failed)


FAULTS = {
    "rules flushed": "iptables -F",
    "rules flushed for IPv6": "ip6tables -F",
    "zones flushed": "iptables -t raw -F",
    "jump removed": "iptables -D FORWARD -j warren-FORWARD",
    "jump behind another rule": "iptables -I FORWARD -j ACCEPT",
    "rule removed": "iptables -D {into} 1",
    "rule added": "iptables -I {into} -j ACCEPT",
    "rule replaced": "iptables -R {into} 1 -j ACCEPT",
    "chain added": "iptables -N warren-more",
    "member removed": "ipset del {members} 10.1.0.99",
    "member added": "ipset add {members} 192.0.2.0/24",
    "members turned round": "ipset -exist add {members} 10.1.0.99 nomatch; ipset add {members} 192.0.2.0/24 nomatch",
    "set added": "ipset create warren4-more hash:net",
    "bridged frames hidden": "sysctl -qw net.bridge.bridge-nf-call-iptables=0",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_is_changed_by_hand_is_put_back(fault: str) -> None:
    street = Street()
    friends = group(members=("10.1.0.99",))
    mine = group(*ANYTHING_OUT, rule("ingress", remote_group_id=friends.id))
    state = street.set_groups((mine,), (), friends)
    into = f"warren-i{street.ports[0].id[:11]}"
    for command in FAULTS[fault].format(into=into, members=set_name(friends.id, 4)).split(";"):
        run(command.split())
    assert difference(state)
    converge(state)
    assert street.beyond.reaches("10.1.0.7")
    assert not street.second.reaches("10.1.0.7")


def test_what_is_not_warrens_stays_and_all_that_is_goes_with_the_last_port() -> None:
    run(["iptables", "-A", "FORWARD", "-s", "192.0.2.0/24", "-j", "ACCEPT"])
    run(["iptables", "-N", "neutron-filter-top"])
    run(["ipset", "create", "somebodys", "hash:ip"])
    foreign = lines_in_tables()
    street = Street()
    street.set_groups((group(*ANYTHING_OUT, rule("ingress", remote_group_id=GroupId("none"))),))
    assert foreign <= lines_in_tables()
    converge(state_of())
    assert foreign == lines_in_tables()


def lines_in_tables() -> set[str]:
    """What is in the tables and sets, but for what iptables-save says of itself and of built-in chains."""
    texts = [run(program) for program in (["iptables-save"], ["ip6tables-save"], ["ipset", "save"])]
    lines = {line for text in texts for line in text.splitlines()}
    return {line for line in lines if not line.startswith(("#", "*", "COMMIT")) and " ACCEPT [" not in line}


EVERY_KIND = (
    rule("ingress", protocol="tcp", port_range_min=22, port_range_max=22),
    rule("ingress", protocol="tcp", port_range_min=1, port_range_max=65535),
    rule("ingress", protocol="udp", port_range_min=5000, port_range_max=6000, remote_ip_prefix="10.0.0.0/8"),
    rule("ingress", protocol="icmp", port_range_min=8),
    rule("ingress", protocol="icmp", port_range_min=8, port_range_max=0),
    rule("ingress", protocol="icmp", remote_ip_prefix="0.0.0.0/0"),
    rule("ingress", protocol="icmp", ethertype="IPv6", port_range_min=128, port_range_max=0),
    rule("ingress", protocol="icmpv6", ethertype="IPv6", port_range_min=1),
    rule("egress", protocol="tcp", ethertype="IPv6", remote_ip_prefix="2001:db8::1/128", port_range_min=80),
    rule("egress", protocol="udp", ethertype="IPv6", remote_ip_prefix="::/0", port_range_min=80, port_range_max=90),
    rule("egress", protocol="sctp", port_range_min=3868, port_range_max=3868, remote_ip_prefix="192.0.2.1"),
    rule("egress", protocol="dccp", port_range_min=5, port_range_max=9),
    rule("egress", protocol="udplite", port_range_min=5, port_range_max=9),
    rule("egress", protocol="udplite", port_range_min=5, port_range_max=5),
    *(
        rule("egress", protocol=name)
        for name in ("ah", "egp", "esp", "gre", "igmp", "ipip", "ospf", "pgm", "rsvp", "vrrp")
    ),
    *(
        rule("egress", protocol=name, ethertype="IPv6")
        for name in ("ipv6-encap", "ipv6-frag", "ipv6-nonxt", "ipv6-opts")
    ),
    *(rule("egress", protocol=str(number)) for number in (6, 17, 132, 47, 135, 200, 253, 255)),
)


@pytest.mark.parametrize("one", EVERY_KIND, ids=lambda one: f"{one.protocol}-{one.ethertype}-{one.direction}")
def test_every_kind_of_rule_reads_back_as_it_was_written(one: GroupRule) -> None:
    port = replace(Site().red_port, device_owner="compute:nova")
    mine = group(one)
    converge(state_of(replace(port, security_groups=(mine.id,)), mine))
