"""iptables rules are evaluated as netfilter does; what is not modelled is said, never guessed."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warren.inspect.filter.evaluate import Outcome
from warren.inspect.filter.hooks import Netfilter, Passage
from warren.inspect.filter.match import Known
from warren.inspect.filter.packet import IpPacket, Tracked
from warren.inspect.filter.read import read_rules, read_sets
from warren.inspect.snapshot.text import Page

REFERENCE = Path(__file__).parent.parent / "fixtures" / "neutron" / "6c-vm1-vm2-ping" / "network"
ROUTER = "iptables-save_qrouter-f5dc5045-9ac5-43b4-87cc-43731da02e9b"
PING = IpPacket(source="192.0.2.1", destination="198.51.100.1")


def rules(text: str, sets: str = "") -> Netfilter:
    page = Page(file="rules", text=text)
    known = Known(sets=read_sets(Page(file="sets", text=sets)), addresses=frozenset({"198.51.100.1"}))
    found = Netfilter(rules=read_rules(page), known=known)
    assert page.problems == []
    return found


def filtered(lines: str, packet: IpPacket = PING, sets: str = "", policy: str = "ACCEPT") -> Passage:
    return rules(f"*filter\n:FORWARD {policy} [0:0]\n{lines}\nCOMMIT\n", sets).hook("FORWARD", packet)


TCP = IpPacket(
    source="192.0.2.1", destination="198.51.100.1", protocol=6, source_port=40000, destination_port=22,
    in_interface="qbr1", out_interface="qbr1", physdev_in="tap1", physdev_out="qvb1", source_mac="fa:16:3e:00:00:01",
    mark=0x10001, tracked=Tracked(state="NEW", mark=7),
)  # fmt: skip


@pytest.mark.parametrize(
    ("match", "does"),
    [
        ("-s 192.0.2.0/24", True),
        ("! -s 192.0.2.0/24", False),
        ("-d 198.51.100.1/32", True),
        ("-d 2001:db8::/32", False),
        ("-i qbr+", True),
        ("-i qbr", False),
        ("-o qbr1", True),
        ("-p tcp", True),
        ("-p udp", False),
        ("! -p 17", True),
        ("-p tcp -m tcp --dport 22", True),
        ("-p tcp -m tcp --dport 1:21", False),
        ("-p tcp -m tcp --dport 22:", True),
        ("-p tcp -m tcp --sport 40000", True),
        ("-p tcp -m multiport --dports 80,443,20:25", True),
        ("-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN", True),
        ("-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN", False),
        ("-p icmp -m icmp --icmp-type 8", False),
        ("-m physdev --physdev-in tap1", True),
        ("-m physdev --physdev-in tap1 --physdev-is-bridged", True),
        ("-m physdev --physdev-out tap1 --physdev-is-bridged", False),
        ("-m state --state RELATED,ESTABLISHED", False),
        ("-m conntrack --ctstate NEW", True),
        ("-m conntrack ! --ctstate DNAT", True),
        ("-m mac --mac-source FA:16:3E:00:00:01", True),
        ("-m mark --mark 0x1/0xffff", True),
        ("-m mark ! --mark 0x1/0xffff", False),
        ("-m connmark --mark 0x7", True),
        ("-m set --match-set members src", True),
        ("-m set --match-set members dst", False),
        ("-m set ! --match-set members dst", True),
        ('-m comment --comment "a b" -s 192.0.2.1', True),
        ("-m addrtype --dst-type LOCAL", True),
        ("-m addrtype --src-type LOCAL", False),
        ("-m addrtype ! --dst-type UNICAST,MULTICAST", True),
        ("-m iprange --src-range 192.0.2.2-192.0.2.9", False),
        ("-m conntrack --ctstate NEW --ctdir ORIGINAL", True),
        ("-m conntrack --ctdir REPLY", False),
        ("-p tcp -m tcp --syn", True),
        ("-p udp -m udp --sport 1", False),
        ("-m multiport --ports 40000", True),
        ("-p icmp -m icmp --icmp-type echo-request", False),
        ("-m physdev --physdev-is-in", True),
        ("-m physdev ! --physdev-is-out", False),
        ("-m iprange --src-range 192.0.2.0-192.0.2.9", True),
        ("-m ttl --ttl-eq 64", True),
        ("-m ttl ! --ttl-eq 64", False),
        ("-m ttl --ttl-lt 64", False),
        ("-m ttl --ttl-lt 65", True),
        ("-m ttl --ttl-gt 64", False),
        ("-m hl --hl-gt 63", True),
        ("-m hl --hl-eq 255", False),
        ("-m hl --hl-lt 2", False),
        ("-m length --length 84", True),
        ("-m length ! --length 0:83", True),
        ("-m length --length 85:", False),
    ],
)
def test_each_match_of_iptables_is_told(match: str, does: bool) -> None:  # noqa: FBT001
    sets = "create members hash:net family inet\nadd members 192.0.2.0/28\nadd members 192.0.2.9 nomatch"
    assert (filtered(f"-A FORWARD {match} -j DROP", TCP, sets).outcome is Outcome.DROP) is does


def test_a_member_marked_nomatch_is_not_in_the_set() -> None:
    sets = "create members hash:net family inet\nadd members 192.0.2.0/28\nadd members 192.0.2.1 nomatch"
    assert filtered("-A FORWARD -m set --match-set members src -j DROP", TCP, sets).outcome is Outcome.ACCEPT


@pytest.mark.parametrize(
    "rule",
    [
        "-m bpf --bytecode x -j DROP",
        "-m set --match-set absent src -j DROP",
        "-j TPROXY --on-port 3",
        "-m mark --mark x -j DROP",
    ],
)
def test_what_is_not_modelled_is_said_with_its_rule(rule: str) -> None:
    passage = filtered(f"-A FORWARD {rule}")
    assert passage.outcome is Outcome.NOT_MODELLED
    assert passage.because
    assert passage.hits[-1].rule == f"-A FORWARD {rule}"


def test_a_rule_that_only_counts_or_logs_needs_no_answer() -> None:
    lines = "-A FORWARD -m limit --limit 5/min -j LOG\n-A FORWARD -m bpf --bytecode x\n-A FORWARD -p icmp -j DROP"
    assert filtered(lines).outcome is Outcome.DROP


def test_an_unknown_match_beside_one_that_fails_does_not_matter() -> None:
    assert filtered("-A FORWARD -s 203.0.113.0/24 -m bpf --bytecode x -j DROP").outcome is Outcome.ACCEPT


def marked(rules_: str) -> Passage:
    table = f"*mangle\n:PREROUTING ACCEPT [0:0]\n{rules_}\nCOMMIT\n"
    return rules(table).hook("PREROUTING", replace(PING, mark=0x0F))


@pytest.mark.parametrize(
    ("option", "mark"),
    [
        ("--set-mark 0x30/0xf0", 0x3F),
        ("--set-xmark 0x30/0xff", 0x30),
        ("--and-mark 0x3", 0x3),
        ("--or-mark 0x30", 0x3F),
        ("--xor-mark 0x1", 0xE),
    ],
)
def test_marks_are_set_as_iptables_does(option: str, mark: int) -> None:
    assert marked(f"-A PREROUTING -j MARK {option}").packet.mark == mark


def test_a_connections_mark_is_saved_and_restored() -> None:
    saved = marked("-A PREROUTING -j CONNMARK --save-mark --nfmask 0xff --ctmask 0xff")
    assert saved.packet.tracked.mark == 0x0F
    lines = "-A PREROUTING -j CONNMARK --set-xmark 0x70/0xff\n-A PREROUTING -j CONNMARK --restore-mark"
    assert marked(lines).packet.mark == 0x70


def test_what_is_not_tracked_is_not_translated() -> None:
    filter_ = rules(
        "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j CT --notrack\nCOMMIT\n"
        "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j DNAT --to-destination 10.0.0.1\nCOMMIT\n"
    )
    passage = filter_.hook("PREROUTING", PING)
    assert (passage.packet.destination, passage.packet.tracked.state) == (PING.destination, "UNTRACKED")


@pytest.mark.parametrize(
    ("target", "destination", "port"),
    [
        ("DNAT --to-destination 10.0.0.1:8080", "10.0.0.1", 8080),
        ("DNAT --to-destination 10.0.0.1", "10.0.0.1", 22),
        ("REDIRECT --to-ports 9697", "192.0.2.254", 9697),
    ],
)
def test_destinations_are_translated(target: str, destination: str, port: int) -> None:
    filter_ = rules(f"*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -p tcp -j {target}\nCOMMIT\n")
    packet = filter_.hook("PREROUTING", replace(TCP, tracked=Tracked()), own_address="192.0.2.254").packet
    assert (packet.destination, packet.destination_port) == (destination, port)


def test_masquerade_takes_the_address_of_the_way_out() -> None:
    filter_ = rules("*nat\n:POSTROUTING ACCEPT [0:0]\n-A POSTROUTING -o eth0 -j MASQUERADE\nCOMMIT\n")
    passage = filter_.hook("PREROUTING", PING)
    packet = replace(passage.packet, out_interface="eth0")
    assert filter_.hook("POSTROUTING", packet, own_address="192.0.2.254").packet.source == "192.0.2.254"


@pytest.mark.parametrize(
    "target", ["DNAT --to-destination 10.0.0.1-10.0.0.9", "DNAT --to-destination 10.0.0.1:1-9", "CT --timeout x"]
)
def test_a_translation_with_a_choice_is_not_modelled(target: str) -> None:
    table = "raw" if target.startswith("CT") else "nat"
    filter_ = rules(f"*{table}\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j {target}\nCOMMIT\n")
    assert filter_.hook("PREROUTING", PING).outcome is Outcome.NOT_MODELLED


SETS = """create ports hash:ip,port family inet
add ports 198.51.100.1,tcp:22
create numbers bitmap:port range 0-1000
add numbers 22
create cards hash:mac
add cards fa:16:3e:00:00:01
create lists list:set
"""


@pytest.mark.parametrize(
    ("match", "outcome"),
    [
        ("ports dst,dst", Outcome.DROP),
        ("ports src,dst", Outcome.ACCEPT),
        ("numbers dst", Outcome.DROP),
        ("cards src", Outcome.DROP),
        ("lists src", Outcome.NOT_MODELLED),
        ("ports dst", Outcome.NOT_MODELLED),
    ],
)
def test_each_kind_of_set_is_told_or_said_not_to_be(match: str, outcome: Outcome) -> None:
    assert filtered(f"-A FORWARD -m set --match-set {match} -j DROP", TCP, SETS).outcome is outcome


def test_a_chain_that_returns_goes_on_behind_its_jump_and_a_goto_does_not() -> None:
    lines = ":sub - [0:0]\n-A FORWARD {jump} sub\n-A FORWARD -j DROP\n-A sub -s 192.0.2.1 -j RETURN"
    assert filtered(lines.format(jump="-j")).outcome is Outcome.DROP
    assert filtered(lines.format(jump="-g")).outcome is Outcome.ACCEPT


def test_the_policy_decides_at_the_end() -> None:
    assert filtered("", policy="DROP").outcome is Outcome.DROP
    assert filtered("-A FORWARD -s 192.0.2.1 -j ACCEPT", policy="DROP").outcome is Outcome.ACCEPT


def test_chains_that_call_each_other_do_not_hang() -> None:
    lines = ":a - [0:0]\n:b - [0:0]\n-A FORWARD -j a\n-A a -j b\n-A b -j a"
    assert filtered(lines).outcome is Outcome.NOT_MODELLED


def router() -> Netfilter:
    return rules((REFERENCE / ROUTER).read_text())


def forwarded(filter_: Netfilter, packet: IpPacket, way: tuple[str, str]) -> IpPacket:
    into, out = way
    passage = filter_.hook("PREROUTING", replace(packet, in_interface=into))
    assert passage.outcome is Outcome.ACCEPT
    passage = filter_.hook("FORWARD", replace(passage.packet, out_interface=out))
    assert passage.outcome is Outcome.ACCEPT, passage.hits[-1]
    passage = filter_.hook("POSTROUTING", passage.packet)
    assert passage.outcome is Outcome.ACCEPT
    return replace(passage.packet, mark=0, in_interface="", out_interface="", tracked=Tracked())


INSIDE, OUTSIDE = "qr-c6da0ed5-a3", "qg-fe0d8111-a0"


def test_a_floating_ip_of_a_real_neutron_is_translated_both_ways() -> None:
    filter_ = router()
    came = forwarded(filter_, IpPacket(source="203.0.113.1", destination="203.0.113.165"), (OUTSIDE, INSIDE))
    assert (came.source, came.destination) == ("203.0.113.1", "192.168.1.139")
    answer = replace(came, source=came.destination, destination=came.source, icmp_type=0)
    went = forwarded(filter_, answer, (INSIDE, OUTSIDE))
    assert (went.source, went.destination) == ("203.0.113.165", "203.0.113.1")


def test_an_instance_without_one_leaves_with_the_routers_address() -> None:
    filter_ = router()
    went = forwarded(filter_, IpPacket(source="192.168.1.24", destination="8.8.8.8"), (INSIDE, OUTSIDE))
    assert went.source == "203.0.113.179"
    back = forwarded(filter_, IpPacket(source="8.8.8.8", destination="203.0.113.179", icmp_type=0), (OUTSIDE, INSIDE))
    assert back.destination == "192.168.1.24"


def test_an_answer_that_nobody_asked_for_is_invalid() -> None:
    passage = router().hook("PREROUTING", IpPacket(source="8.8.8.8", destination="203.0.113.179", icmp_type=0))
    assert passage.packet.tracked.state == "INVALID"


def test_conntrack_zones_are_apart() -> None:
    filter_ = rules(
        "*raw\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -m physdev --physdev-in tap1 -j CT --zone 1\n"
        "-A PREROUTING -m physdev --physdev-in tap2 -j CT --zone 2\nCOMMIT\n"
    )
    for device in ("tap1", "tap2"):
        passage = filter_.hook("PREROUTING", replace(PING, physdev_in=device))
        assert (passage.packet.tracked.state, passage.packet.tracked.is_reply) == ("NEW", False)
        filter_.hook("POSTROUTING", passage.packet)
    answer = IpPacket(source=PING.destination, destination=PING.source, icmp_type=0, physdev_in="tap1")
    assert filter_.hook("PREROUTING", answer).packet.tracked.state == "ESTABLISHED"


def test_a_dropped_packet_opens_no_connection() -> None:
    filter_ = rules("*filter\n:FORWARD DROP [0:0]\nCOMMIT\n")
    passage = filter_.hook("PREROUTING", PING)
    assert filter_.hook("FORWARD", passage.packet).outcome is Outcome.DROP
    assert filter_.tracker.connections == []


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400))
def test_garbage_is_read_without_a_crash(text: str) -> None:
    read_rules(Page(file="f", text=text))
    read_sets(Page(file="f", text=text))


WORDS = [
    "-s",
    "-p",
    "tcp",
    "--dport",
    "x",
    "!",
    "-m",
    "set",
    "--match-set",
    "-j",
    "DNAT",
    "MARK",
    "--to-destination",
    "1.2.3.4:x",
    "--set-xmark",
    "0x/1",
    "--icmp-type",
    "8/x",
    "CONNMARK",
    "-A",
    "mark",
    "--mark",
]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(WORDS), max_size=9))
def test_a_rule_of_random_words_is_evaluated_without_a_crash(words: list[str]) -> None:
    text = f"*filter\n:FORWARD ACCEPT [0:0]\n-A FORWARD {' '.join(words)}\nCOMMIT\n"
    Netfilter(rules=read_rules(Page(file="f", text=text))).hook("FORWARD", PING)


@pytest.mark.parametrize(
    "lines",
    [
        "-A FORWARD -j c0\n-A c0 -j c1\n-A c1 -j c0",
        "\n".join(["-A FORWARD -j c0", *(f"-A c{depth} -j c{depth + 1}" for depth in range(40) for _ in "ab")]),
    ],
    ids=["a circle", "twice the next, forty times"],
)
def test_chains_that_call_each_other_too_often_are_not_walked_to_their_end(lines: str) -> None:
    chains = "\n".join(f":c{number} - [0:0]" for number in range(41))
    passage = filtered(f"{chains}\n{lines}")
    assert passage.outcome is Outcome.NOT_MODELLED
    assert "its chains call each other without end" in passage.hits[-1].effect
