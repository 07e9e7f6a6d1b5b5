# ruff: noqa: E501
"""Packets through a captured lab of Warren: hybrid plug with security groups in iptables, l2pop, an outside world."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.faults import edit

from warren.cli.trace import Shown, as_object, lines
from warren.inspect.path.endpoint import find
from warren.inspect.path.hop import Path as Way
from warren.inspect.path.hop import Trace, Verdict
from warren.inspect.path.question import Question, protocol_number, trace, trace_frame
from warren.inspect.path.told import Teller
from warren.inspect.path.topology import Topology
from warren.inspect.path.wire import frame_of_bytes
from warren.inspect.snapshot.model import Estate
from warren.inspect.snapshot.names import read_names
from warren.inspect.verify.verify import verify
from warren.sources.intent import intents
from warren.sources.open import read_source

LAB = Path(__file__).parent.parent / "fixtures" / "warren-l2pop-hybrid"
WORLD, FLOATING = "203.0.113.1", "203.0.113.101"


def estate(folder: Path = LAB) -> Estate:
    return Estate(hosts=read_source(str(folder)), names=read_names(json.loads((LAB / "api.json").read_text())))


def asked(known: Estate, sender: str, receiver: str, what: str = "icmp", size_bytes: int = 84) -> Trace:
    protocol, _, port = what.partition(" ")
    topology = Topology(estate=known)
    question = Question(protocol=protocol_number(protocol), destination_port=int(port or 0), size_bytes=size_bytes)
    return trace(known, find(sender, topology), find(receiver, topology), question)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(LAB, tmp_path / "copy", ignore=shutil.ignore_patterns("api.json")))


def test_the_healthy_lab_has_no_fault_against_its_names_and_its_intent() -> None:
    known = estate()
    wanted, problems = intents(known)
    assert set(wanted) == {"network", "compute1", "compute2"}
    report = verify(known, wanted)
    assert (report.findings, report.problems, problems) == ((), (), ())


INTENT_FAULTS: dict[str, tuple[str, str, str, str, str]] = {
    "a rule of a group": ("compute1/iptables-save_host", r"^-A warren-gi.* --dport 22 .*\n", "", "changed-setting", "group/"),
    "a port's whole chain": ("compute1/iptables-save_host", r"^[:-].*warren-i[0-9a-f-]{11}.*\n", "", "missing-setting", "port/"),
    "a member of a set": ("compute1/ipset-save_host", r"^add warren4-\S+ 192.168.5.4\n", "", "changed-setting", "group/"),
    "a rule that nobody asked for": ("compute1/iptables-save_host", r"^:warren-sg-fallback.*$", r"\g<0>\n:warren-zz - [0:0]", "unasked-setting", "the host"),
    "the router's SNAT": ("network/iptables-save_qrouter-15bec78a-18f0-4140-a72c-1fbcc94b7233", r"^-A warren-l3-snat .*SNAT.*\n", "", "changed-setting", "router/"),
    "the router's default route": ("network/ip_route_qrouter-15bec78a-18f0-4140-a72c-1fbcc94b7233", r'"dst":"default"', '"dst":"10.66.0.0/16"', "missing-setting", "router/"),
    "an address of the router": ("network/ip_addr_qrouter-15bec78a-18f0-4140-a72c-1fbcc94b7233", r"203\.0\.113\.101", "203.0.113.77", "missing-setting", "qrouter-"),
    "forwarding": ("network/sysctl_qrouter-15bec78a-18f0-4140-a72c-1fbcc94b7233", r"ip_forward = 1", "ip_forward = 0", "changed-setting", "router/"),
}  # fmt: skip


@pytest.mark.parametrize("fault", INTENT_FAULTS)
def test_what_intent_asks_for_and_is_not_there_is_found_under_its_owner(copy: Path, fault: str) -> None:
    file, pattern, replacement, kind, owner = INTENT_FAULTS[fault]
    edit(file, pattern, replacement)(copy)
    known = estate(copy)
    wanted, _ = intents(known)
    found = [finding for finding in verify(known, wanted).findings if finding.kind == kind]
    assert [finding for finding in found if owner in finding.object], verify(known, wanted).findings


@pytest.mark.parametrize(
    ("host", "pattern", "damage"), [("network", '"203.0.113.1"', '"3.1"'), ("compute1", "192.168.5.3", "192.x68.5.3")]
)
def test_a_desired_state_that_is_damaged_is_a_problem_of_its_file(
    copy: Path, host: str, pattern: str, damage: str
) -> None:
    edit(f"{host}/warren_state.json", re.escape(pattern), damage)(copy)
    known = estate(copy)
    problems = [str(problem) for problem in verify(known, intents(known)[0]).problems]
    assert [each for each in problems if each.startswith(f"{host}/warren_state.json:1:1: cannot be rendered: ")]


def test_a_namespace_that_is_gone_is_missed_with_all_that_it_had(copy: Path) -> None:
    for path in (copy / "network").iterdir():
        if "qrouter-" in path.name:
            path.unlink()
    edit("network/ip_netns", r"^qrouter-.*\n", "")(copy)
    known = estate(copy)
    found = [f for f in verify(known, intents(known)[0]).findings if f.kind == "missing-setting"]
    assert any("qrouter-" in finding.object and len(finding.evidence) > 5 for finding in found)


PAIRS = [
    ("vm1", "vm2", "icmp", "DELIVERED"),
    ("vm1", "vm3", "icmp", "DELIVERED"),
    ("vm1", "vm2", "tcp 80", "DELIVERED"),
    ("b1", "b2", "icmp", "DELIVERED"),
    ("vm1", "192.168.5.1", "icmp", "DELIVERED"),
    ("vm2", WORLD, "icmp", "DELIVERED"),
    ("world", FLOATING, "tcp 22", "DELIVERED"),
    ("world", FLOATING, "tcp 80", "DROPPED_RULE"),
    ("vm2", FLOATING, "icmp", "DELIVERED"),
    ("b1", "192.168.5.3", "icmp", "DROPPED_NO_NEIGHBOUR"),
    ("vm1", "192.168.6.3", "icmp", "DROPPED_ELSEWHERE"),
    ("vm1", "198.51.100.9", "icmp", "DROPPED_NOT_FORWARDED"),
]


@pytest.mark.parametrize(("sender", "receiver", "what", "verdict"), PAIRS)
def test_packets_go_where_they_went_in_the_lab(sender: str, receiver: str, what: str, verdict: str) -> None:
    assert asked(estate(), sender, receiver, what).verdict.name == verdict


def without_insides(folder: Path) -> None:
    """As with real guests: what is inside an instance is not captured, and its tap has no other end."""
    for host in ("compute1", "compute2"):
        for path in (folder / host).iterdir():
            if re.search(r"_(vm|b)\d$", path.name) or path.name == "ip_netns":
                path.unlink()
        links = json.loads((folder / host / "ip_addr_host").read_text())
        for link in links:
            if str(link.get("ifname", "")).startswith("tap"):
                for key in ("link_netnsid", "link_index", "link_netns"):
                    link.pop(key, None)
        (folder / host / "ip_addr_host").write_text(json.dumps(links))


@pytest.mark.parametrize(
    ("sender", "receiver", "what", "verdict"), [pair for pair in PAIRS if pair[0] != "b1" or pair[1] == "b2"]
)
def test_guests_that_cannot_be_looked_into_make_no_difference(
    copy: Path, sender: str, receiver: str, what: str, verdict: str
) -> None:
    without_insides(copy)
    assert asked(estate(copy), sender, receiver, what).verdict.name == verdict


def test_a_guest_without_a_router_or_dhcp_in_the_capture_cannot_be_followed(copy: Path) -> None:
    without_insides(copy)
    shutil.rmtree(copy / "network")
    assert asked(estate(copy), "vm1", "198.51.100.9").verdict is Verdict.NOT_CAPTURED


def test_the_chain_of_the_port_and_the_set_of_its_group_decide() -> None:
    path = asked(estate(), "world", FLOATING, "tcp 80").paths[0]
    assert path.way[-1].host == "compute1"
    assert path.way[-1].place.startswith("qbr")
    assert path.way[-1].object == "no rule allows it"
    assert "ingress tcp port 80 from 203.0.113.1" in path.mend


def test_hops_name_the_objects_that_asked_for_the_flows() -> None:
    path = asked(estate(), "vm1", "vm2").paths[0]
    owners = {hop.object for hop in path.way}
    assert {
        "admission of port 'vm1'",
        "forwarding of port 'vm2'",
        "neighbour of port 'vm2'",
        "segment of network 'red'",
        "the bridge itself",
    } <= owners


def test_the_answer_is_let_in_because_the_question_was_asked() -> None:
    """An answer of the outside world passes a group that lets nothing in, by conntrack's word."""
    back = asked(estate(), "vm2", WORLD, "udp 53").paths[1]
    assert back.verdict is Verdict.DELIVERED
    assert any("RELATED,ESTABLISHED" in hop.evidence for hop in back.way)


def link(host: str, prefix: str, **values: object) -> Callable[[Path], None]:
    """Change the interfaces whose names begin so."""

    def plant(folder: Path) -> None:
        path = folder / host / "ip_addr_host"
        links = json.loads(path.read_text())
        found = [each for each in links if str(each.get("ifname", "")).startswith(prefix)]
        assert found
        for each in found:
            each.update(values)
        path.write_text(json.dumps(links))

    return plant


DOWN = {"flags": ["BROADCAST"]}
TO_COMPUTE1, TO_COMPUTE2 = r'\["remote_ip","10.9.0.2"\]', r'\["remote_ip","10.9.0.3"\]'
FAULTS: dict[str, tuple[Callable[[Path], None], str, tuple[str, str, Verdict]]] = {
    "the tap is down": (link("compute1", "tap", **DOWN), "vm2", ("compute1", "tap", Verdict.DROPPED_DOWN)),
    "the qvb is down": (link("compute1", "qvb", **DOWN), "vm2", ("compute1", "qvb", Verdict.DROPPED_DOWN)),
    "the far tap is down": (link("compute2", "tap", **DOWN), "vm2", ("compute2", "tap", Verdict.DROPPED_DOWN)),
    "the far qvo is down": (link("compute2", "qvo", **DOWN), "vm2", ("compute2", "qvo", Verdict.DROPPED_DOWN)),
    "the Linux bridge is down": (link("compute1", "qbr", **DOWN), "vm2", ("compute1", "qbr", Verdict.DROPPED_DOWN)),
    "the tunnel's near end sends one key": (
        edit("compute1/ovs-vsctl_list_interface", r'"out_key","flow"', '"out_key","77"'), "vm2", ("compute2", "br-tun table 4", Verdict.DROPPED_FLOW),
    ),
    "the tunnel's far end takes one key": (
        edit("compute2/ovs-vsctl_list_interface", r'"in_key","flow"', '"in_key","77"'), "vm2", ("compute2", "vxlan-", Verdict.DROPPED_NO_TUNNEL),
    ),
    "the near end of the tunnel has another UDP port": (
        edit("compute1/ovs-vsctl_list_interface", TO_COMPUTE2, r'\g<0>,["dst_port","8472"]'), "vm2", ("compute1", "vxlan-", Verdict.DROPPED_NO_TUNNEL),
    ),
    "the far end of the tunnel has another UDP port": (
        edit("compute2/ovs-vsctl_list_interface", TO_COMPUTE1, r'\g<0>,["dst_port","8472"]'), "vm2", ("compute2", "vxlan-", Verdict.DROPPED_NO_TUNNEL),
    ),
    "a flood to a host without the tunnel back": (
        lambda folder: (
            edit("compute1/dump-flows_br-tun", r"^.*table=20,.*priority=2,.*\n", "")(folder),
            edit("compute2/ovs-vsctl_list_interface", r'"remote_ip","10.9.0.2"', '"remote_ip","10.9.0.99"')(folder),
        )[0], "vm2", ("compute1", "vxlan-", Verdict.DROPPED_NO_TUNNEL),
    ),
    "the sender's port is told not to receive": (
        edit("compute1/ofctl_show_br-int", r"(\(qvo.*\n +config: +)0", r"\1NO_RECV"), "vm2", ("compute1", "br-int", Verdict.DROPPED_PORT_CONFIG),
    ),
    "the receiver's port is told not to forward": (
        edit("compute2/ofctl_show_br-int", r"(\(qvo.*\n +config: +)0", r"\1NO_FLOOD NO_FWD"), "vm2", ("compute2", "br-int", Verdict.DROPPED_PORT_CONFIG),
    ),
    "the cable to the Linux bridge is cut": (
        link("compute1", "qvb", master=""), "vm2", ("compute1", "qbr", Verdict.DROPPED_NO_PORT),
    ),
    "the far cable is on no Linux bridge": (
        link("compute2", "qvb", master=""), "vm2", ("compute2", "qvb", Verdict.DROPPED_NO_PORT),
    ),
    "the tap is on no Linux bridge": (link("compute1", "tap", master=""), "vm2", ("compute1", "tap", Verdict.DROPPED_NO_PORT)),
    "the sender's address is not its own": (
        edit("compute1/dump-flows_br-int", r"^.*table=25,.*priority=2,.*\n", ""), "vm2", ("compute1", "br-int table 25", Verdict.DROPPED_FLOW),
    ),
    "the neighbour's entry sends elsewhere": (
        edit("compute1/dump-flows_br-tun", r"(table=20,.*priority=2,.*)output:(\d+)$", r"\1output:99"), "vm2", ("compute1", "br-tun table 20", Verdict.DROPPED_NO_PORT),
    ),
    "a rule drops before the groups": (
        edit("compute1/iptables-save_host", r"^-A FORWARD .*$", r"-A FORWARD -s 192.168.5.0/24 -j DROP\n\g<0>"), "vm2", ("compute1", "qbr", Verdict.DROPPED_RULE),
    ),
    "a set that the rules name was not captured": (
        edit("compute2/ipset-save_host", r"^.*\n", ""), "vm2 tcp 80", ("compute2", "qbr", Verdict.NOT_MODELLED),
    ),
}  # fmt: skip


PLUG_FAULTS = {
    **{
        f"the {kind} is down": (link("compute1", kind, **DOWN), "interface-down", f"ip link set {kind}")
        for kind in ("tap", "qbr", "qvb", "qvo")
    },
    **{
        f"the {kind} is on no bridge": (link("compute1", kind, master=""), "interface-off-its-bridge", f"ip link set {kind}")
        for kind in ("tap", "qvb")
    },
    "a port is told not to forward": (
        edit("compute2/ofctl_show_br-int", r"(\(qvo.*\n +config: +)0", r"\1NO_FWD"), "port-refuses", "ovs-ofctl mod-port br-int qvo",
    ),
    "one end of a tunnel sends one key": (
        edit("compute1/ovs-vsctl_list_interface", r'"out_key","flow"', '"out_key","77"'), "tunnel-key-mismatch", "in_key=flow",
    ),
    "one end of a tunnel takes one key": (
        edit("compute1/ovs-vsctl_list_interface", r'"in_key","flow"', '"in_key","77"'), "tunnel-key-mismatch", "in_key=flow",
    ),
}  # fmt: skip


def test_a_route_that_refuses_is_named_with_the_command_that_takes_it_away(copy: Path) -> None:
    path = next((copy / "network").glob("ip_route_qrouter-*"))
    path.write_text(json.dumps([{"type": "blackhole", "dst": WORLD, "flags": []}, *json.loads(path.read_text())]))
    found = asked(estate(copy), "vm2", WORLD).paths[0]
    assert found.verdict is Verdict.DROPPED_NO_ROUTE
    assert found.because.endswith(f": blackhole {WORLD}/32")
    assert found.mend.endswith(f"route del blackhole {WORLD}/32")


ROUTER = "qrouter-15bec78a-18f0-4140-a72c-1fbcc94b7233"
RULES = {
    "the router's policy": (
        f"network/iptables-save_{ROUTER}", r"^(\*filter\n:INPUT .*\n:FORWARD) ACCEPT", r"\1 DROP", WORLD,
        f"ip netns exec {ROUTER} iptables -t filter -P FORWARD ACCEPT",
    ),
    "a rule of the router": (
        f"network/iptables-save_{ROUTER}", r"^-A FORWARD .*", r"-A FORWARD -p icmp -j DROP\n\g<0>", WORLD,
        f"ip netns exec {ROUTER} iptables -t filter -D FORWARD -p icmp -j DROP",
    ),
    "a rule of the host before connections are tracked": (
        "compute2/iptables-save_host", r"^-A PREROUTING -j .*", r"-A PREROUTING -p icmp -j DROP\n\g<0>", "vm2",
        "iptables -t raw -D PREROUTING -p icmp -j DROP",
    ),
    "the host's policy, for a port without groups": (
        "compute2/iptables-save_host", r"^(:FORWARD) ACCEPT((.*\n)*?)-A FORWARD .*\n", r"\1 DROP\2", "vm2",
        "iptables -t filter -P FORWARD ACCEPT",
    ),
    "the addresses that a port may send from": (
        "compute1/iptables-save_host", r"^-A warren-s\S+ -s 192.168.5.3/32 .*\n", "", "vm2",
        "add the source address to the port's fixed IPs or allowed address pairs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", RULES)
def test_what_would_let_it_pass_is_what_undoes_the_rule_that_drops(fault: str, copy: Path) -> None:
    file, pattern, replacement, receiver, mend = RULES[fault]
    edit(file, pattern, replacement)(copy)
    path = asked(estate(copy), "vm1", receiver).paths[0]
    assert (path.verdict, path.mend) == (Verdict.DROPPED_RULE, mend)


def test_a_flood_into_a_bridges_own_interface_that_is_down_is_no_fault(copy: Path) -> None:
    """br-int's is down on every host: that nobody answers for an address is not its doing."""
    path = asked(estate(copy), "vm1", "192.168.5.200").paths[0]
    assert path.verdict is Verdict.DROPPED_NO_NEIGHBOUR


@pytest.mark.parametrize("fault", PLUG_FAULTS)
def test_a_plug_or_a_tunnel_that_passes_nothing_is_found_with_its_mend(fault: str, copy: Path) -> None:
    plant, kind, mend = PLUG_FAULTS[fault]
    plant(copy)
    found = [finding for finding in verify(estate(copy)).findings if finding.kind == kind]
    assert found
    assert all(finding.mend.startswith(mend) for finding in found)


def test_a_key_that_the_keys_of_both_directions_override_is_no_fault(copy: Path) -> None:
    edit("compute1/ovs-vsctl_list_interface", r'\["in_key","flow"\]', '["in_key","flow"],["key","77"]')(copy)
    assert [f for f in verify(estate(copy)).findings if f.kind == "tunnel-key-mismatch"] == []


@pytest.mark.parametrize("fault", FAULTS)
def test_the_place_that_is_named_is_the_place_that_was_broken(fault: str, copy: Path) -> None:
    plant, receiver, (host, place, verdict) = FAULTS[fault]
    plant(copy)
    name, _, what = receiver.partition(" ")
    path = asked(estate(copy), "vm1", name, what or "icmp").paths[0]
    last = path.way[-1]
    assert (last.host, path.verdict) == (host, verdict), [f"{h.host} {h.place}: {h.what}" for h in path.way]
    assert last.place.startswith(place)


def test_a_packet_that_fits_neither_interface_nor_tunnel_is_too_big() -> None:
    path = asked(estate(), "vm1", "vm2", size_bytes=1500).paths[0]
    assert path.verdict is Verdict.DROPPED_TOO_BIG
    assert path.way[-1].place == "eth0 in vm1"


def test_a_packet_from_a_namespace_to_itself_never_leaves_it() -> None:
    path = asked(estate(), "vm1", "192.168.5.3").paths[0]
    assert path.verdict is Verdict.DELIVERED
    assert path.interfaces == ()


def vlan_frame(vlan: int, body: str, ethertype: int) -> bytes:
    return bytes.fromhex("ffffffffffff" + "fa163e000001" + f"8100{vlan:04x}{ethertype:04x}" + body)


ARP = "0001080006040001" + "fa163e000001" + "c0a80503" + "000000000000" + "c0a80504"
IPV6_NS = (
    "600000000020" + "3aff" + "fe80" + "00" * 13 + "01" + "ff02" + "00" * 13 + "01" + "8700000000010000" + "00" * 24
)


def test_tagged_arp_and_ipv6_frames_are_read() -> None:
    arp = frame_of_bytes(vlan_frame(5, ARP, 0x0806))
    assert (arp.vlan, str(arp.payload)) == (5, "ARP who has 192.168.5.4? tell 192.168.5.3")
    ipv6 = frame_of_bytes(vlan_frame(0, IPV6_NS, 0x86DD))
    assert str(ipv6.payload) == "icmpv6 fe80::1 > ff02::1 type 135"


def test_a_raw_arp_request_ends_well_where_it_is_answered() -> None:
    known = estate()
    sender = find("vm1", Topology(estate=known))
    frame = bytes.fromhex(
        "ffffffffffff" + sender.mac.replace(":", "") + "0806" + ARP.replace("fa163e000001", sender.mac.replace(":", ""))
    )
    found = trace_frame(known, sender, frame_of_bytes(frame))
    assert found.verdict is Verdict.DELIVERED


def test_text_and_json_are_printed_from_the_same_value() -> None:
    known = estate()
    found = asked(known, "world", FLOATING, "tcp 80")
    text = "\n".join(lines(found, Teller(known), Shown(flows=True, sentences=True)))
    assert "for fa:16:3e" in text, "flows are explained in words"
    for hop in found.paths[0].way:
        assert hop.what in text
        assert hop.evidence in text
    shown = as_object(found)
    assert shown["verdict"] == "dropped_rule"
    path: Way = found.paths[0]
    assert json.loads(json.dumps(shown))["paths"][0]["because"] == path.because
