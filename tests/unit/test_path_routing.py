# ruff: noqa: E501
"""Where a namespace sends packets: rules, tables, the longest prefix; and what it does with those that it keeps."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from warren.core.errors import Invalid
from warren.inspect.path.endpoint import find
from warren.inspect.path.hop import Trace, Verdict
from warren.inspect.path.question import Question, trace, trace_frame
from warren.inspect.path.routing import Routed, first_address, refused_source, route, setting
from warren.inspect.path.topology import Topology
from warren.inspect.path.wire import frame_of_hex
from warren.inspect.snapshot.model import Address, Estate, KernelRoute, Link, Namespace, RoutingRule
from warren.sources.open import read_source

LAST = Path(__file__).parent.parent / "fixtures" / "neutron" / "6c-vm1-vm2-ping"
ROUTER = "qrouter-f5dc5045-9ac5-43b4-87cc-43731da02e9b"
ETH0 = Link(name="eth0", mac="fa:16:3e:00:00:01", is_up=True, addresses=(Address(ip="10.0.0.1", prefix_length=24),))
ETH1 = Link(name="eth1", mac="fa:16:3e:00:00:02", is_up=True)


def namespace(*routes: KernelRoute, rules: tuple[RoutingRule, ...] = ()) -> Namespace:
    return Namespace(name="n", links=(ETH0, ETH1), routes=routes, rules=rules)


NEAR = KernelRoute(destination="10.0.0.0/24", device="eth0")
FAR = KernelRoute(destination="0.0.0.0/0", device="eth1", via="10.0.0.254")


def test_the_longest_prefix_wins_whatever_the_order() -> None:
    for routes in ((NEAR, FAR), (FAR, NEAR)):
        assert route(namespace(*routes), "10.0.0.9").device == "eth0"
        assert route(namespace(*routes), "10.0.1.9").next_hop == "10.0.0.254"


def test_of_equal_prefixes_the_lower_metric_wins() -> None:
    cheap, dear = replace(FAR, metric=10, via="10.0.0.2"), replace(FAR, metric=20, via="10.0.0.3")
    assert route(namespace(dear, cheap), "192.0.2.1").next_hop == "10.0.0.2"


def test_a_route_of_an_interface_that_is_down_does_not_count() -> None:
    down = Namespace(name="n", links=(replace(ETH0, is_up=False), ETH1), routes=(NEAR, FAR))
    assert route(down, "10.0.0.9").device == "eth1"
    assert route(namespace(replace(FAR, is_up=False)), "192.0.2.1").kind == "none"


@pytest.mark.parametrize("kind", ["unreachable", "blackhole", "prohibit"])
def test_a_route_that_refuses_is_its_own_decision(kind: str) -> None:
    refusing = KernelRoute(destination="192.0.2.0/24", type=kind)
    assert route(namespace(refusing, FAR), "192.0.2.1").kind == kind


def test_own_addresses_are_local() -> None:
    assert route(namespace(), "10.0.0.1").kind == "local"
    assert route(namespace(), "127.0.0.53").device == "lo"


def test_routes_to_many_lead_out_by_their_device() -> None:
    for address in ("10.0.0.255", "255.255.255.255", "224.0.0.18"):
        assert (route(namespace(NEAR, FAR), address).kind) == "many"
    listed = KernelRoute(destination="10.9.0.255/32", device="eth0", type="broadcast", table="local")
    assert route(namespace(listed, FAR), "10.9.0.255") == Routed(
        kind="many", device="eth0", next_hop="10.9.0.255", source="10.0.0.1", evidence="10.9.0.255/32 dev eth0"
    )


RULES = (
    RoutingRule(preference=100, source="10.9.0.0/16", table="special"),
    RoutingRule(preference=32766, source="all", table="main"),
)
SPECIAL = KernelRoute(destination="0.0.0.0/0", device="eth1", via="10.0.0.66", table="special")


def test_rules_choose_the_table_by_the_source() -> None:
    ruled = namespace(FAR, SPECIAL, rules=RULES)
    assert route(ruled, "192.0.2.1", "10.9.0.7").next_hop == "10.0.0.66"
    assert route(ruled, "192.0.2.1", "10.8.0.7").next_hop == "10.0.0.254"


def test_a_route_that_throws_goes_on_with_the_next_rule() -> None:
    throws = replace(SPECIAL, type="throw", via="", device="")
    assert route(namespace(FAR, throws, rules=RULES), "192.0.2.1", "10.9.0.7").next_hop == "10.0.0.254"


@pytest.mark.parametrize(
    ("selector", "via"),
    [
        ("iif eth0", "10.0.0.66"),
        ("iif eth1", "10.0.0.254"),
        ("iif lo", "10.0.0.254"),
        ("to 192.0.2.0/24", "10.0.0.66"),
        ("to 192.0.2.2", "10.0.0.254"),
        ("fwmark 0x1", "10.0.0.254"),
        ("fwmark 0x10001", "10.0.0.66"),
        ("fwmark 0x1/0xffff iif eth0", "10.0.0.66"),
        ("fwmark 0x1/0xffff iif eth1", "10.0.0.254"),
    ],
)
def test_rules_choose_the_table_by_the_interface_the_destination_and_the_mark(selector: str, via: str) -> None:
    ruled = namespace(FAR, SPECIAL, rules=(replace(RULES[0], source="all", selector=selector), RULES[1]))
    assert route(ruled, "192.0.2.1", "10.9.0.7", came_by="eth0", mark=0x10001).next_hop == via


def test_rules_are_those_of_the_packets_family() -> None:
    six = replace(FAR, destination="::/0", via="fd00::66", table="special")
    ruled = replace(
        namespace(FAR, six, rules=RULES), rules6=(RoutingRule(preference=9, source="all", table="special"),)
    )
    assert route(ruled, "2001:db8::1", "fd00::1").next_hop == "fd00::66"
    assert route(ruled, "192.0.2.1", "10.8.0.7").next_hop == "10.0.0.254"
    refusing = RoutingRule(preference=5, source="fd00::/16", table="", selector="action prohibit")
    assert route(replace(ruled, rules6=(refusing,)), "2001:db8::1", "fd00::1").undo == "-6 rule del pref 5"


@pytest.mark.parametrize("kind", ["unreachable", "blackhole", "prohibit"])
def test_a_rule_that_refuses_decides_for_those_that_it_is_for(kind: str) -> None:
    refusing = RoutingRule(preference=90, source="10.9.0.0/16", table="", selector=f"action {kind}")
    ruled = namespace(FAR, SPECIAL, rules=(refusing, *RULES))
    assert route(ruled, "192.0.2.1", "10.9.0.7") == Routed(
        kind=kind, evidence=f"rule 90: from 10.9.0.0/16 {kind}", undo="rule del pref 90"
    )
    assert route(ruled, "192.0.2.1", "10.8.0.7").kind == "unicast"


def test_a_rule_that_asks_for_more_is_not_guessed_unless_it_is_for_others_anyway() -> None:
    for selector in ("uidrange 0-99", "fwmark garbage", "not None", "goto 10", "action nop"):
        more = RoutingRule(preference=50, source="all", table="main", selector=selector)
        assert route(namespace(FAR, rules=(more, *RULES)), "192.0.2.1").kind == "unknown"
        for_others = replace(more, source="10.8.0.0/16")
        assert route(namespace(FAR, rules=(for_others, *RULES)), "192.0.2.1", "10.9.0.7").kind == "unicast"


def filtering(**modes: str) -> Namespace:
    sysctls = {f"net.ipv4.conf.{name.replace('_', '/')}.rp_filter": mode for name, mode in modes.items()}
    return replace(namespace(NEAR, FAR), sysctls=sysctls)


@pytest.mark.parametrize(
    ("modes", "device", "source", "is_refused"),
    [
        ({}, "eth1", "10.0.0.9", False),
        ({"eth1": "1", "all": "0"}, "eth1", "10.0.0.9", True),
        ({"eth1": "0", "all": "1"}, "eth1", "10.0.0.9", True),
        ({"eth1": "1", "all": "2"}, "eth1", "10.0.0.9", False),
        ({"default": "1", "eth1": "0"}, "eth1", "10.0.0.9", False),
        ({"default": "1"}, "eth1", "10.0.0.9", True),
        ({"all": "1"}, "eth0", "10.0.0.9", False),
        ({"all": "1"}, "eth1", "192.0.2.1", False),
        ({"all": "1"}, "eth0", "fd00::1", False),
        ({}, "eth1", "10.0.0.1", True),
    ],
)
def test_a_source_must_come_by_the_interface_that_leads_back_to_it_where_this_is_asked(
    modes: dict[str, str], device: str, source: str, *, is_refused: bool
) -> None:
    assert bool(refused_source(filtering(**modes), device, source)) is is_refused


def test_a_source_that_no_route_leads_back_to_is_refused_by_the_loose_filter_as_well() -> None:
    assert refused_source(replace(filtering(all="2"), routes=(NEAR,)), "eth1", "192.0.2.1")


def test_the_setting_of_an_interface_with_a_dot_in_its_name_is_found() -> None:
    assert setting(filtering(eth0_7="2"), "eth0.7", "rp_filter") == 2


def test_a_device_without_an_address_sends_from_none() -> None:
    assert first_address(namespace(), "eth0") == "10.0.0.1"
    assert first_address(namespace(), "eth1") == ""
    assert first_address(namespace(), "absent") == ""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(LAST, tmp_path / "copy"))


def insert(copy: Path, before: str, line: str) -> None:
    path = copy / "network" / f"iptables-save_{ROUTER}"
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, f"{line}\n{before}", 1))


def asked(folder: Path, sender: str, receiver: str, size_bytes: int = 84) -> Trace:
    known = Estate(hosts=read_source(str(folder)))
    topology = Topology(estate=known)
    return trace(known, find(sender, topology), find(receiver, topology), Question(size_bytes=size_bytes))


@pytest.mark.parametrize(
    ("before", "line", "sender", "receiver"),
    [
        ("-A OUTPUT -j neutron-filter-top", "-A OUTPUT -p icmp -j DROP", ROUTER, "192.168.1.139"),
        ("-A INPUT -j neutron-l3-agent-INPUT\n-A FORWARD -j neutron-filter-top", "-A INPUT -p icmp -j DROP", "vm1", "192.168.1.1"),
        ("-A POSTROUTING -j neutron-l3-agent-POSTROUTING", "-A POSTROUTING -p icmp -j DROP", "vm1", "8.8.8.8"),
        ("-A PREROUTING -j neutron-l3-agent-PREROUTING", "-A PREROUTING -p icmp -j REJECT", "vm1", "8.8.8.8"),
    ],
)  # fmt: skip
def test_a_packet_is_stopped_at_every_hook(copy: Path, before: str, line: str, sender: str, receiver: str) -> None:
    insert(copy, before, line)
    found = asked(copy, sender, receiver)
    assert found.verdict is Verdict.DROPPED_RULE
    assert line in found.paths[0].way[-1].evidence


def test_a_packet_too_big_for_the_routers_way_out_is_dropped_there(copy: Path) -> None:
    path = copy / "network" / f"ns_{ROUTER}"
    path.write_text(path.read_text().replace("PROMISC,UP,LOWER_UP> mtu 1500", "PROMISC,UP,LOWER_UP> mtu 1000"))
    found = asked(copy, "vm1", "8.8.8.8", size_bytes=1400)
    assert (found.verdict, found.paths[0].way[-1].host) == (Verdict.DROPPED_TOO_BIG, "network")


def test_a_rule_that_is_not_told_ends_a_trace_as_not_modelled(copy: Path) -> None:
    path = copy / "network" / f"ns_{ROUTER}"
    path.write_text(path.read_text().replace("32766:", "100:\tfrom all ipproto icmp lookup 16\n32766:"))
    assert asked(copy, "vm1", "8.8.8.8").verdict is Verdict.NOT_MODELLED


def test_a_routing_rule_that_refuses_is_the_place_that_is_named(copy: Path) -> None:
    path = copy / "network" / f"ns_{ROUTER}"
    path.write_text(path.read_text().replace("32766:", "100:\tfrom 192.168.1.139 prohibit\n32766:"))
    found = asked(copy, "vm1", "8.8.8.8")
    assert found.verdict is Verdict.DROPPED_NO_ROUTE
    assert found.paths[0].way[-1].place == ROUTER
    assert found.paths[0].because.endswith(": rule 100: from 192.168.1.139 prohibit")
    assert found.paths[0].mend == f"ip -n {ROUTER} rule del pref 100"
    assert asked(copy, "vm2", "8.8.8.8").verdict is Verdict.LEFT


def test_a_packet_whose_life_is_over_is_dropped_by_the_router() -> None:
    known = Estate(hosts=read_source(str(LAST)))
    dying = "fa163e6166cc fa163eba78de 0800 4500001c 00010000 0101 0000 c0a8018b 08080808 0800 f7fd 0001 0001"
    found = trace_frame(known, find("vm1", Topology(estate=known)), frame_of_hex(dying))
    assert found.verdict is Verdict.DROPPED_TTL


def test_what_nobody_can_send_is_refused() -> None:
    known = Estate(hosts=read_source(str(LAST)))
    topology = Topology(estate=known)
    with pytest.raises(Invalid, match="neither"):
        trace(known, find("198.51.100.1", topology), find("198.51.100.2", topology), Question())
    with pytest.raises(Invalid, match="captured host"):
        trace_frame(known, find("198.51.100.1", topology), frame_of_hex("ff" * 6 + "00" * 6 + "0806" + "00" * 28))
    with pytest.raises(Invalid, match="no interface"):
        trace_frame(known, find(ROUTER, topology), frame_of_hex("ff" * 6 + "02" * 6 + "0806" + "00" * 28))


@pytest.mark.parametrize(
    "digits", ["zz", "0x12", "ff" * 12 + "88cc" + "00" * 20, "ff" * 12 + "0806" + "00" * 20, "ff" * 12 + "0800" + "45"]
)
def test_what_is_no_frame_is_refused_in_one_sentence(digits: str) -> None:
    with pytest.raises(Invalid):
        frame_of_hex(digits)
