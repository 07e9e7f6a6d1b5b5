"""What a rule of the API says, as an iptables match and of a connection."""

import uuid
from dataclasses import replace
from typing import Any

import pytest

from warren.core.ids import GroupId, MacAddress
from warren.core.protocols import link_local
from warren.core.state import AddressPair, FixedIp, Group, GroupRule, HostState, Port
from warren.namespaces import zones
from warren.namespaces.allowed import Connection, admits, match, sources
from warren.namespaces.groups import closed, filters, severed
from warren.namespaces.settings import Key, Kind, Setting
from warren.testing.sites import Site, state_of

SITE = Site()
PORT = SITE.port(SITE.red, 7)
SSH_IN = Connection(
    zone=5000, protocol=6, source="192.0.2.1", destination="10.1.0.7", source_port=999, destination_port=22
)


def rule(**conditions: Any) -> GroupRule:
    return GroupRule(**{"id": "r1", "direction": "ingress", **conditions})


def world(*rules: GroupRule, members: tuple[str, ...] = ()) -> tuple[HostState, Port]:
    port = replace(PORT, security_groups=(GroupId("g1"),))
    own = Group(id=GroupId("g1"), rules=rules)
    return state_of(port, own, Group(id=GroupId("friends"), members=members)), port


MATCHES: dict[str, dict[str, Any]] = {
    "": {},
    "-s 10.0.0.0/8": {"remote_ip_prefix": "10.1.2.3/8"},
    "-d 10.0.0.0/8 -p tcp": {"direction": "egress", "remote_ip_prefix": "10.0.0.0/8", "protocol": "TCP"},
    "-p tcp -m tcp --dport 22": {"protocol": "6", "port_range_min": 22, "port_range_max": 22},
    "-p udp -m udp --dport 53:99": {"protocol": "udp", "port_range_min": 53, "port_range_max": 99},
    "-p 33 -m dccp --dport 5": {"protocol": "dccp", "port_range_min": 5},
    "-p udplite -m multiport --dports 5:6": {"protocol": "udplite", "port_range_min": 5, "port_range_max": 6},
    "-p icmp -m icmp --icmp-type 8": {"protocol": "icmp", "port_range_min": 8},
    "-p icmp -m icmp --icmp-type 8/0": {"protocol": "1", "port_range_min": 8, "port_range_max": 0},
    "-p ipv6-icmp": {"protocol": "icmp", "ethertype": "IPv6"},
    "-p ipv6-icmp -m icmp6 --icmpv6-type 128": {"protocol": "icmpv6", "ethertype": "IPv6", "port_range_min": 128},
    "-p 47": {"protocol": "gre"},
}


@pytest.mark.parametrize("text", MATCHES)
def test_a_rule_is_written_as_iptables_prints_it(text: str) -> None:
    assert match(rule(**MATCHES[text]), None) == text


@pytest.mark.parametrize("anything", [None, "any", "0"])
def test_any_protocol_is_no_condition(anything: str | None) -> None:
    assert match(rule(protocol=anything, port_range_min=5), "set") == "-m set --match-set set src"


@pytest.mark.parametrize(
    "conditions",
    [
        {},
        {"protocol": "tcp"},
        {"protocol": "tcp", "port_range_min": 22},
        {"protocol": "tcp", "port_range_min": 1, "port_range_max": 65535},
        {"remote_ip_prefix": "192.0.2.0/24"},
        {"remote_group_id": GroupId("friends")},
    ],
)
def test_a_connection_that_a_rule_covers_goes_on(conditions: dict[str, Any]) -> None:
    state, port = world(rule(**conditions), members=("192.0.2.0/28", "nonsense"))
    assert admits(state, port, SSH_IN)


@pytest.mark.parametrize(
    "conditions",
    [
        {"direction": "egress"},
        {"ethertype": "IPv6"},
        {"protocol": "udp"},
        {"protocol": "tcp", "port_range_min": 23},
        {"remote_ip_prefix": "198.51.100.0/24"},
        {"remote_ip_prefix": "nonsense"},
        {"remote_group_id": GroupId("friends")},
        {"remote_group_id": GroupId("nobody")},
    ],
)
def test_a_connection_that_no_rule_covers_does_not(conditions: dict[str, Any]) -> None:
    state, port = world(rule(**conditions), members=("10.9.9.9",))
    assert not admits(state, port, SSH_IN)


@pytest.mark.parametrize(("kind", "code", "goes_on"), [(8, 0, True), (8, 1, False), (0, 0, False)])
def test_icmp_is_told_apart_by_type_and_code(kind: int, code: int, *, goes_on: bool) -> None:
    state, port = world(rule(protocol="icmp", port_range_min=8, port_range_max=0))
    ping = replace(SSH_IN, protocol=1, source_port=kind, destination_port=code)
    assert admits(state, port, ping) is goes_on


@pytest.mark.parametrize("ports", [(67, 68), (68, 67)])
def test_what_the_link_needs_goes_on_without_a_rule(ports: tuple[int, int]) -> None:
    state, port = world()
    assert admits(state, port, replace(SSH_IN, protocol=17, source_port=ports[0], destination_port=ports[1]))
    assert not admits(state, port, replace(SSH_IN, protocol=17))


def test_what_an_instance_began_is_judged_by_its_egress_rules() -> None:
    state, port = world(rule(direction="egress", protocol="tcp"))
    assert admits(state, port, replace(SSH_IN, source="10.1.0.7", destination="192.0.2.1"))
    assert not admits(state, port, SSH_IN)


def test_a_port_that_may_use_every_address_is_still_known_by_its_own() -> None:
    everything = AddressPair(mac_address=PORT.mac_address, ip_address="0.0.0.0/0")
    state, port = world(rule(direction="egress"))
    port = replace(port, allowed_address_pairs=(everything,))
    assert not admits(state, port, SSH_IN)
    assert admits(state, port, replace(SSH_IN, source="10.1.0.7", destination="192.0.2.1"))
    assert admits(state, port, replace(SSH_IN, source="198.51.100.1", destination="192.0.2.1"))
    assert not admits(state, world()[1], replace(SSH_IN, destination="10.1.0.255"))


def test_only_connections_of_ports_with_security_that_no_rule_covers_are_severed() -> None:
    state, port = world()
    unsecured = replace(SITE.port(SITE.red, 8), port_security_enabled=False)
    state = state_of(*state.objects.values(), unsecured)
    installed = filters(state, {})
    zone = zones.remembered(installed)
    mine, others = zone[f"qbr{port.id[:11]}"], zone[f"qbr{unsecured.id[:11]}"]
    connections = [replace(SSH_IN, zone=each) for each in (mine, others, 0, 7)]
    assert [each.zone for each in severed(state, installed, connections)] == [mine]


def test_a_port_sends_from_its_addresses_pairs_and_link_local_ones() -> None:
    pair = AddressPair(mac_address=MacAddress("fa:16:3e:99:00:01"), ip_address="10.5.0.0/16")
    wrong = FixedIp(subnet_id=PORT.fixed_ips[0].subnet_id, ip_address="nonsense")
    port = replace(PORT, allowed_address_pairs=(pair,), fixed_ips=(*PORT.fixed_ips, wrong))
    assert [(mac, str(prefix)) for mac, prefix in sources(port, 4)] == [
        (port.mac_address, "10.1.0.7/32"),
        (pair.mac_address, "10.5.0.0/16"),
    ]
    assert [str(prefix.network_address) for _, prefix in sources(port, 6)] == [
        str(link_local(port.mac_address)),
        str(link_local(pair.mac_address)),
    ]


def test_a_link_local_address_is_what_a_kernel_would_choose() -> None:
    assert str(link_local(MacAddress("fa:16:3e:00:00:11"))) == "fe80::f816:3eff:fe00:11"


def test_rules_about_nobody_or_nonsense_allow_nothing() -> None:
    wrong = (
        rule(id="1", remote_group_id=GroupId("nobody")),
        rule(id="2", remote_ip_prefix="x"),
        rule(id="3", protocol="x"),
    )
    state, _ = world(*wrong)
    assert filters(state, {})[Key("", Kind.CHAIN, "filter/warren-gig1")] == Setting(value="")


def test_a_set_has_its_members_by_family_and_halves_for_everybody() -> None:
    state, _ = world(
        rule(remote_group_id=GroupId("friends")),
        members=("192.0.2.1", "10.0.0.0/8", "0.0.0.0/0", "2001:db8::1/128", "nonsense"),
    )
    found = filters(state, {})
    assert found[Key("", Kind.SET, "warren4-friends")].value == "inet\n0.0.0.0/1\n10.0.0.0/8\n128.0.0.0/1\n192.0.2.1"
    assert found[Key("", Kind.SET, "warren6-friends")].value == "inet6\n2001:db8::1"


def test_a_host_without_hybrid_ports_has_no_rules() -> None:
    assert filters(SITE.state(), {}) == {}


def test_names_fit_what_the_kernel_takes() -> None:
    port = replace(PORT, security_groups=(GroupId(str(uuid.uuid4())),))
    group = Group(id=port.security_groups[0], rules=(rule(remote_group_id=port.security_groups[0]),))
    for key in filters(state_of(port, group), {}):
        name = key.name.rpartition("/")[2]
        assert len(name) <= {Kind.SET: 31}.get(key.kind, 28) or key.kind is Kind.SYSCTL


def test_what_is_refused_is_closed_only_where_that_protects() -> None:
    assert closed("filter/warren-gi0123") == ""
    assert closed(f"filter/warren-s{PORT.id[:11]}") == "-j DROP"
    assert closed("filter/warren-FORWARD") is None
    assert closed("raw/warren-ct-a") is None
