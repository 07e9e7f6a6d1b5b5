# ruff: noqa: E501
"""Packets through the dumps of a real Neutron: where they go, both ways, and which fault stops them where."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.faults import edit

from warren.core.errors import Conflict, Invalid, NotFound
from warren.inspect.path.endpoint import find
from warren.inspect.path.hop import Trace, Verdict
from warren.inspect.path.question import Question, protocol_number, trace, trace_frame
from warren.inspect.path.topology import Topology
from warren.inspect.path.wire import frame_of_hex
from warren.inspect.snapshot.model import Estate
from warren.inspect.snapshot.names import read_names
from warren.sources.open import read_source

REFERENCE = Path(__file__).parent.parent / "fixtures" / "neutron"
LAST = REFERENCE / "6c-vm1-vm2-ping"
ROUTER = "qrouter-f5dc5045-9ac5-43b4-87cc-43731da02e9b"
OUTSIDE = "203.0.113.1"
FLOATING = "203.0.113.165"


def estate(folder: Path = LAST) -> Estate:
    names = read_names(json.loads((REFERENCE / "api.json").read_text()))
    return Estate(hosts=read_source(str(folder)), names=names)


def asked(known: Estate, sender: str, receiver: str, what: str = "icmp") -> Trace:
    protocol, _, port = what.partition(" ")
    topology = Topology(estate=known)
    question = Question(protocol=protocol_number(protocol), destination_port=int(port or 0))
    return trace(known, find(sender, topology), find(receiver, topology), question)


@pytest.mark.parametrize(
    ("sender", "receiver", "what", "verdicts"),
    [
        ("vm1", "vm2", "icmp", ["DELIVERED"] * 3),
        ("vm2", "vm1", "tcp 22", ["DELIVERED"] * 3),
        ("vm1", "192.168.1.1", "icmp", ["DELIVERED"] * 3),
        ("vm1", "192.168.1.2", "udp 53", ["DELIVERED"] * 3),
        ("vm1", "8.8.8.8", "icmp", ["LEFT", "DELIVERED", "LEFT"]),
        ("vm2", "8.8.8.8", "udp 53", ["LEFT", "DELIVERED", "LEFT"]),
        ("vm2", FLOATING, "icmp", ["DELIVERED"] * 3),
        (OUTSIDE, FLOATING, "tcp 22", ["DELIVERED", "LEFT", "DELIVERED"]),
        (OUTSIDE, FLOATING, "tcp 80", ["DROPPED_FLOW"]),
        ("vm1", "192.168.1.77", "icmp", ["DROPPED_NO_NEIGHBOUR"]),
        (ROUTER, "vm2", "icmp", ["DELIVERED"] * 3),
        ("vm2", "fe80::1", "icmp", ["ERROR"]),
    ],
)
def test_packets_go_where_they_went_in_reality(sender: str, receiver: str, what: str, verdicts: list[str]) -> None:
    known = estate()
    if verdicts == ["ERROR"]:
        with pytest.raises(Invalid, match="IPv6"):
            asked(known, sender, receiver, what)
    else:
        assert [path.verdict.name for path in asked(known, sender, receiver, what).paths] == verdicts


def test_the_way_names_the_tunnel_and_the_interfaces_in_order() -> None:
    path = asked(estate(), "vm1", "vm2").paths[0]
    assert path.interfaces == (
        ("compute1", "eth0"),
        ("compute1", "tapa73ec503-6b"),
        ("compute2", "tap29dd27ad-7a"),
        ("compute2", "eth0"),
    )
    assert any(hop.what == "vxlan 5872 from 10.21.0.11 to 10.21.0.12" for hop in path.way)
    tables = [hop.place for hop in path.way if hop.place.startswith("br-tun table")]
    assert tables == [f"br-tun table {n}" for n in (0, 2, 20, 0, 4, 10)]


def test_every_rule_of_address_translation_is_a_hop() -> None:
    there, back, _ = asked(estate(), "vm2", "8.8.8.8").paths
    snat = [hop for hop in there.way if hop.what == "SNAT: source becomes 203.0.113.179"]
    assert [hop.evidence.split(" -j ")[0] for hop in snat] == ["-A neutron-l3-agent-snat -o qg-fe0d8111-a0"]
    assert any(hop.what.startswith("destination 203.0.113.179 becomes 192.168.1.24") for hop in back.way)


def test_what_the_first_packet_teaches_the_second_one_uses() -> None:
    """vm2 never spoke with the router: its first ARP is flooded, the answer is learned, and nothing is flooded again."""
    paths = asked(estate(), "vm2", "192.168.1.1").paths
    assert [len(path.learned) for path in paths] == [1, 0, 0]
    assert "dl_dst=fa:16:3e:61:66:cc" in paths[0].learned[0]


def test_the_second_packet_of_a_connection_meets_other_flows_than_the_first() -> None:
    first, _, second = asked(estate(), "vm1", "vm2").paths
    assert any("+new-est" in hop.evidence for hop in first.way)
    assert any("+est-rel-rpl" in hop.evidence for hop in second.way)


def without_instances(folder: Path) -> None:
    """As on a real hypervisor: what is inside an instance is not captured."""
    for path in [*folder.glob("*/ns_vm*"), *folder.glob("*/ip_netns")]:
        path.unlink()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(LAST, tmp_path / "copy"))


@pytest.mark.parametrize(
    ("sender", "receiver", "verdicts"),
    [
        ("vm1", "vm2", ["DELIVERED"] * 3),
        ("vm1", "8.8.8.8", ["LEFT", "DELIVERED", "LEFT"]),
        (OUTSIDE, FLOATING, ["DELIVERED", "LEFT", "DELIVERED"]),
    ],
)
def test_instances_need_not_be_seen_inside(copy: Path, sender: str, receiver: str, verdicts: list[str]) -> None:
    without_instances(copy)
    paths = asked(estate(copy), sender, receiver).paths
    assert [path.verdict.name for path in paths] == verdicts


VM2 = "fa:16:3e:df:c9:3b"
FAULTS = {
    "an entry of table 20 that points at another host": (
        edit("compute1/dump-flows_br-tun", rf"(dl_dst={VM2} actions=.*),output:2$", r"\1,output:3"),
        "vm2", ("compute1", "br-tun table 20", Verdict.DROPPED_ELSEWHERE),
    ),
    "no flow for the network's key at the other host": (
        edit("compute2/dump-flows_br-tun", r"^.*table=4,.*tun_id=0x16f0.*\n", ""),
        "vm2", ("compute2", "br-tun table 4", Verdict.DROPPED_FLOW),
    ),
    "a wrong key": (
        edit("compute1/dump-flows_br-tun", rf"(dl_dst={VM2} actions=.*)load:0x16f0", r"\1load:0x16f1"),
        "vm2", ("compute2", "br-tun table 4", Verdict.DROPPED_FLOW),
    ),
    "a tunnel port that the other host does not listen to": (
        edit("compute2/dump-flows_br-tun", r"^.*table=0,.*in_port=2 .*\n", ""),
        "vm2", ("compute2", "br-tun table 0", Verdict.DROPPED_FLOW),
    ),
    "no security group rule": (
        edit("compute2/dump-flows_br-int", r"^.*table=82,.*(icmp,reg5|,1/2\)|,2/2\)).*\n", ""),
        "vm2", ("compute2", "br-int table 93", Verdict.DROPPED_FLOW),
    ),
    "spoofing": (
        edit("compute1/dump-flows_br-int", r"(table=71,.*,ip,.*nw_src=)192\.168\.1\.139", r"\g<1>192.168.1.140"),
        "vm2", ("compute1", "br-int table 93", Verdict.DROPPED_FLOW),
    ),
    "a patch that leads nowhere": (
        edit("compute1/ovs-vsctl_list_interface", r"peer=patch-tun", "peer=nothing"),
        "vm2", ("compute1", "br-int", Verdict.DROPPED_NO_PORT),
    ),
    "the router's interface down": (
        edit(f"network/ns_{ROUTER}", r"(qr-c6da0ed5-a3: <.*),UP,LOWER_UP", r"\1"),
        "8.8.8.8", ("network", f"qr-c6da0ed5-a3 in {ROUTER}", Verdict.DROPPED_DOWN),
    ),
    "a router without its default route": (
        edit(f"network/ns_{ROUTER}", r"^default via.*\n", ""),
        "8.8.8.8", ("network", ROUTER, Verdict.DROPPED_NO_ROUTE),
    ),
    "a router that does not forward": (
        edit(f"network/sysctl_{ROUTER}", r"(net.ipv4.ip_forward = )1", r"\g<1>0"),
        "8.8.8.8", ("network", ROUTER, Verdict.DROPPED_NOT_FORWARDED),
    ),
    "a rule that drops": (
        edit(f"network/iptables-save_{ROUTER}", r"^-A neutron-l3-agent-FORWARD.*$", r"-A neutron-l3-agent-FORWARD -p icmp -j DROP\n\g<0>"),
        "8.8.8.8", ("network", f"{ROUTER} filter neutron-l3-agent-FORWARD", Verdict.DROPPED_RULE),
    ),
    "a rule that is not modelled": (
        edit(f"network/iptables-save_{ROUTER}", r"^-A neutron-l3-agent-FORWARD.*$", r"-A neutron-l3-agent-FORWARD -m bpf --bytecode 1 -j DROP\n\g<0>"),
        "8.8.8.8", ("network", f"{ROUTER} filter neutron-l3-agent-FORWARD", Verdict.NOT_MODELLED),
    ),
    "an action that is not modelled": (
        edit("compute1/dump-flows_br-int", r"(table=94,.*actions=)NORMAL", r"\1group:7"),
        "vm2", ("compute1", "br-int table 94", Verdict.NOT_MODELLED),
    ),
    "a host that was not captured": (
        lambda folder: shutil.rmtree(folder / "compute2"),
        "192.168.1.24", ("compute1", "vxlan-0a15000c", Verdict.NOT_CAPTURED),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_place_that_is_named_is_the_place_that_was_broken(fault: str, copy: Path) -> None:
    plant, receiver, (host, place, verdict) = FAULTS[fault]
    plant(copy)
    path = asked(estate(copy), "vm1", receiver).paths[0]
    last = path.way[-1]
    assert (last.host, last.place, path.verdict) == (host, place, verdict), [
        f"{h.host} {h.place}: {h.what}" for h in path.way
    ]


def test_a_flood_that_misses_the_host_is_named_where_it_misses_it(copy: Path) -> None:
    for plant in (
        edit("compute1/dump-flows_br-tun", rf"^.*table=20,.*{VM2}.*\n", ""),
        edit("compute1/dump-flows_br-tun", r"output:2,output:3$", "output:3"),
    ):
        plant(copy)
    path = asked(estate(copy), "vm1", "vm2").paths[0]
    assert (path.way[-1].host, path.way[-1].place) == ("compute1", "br-tun table 22")
    assert "output:3" in path.way[-1].evidence


def test_a_packet_larger_than_the_underlay_takes_is_dropped_at_the_tunnel(copy: Path) -> None:
    edit("compute1/ip_addr_host", r"(br-phy: <.*> mtu )1500", r"\g<1>1400")(copy)
    known = estate(copy)
    topology = Topology(estate=known)
    found = trace(known, find("vm1", topology), find("vm2", topology), Question(size_bytes=1400))
    assert found.verdict is Verdict.DROPPED_TOO_BIG


def test_names_that_mean_nothing_or_too_much_are_refused() -> None:
    known = estate()
    with pytest.raises(NotFound, match="vm1"):
        asked(known, "vm9", "vm2")
    with pytest.raises(Invalid, match="no protocol"):
        asked(known, "vm1", "vm2", "tcpp 22")


def test_a_packet_that_somebody_else_takes_is_not_delivered(copy: Path) -> None:
    """The DHCP server's namespace has vm2's address too, and vm1 was told its MAC address."""
    edit("compute1/ns_vm1", r"^(192\.168\.1\.24 dev eth0 lladdr )\S+", r"\g<1>fa:16:3e:40:4a:b2")(copy)
    edit(
        "network/ns_qdhcp-610c7e1c-a6a8-4e54-8632-a9cce9639fa0", r"^( +inet )192\.168\.1\.2/24", r"\g<1>192.168.1.24/24"
    )(copy)
    found = asked(estate(copy), "vm1", "vm2")
    assert found.verdict is Verdict.MISDELIVERED
    assert found.paths[0].way[-1].host == "network"


def test_a_floating_ip_that_no_router_has_is_not_outside(copy: Path) -> None:
    edit(f"network/ns_{ROUTER}", r"^ +inet 203\.0\.113\.165/32.*\n", "")(copy)
    edit(f"network/iptables-save_{ROUTER}", r"^-A \S+ -d 203\.0\.113\.165/32.*\n", "")(copy)
    assert not asked(estate(copy), "vm2", FLOATING).verdict.is_success


def test_an_interface_that_answers_for_others_leads_to_a_floating_ip_that_nobody_holds(copy: Path) -> None:
    """As a distributed router's: the address is on no interface, but routed to where it is translated."""
    edit(f"network/ns_{ROUTER}", r"^ +inet 203\.0\.113\.165/32.*\n", "")(copy)
    unheard = asked(estate(copy), OUTSIDE, FLOATING, "tcp 22").paths[0]
    assert unheard.verdict is Verdict.DROPPED_NO_NEIGHBOUR
    edit(f"network/ns_{ROUTER}", r"^# ip route$", r"\g<0>\n203.0.113.165 dev qr-c6da0ed5-a3")(copy)
    edit(f"network/sysctl_{ROUTER}", r"\Z", "net.ipv4.conf.qg-fe0d8111-a0.proxy_arp = 1\n")(copy)
    assert asked(estate(copy), OUTSIDE, FLOATING, "tcp 22").paths[0].verdict is Verdict.DELIVERED


def test_a_packet_that_leaves_though_its_destination_is_inside_is_lost_where_it_was_routed(copy: Path) -> None:
    edit(f"network/ns_{ROUTER}", r"^# ip route$", r"\g<0>\n192.168.1.24 via 203.0.113.1 dev qg-fe0d8111-a0")(copy)
    (path,) = asked(estate(copy), ROUTER, "vm2").paths
    last = path.way[-1]
    assert (last.host, last.place, path.verdict) == ("network", ROUTER, Verdict.DROPPED_ELSEWHERE)
    assert (
        path.mend
        == "an interface of the router on the network of 192.168.1.24, which is on compute2; or see which route leads out"
    )


def test_a_packet_for_a_host_outside_that_was_captured_but_not_met_is_not_known_to_arrive(copy: Path) -> None:
    """Its address is on the network outside; who is between was not captured."""
    edit(
        "compute2/ip_addr_host",
        r"^2: ",
        "9: eth9: <UP,LOWER_UP> mtu 1500\n    inet 198.51.100.7/24 scope global eth9\n2: ",
    )(copy)
    (path,) = asked(estate(copy), "vm1", "198.51.100.7").paths
    assert (path.way[-1].host, path.way[-1].place, path.verdict) == ("network", "eth2", Verdict.NOT_CAPTURED)


def test_one_name_of_two_things_is_refused(copy: Path) -> None:
    shutil.copy(copy / "compute1" / "ns_vm1", copy / "compute2" / "ns_other")
    edit("compute2/ns_other", r"fa:16:3e:ba:78:de", "fa:16:3e:ba:78:df")(copy)
    with pytest.raises(Conflict, match=r"compute1/vm1, compute2/other; name one so"):
        asked(estate(copy), "192.168.1.139", "vm2")
    assert asked(estate(copy), "compute1/192.168.1.139", "vm2").verdict is Verdict.DELIVERED
    with pytest.raises(NotFound, match="nothing captured of compute2 is called vm1"):
        asked(estate(copy), "compute2/vm1", "vm2")


ECHO = "fa163edfc93b fa163eba78de 0800 4500001c 00010000 4001 f6f7 c0a8018b c0a80118 0800 f7fd 0001 0001"


def test_a_raw_frame_is_followed_as_it_is() -> None:
    known = estate()
    found = trace_frame(known, find("vm1", Topology(estate=known)), frame_of_hex(ECHO))
    assert found.verdict is Verdict.DELIVERED
    assert found.paths[0].way[-1].host == "compute2"


def test_a_frame_with_a_forged_address_is_dropped_where_it_comes_in() -> None:
    known = estate()
    forged = frame_of_hex(ECHO.replace("c0a8018b", "c0a80163"))
    path = trace_frame(known, find("vm1", Topology(estate=known)), forged).paths[0]
    assert (path.way[-1].host, path.way[-1].place) == ("compute1", "br-int table 93")


def test_a_frame_that_is_cut_off_is_refused() -> None:
    with pytest.raises(Invalid, match="cut off"):
        frame_of_hex(ECHO[:40])


def run(*arguments: str, folder: Path = LAST) -> subprocess.CompletedProcess[str]:
    words = [
        sys.executable,
        "-m",
        "warren",
        "trace",
        *arguments,
        "--source",
        str(folder),
        "--names",
        str(REFERENCE / "api.json"),
    ]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def test_the_exit_status_tells_delivered_from_dropped_from_not_modelled(copy: Path) -> None:
    assert run("vm1", "vm2").returncode == 0
    dropped = run(OUTSIDE, FLOATING, "--proto", "tcp", "--dport", "80")
    assert dropped.returncode == 1
    assert "allows ingress tcp port 80 from 203.0.113.1" in dropped.stdout
    assert run("vm1", "nobody").returncode == 2
    assert "has no ports" in run("vm1", "vm2", "--dport", "22").stderr
    assert "--proto udp --dport" in run("vm1", "vm2", "--proto", "udp").stderr
    FAULTS["a rule that is not modelled"][0](copy)
    assert run("vm1", "8.8.8.8", folder=copy).returncode == 3


def test_what_of_the_way_could_not_be_read_is_said(copy: Path) -> None:
    edit("compute1/dump-flows_br-tun", r"\Z", "rubbish\n")(copy)
    edit("network/ovs-vsctl_list_port", r"\Z", "rubbish\n")(copy)
    found = run("vm1", "vm2", folder=copy)
    assert found.returncode == 0
    assert "not read: compute1/dump-flows_br-tun:" in found.stderr
    assert "not read: network/ovs-vsctl_list_port:" in found.stderr
    assert len(json.loads(run("vm1", "vm2", "--json", folder=copy).stdout)["problems"]) == 2


def test_what_happens_stands_in_one_column_however_long_a_place_is() -> None:
    way = json.loads(run(OUTSIDE, FLOATING, "--proto", "tcp", "--dport", "22", "--json").stdout)["paths"][0]["hops"]
    printed = run(OUTSIDE, FLOATING, "--proto", "tcp", "--dport", "22").stdout.partition("\n\n")[0].splitlines()
    hops = [line for line in printed if line.startswith("    ")]
    columns = {line.rindex(hop["what"]) for hop in way for line in hops if f"  {hop['what']}" in line}
    assert len(columns) == 1
    names = [hop["place"].split()[0] for hop in way if hop["place"].startswith("qrouter-")]
    assert len(names) > 9
    assert sum(names[0] in line for line in hops) == 1


def test_actions_are_told_as_the_dump_has_them() -> None:
    way = json.loads(run("vm1", "vm2", "--json").stdout)["paths"][0]["hops"]
    (sent,) = (hop["what"] for hop in way if hop["place"] == "br-tun table 20")
    assert sent == "load:0->NXM_OF_VLAN_TCI[]; load:0x16f0->NXM_NX_TUN_ID[]; output:2"


def test_json_has_every_hop() -> None:
    found = json.loads(run("vm1", "vm2", "--json").stdout)
    assert found["verdict"] == "delivered"
    assert len(found["paths"]) == 3
    assert found["paths"][0]["interfaces"][0] == {"host": "compute1", "interface": "eth0"}
