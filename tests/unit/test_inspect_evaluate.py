"""The evaluator on small tables: what each action does, what is learned, what is said not to be modelled."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from warren.inspect.decode import Decoder
from warren.inspect.evaluate.hosts import models_of
from warren.inspect.evaluate.model import Assumed, BridgeModel, PortModel, Tracking, tables_of
from warren.inspect.evaluate.outcome import Outcome
from warren.inspect.evaluate.packet import packet
from warren.inspect.evaluate.run import evaluate
from warren.inspect.parse import fields as f
from warren.inspect.parse.dump import read_dump
from warren.inspect.parse.groups import read_groups
from warren.inspect.parse.problem import Unreadable
from warren.inspect.parse.values import PORTS
from warren.inspect.snapshot.host import read_host

FRAME = (
    "in_port=1,tcp,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02,nw_src=10.0.0.1,nw_dst=10.0.0.2,tp_dst=80,nw_ttl=9"
)
THREE = {number: PortModel(number=number, name=f"p{number}") for number in (1, 2, 3)}


def bridge(
    flows: str, ports: Mapping[int, PortModel] | None = THREE, groups: str = "", name: str = "br0"
) -> BridgeModel:
    dump = read_dump(flows)
    assert dump.problems == ()
    found, problems = read_groups(groups)
    assert problems == ()
    return BridgeModel(
        name=name, tables=tables_of(dump.flows, Decoder()), ports=ports, groups={group.id: group for group in found}
    )


def follow(flows: str, frame: str = FRAME, groups: str = "") -> Outcome:
    return evaluate({"br0": bridge(flows, groups=groups)}, "br0", packet(frame))


def ports_of(outcome: Outcome) -> list[int]:
    return [sent.port for sent in outcome.sent]


def headers(outcome: Outcome, field: f.Field) -> list[int]:
    return [sent.values[field.order] for sent in outcome.sent]


@pytest.mark.parametrize(
    ("actions", "expected"),
    [
        ("drop", []),
        ("output:2", [2]),
        ("output:1,output:2", [2]),
        ("IN_PORT,output:3", [1, 3]),
        ("FLOOD", [2, 3]),
        ("ALL,output:9", [2, 3]),
        ("exit,output:2", []),
        ("resubmit(,1),output:2", [3, 2]),
        ("resubmit(,9),output:2", [2]),
        ("resubmit(2,1)", []),
        ("clone(output:2,exit),output:3", [2]),
        ("clone(resubmit(,1)),output:2", [3, 2]),
        ("load:3->NXM_NX_REG0[],output:NXM_NX_REG0[0..15]", [3]),
        ("load:2->NXM_OF_IN_PORT[],output:1,output:2", [1]),
        ("load:2->NXM_NX_REG0[],push:reg0,load:3->NXM_NX_REG0[],pop:reg0,output:NXM_NX_REG0[]", [2]),
        ("enqueue:2:7,set_queue:1,pop_queue,note:01,meter:1", [2]),
        ("CONTROLLER:128,output:2", [PORTS["CONTROLLER"], 2]),
        ("write_actions(output:3,set_field:00:00:00:00:00:09->eth_dst),output:2", [2, 3]),
        ("write_actions(output:3),clear_actions,output:2", [2]),
        ("write_actions(output:3,group:1),goto_table:1", [3, 2]),
        ("group:1", [2]),
        ("group:2", [2, 3]),
        ("output(port=3,max_len=20)", [3]),
        ("NORMAL", [2, 3]),
        ("output:65535", []),
        ("load:5->NXM_OF_IP_SRC[],move:NXM_OF_ARP_SPA[]->NXM_OF_IP_SRC[],pop:NXM_NX_REG0[],output:2", [2]),
        ("clone(output:2,resubmit(,1)),clone(goto_table:1)", [2, 3, 3]),
        ("clone(resubmit(,0))", None),
        ("clone(dec_ttl,resubmit(,0))", [PORTS["CONTROLLER"]]),
    ],
)
def test_a_packet_goes_where_the_actions_say(actions: str, expected: list[int] | None) -> None:
    groups = "group_id=1,type=indirect,bucket=actions=output:2\ngroup_id=2,type=all,bucket=output:2,bucket=output:3"
    outcome = follow(
        f"table=0,priority=1,actions={actions}\ntable=1,priority=1,in_port=1,actions=output:3", groups=groups
    )
    if expected is None:
        assert "Open vSwitch drops" in outcome.error
        assert outcome.sent == ()
    else:
        assert (ports_of(outcome), outcome.not_modelled, outcome.error) == (expected, (), "")


@pytest.mark.parametrize(
    ("actions", "reason"),
    [
        ("output:nosuch", "port nosuch"),
        ("resubmit(nosuch,1)", "port nosuch"),
        ("resubmit(,1,ct)", "original addresses"),
        ("controller(pause)", "controller is asked"),
        ("group:7", "group 7"),
        ("group:3", "which way of group 3"),
        ("push_mpls:0x8847", "push_mpls"),
        ("multipath(symmetric_l4,1,modulo_n,4,0,NXM_NX_REG0[])", "multipath"),
        ("check_pkt_larger(1400)->NXM_NX_REG0[0]", "size is not known"),
        ("learn(table=3,limit=5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[])", "limit"),
        ("TABLE", "TABLE"),
        ("push_vlan:0x88a8", "0x88a8"),
        ("push_vlan:0x8100,push_vlan:0x8100,push_vlan:0x8100", "third VLAN tag"),
        ("push_vlan:0x8100,mod_vlan_vid:7", "second tag"),
        ("ct(table=1,nat(src=10.0.0.9))", "connection tracker says"),
    ],
)
def test_what_is_not_modelled_is_said_and_nothing_is_guessed(actions: str, reason: str) -> None:
    groups = "group_id=3,type=select,bucket=actions=output:2,bucket=actions=output:3"
    outcome = follow(f"table=0,priority=1,actions={actions},output:2", groups=groups)
    assert any(reason in each for each in outcome.not_modelled), outcome.not_modelled


def test_a_flow_that_cannot_be_read_makes_its_table_unsure_only_where_it_might_have_matched() -> None:
    flows = "table=0,priority=5,nosuch=1,actions=drop\ntable=0,priority={},actions=output:2"
    assert follow(flows.format(1)).not_modelled == ("table 0 of br0 has a flow that could not be read",)
    assert follow(flows.format(9)).not_modelled == ()


def test_headers_are_written_only_where_the_packet_has_them() -> None:
    arp = "in_port=1,arp,arp_op=1,dl_src=00:00:00:00:00:01"
    outcome = follow(
        "table=0,actions=mod_nw_dst:10.9.9.9,mod_tp_dst:1,dec_ttl,mod_dl_dst:00:00:00:00:00:05,output:2", arp
    )
    assert headers(outcome, f.IP_DST) == [0]
    assert headers(outcome, f.TP_DST) == [0]
    assert headers(outcome, f.ETH_DST) == [5]


def test_tags_are_written_as_the_actions_say() -> None:
    assert headers(follow("table=0,actions=mod_vlan_vid:5,output:2"), f.VLAN_TCI) == [0x1005]
    assert headers(follow("table=0,actions=mod_vlan_pcp:3,output:2"), f.VLAN_TCI) == [0x7000]
    matched = "table=0,dl_vlan=9,actions=mod_vlan_vid:5,mod_vlan_pcp:1,output:2"
    assert headers(follow(matched, f"{FRAME},dl_vlan=9"), f.VLAN_TCI) == [0x3005]
    udp = FRAME.replace("tcp", "udp")
    assert headers(follow("table=0,actions=load:1->NXM_NX_TCP_FLAGS[],output:2", udp), f.TCP_FLAGS) == [0]


def test_an_untagged_frame_takes_the_native_vlan_of_its_port() -> None:
    ports = {
        1: PortModel(number=1, name="n", tag=5, vlan_mode="native-tagged"),
        2: PortModel(number=2, name="a", tag=5),
    }
    model = bridge("table=0,actions=NORMAL", ports)
    group = packet(FRAME.replace("dl_src=00:00", "dl_src=01:00"))
    outcome = evaluate({"br0": model}, "br0", group)
    assert (ports_of(outcome), outcome.seen) == ([2], ())


def test_a_ttl_that_is_used_up_goes_to_the_controller_and_ends_the_list() -> None:
    outcome = follow("table=0,actions=dec_ttl,output:2", FRAME.replace("nw_ttl=9", "nw_ttl=1"))
    assert ports_of(outcome) == [PORTS["CONTROLLER"]]
    assert headers(follow("table=0,actions=dec_ttl,output:2"), f.IP_TTL) == [8]


def test_what_learn_writes_is_met_by_the_next_packet() -> None:
    model = bridge(
        "table=0,priority=1,in_port=1,actions=mod_vlan_vid:5,learn(table=20,hard_timeout=300,priority=1,cookie=0x7,"
        "NXM_OF_VLAN_TCI[0..11],NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],"
        "load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],output:NXM_OF_IN_PORT[]),output:3\n"
        "table=0,priority=1,in_port=3,actions=resubmit(,20)"
    )
    first = evaluate({"br0": model}, "br0", packet(f"{FRAME},tun_id=0x3e9"))
    (learned,) = first.learned
    assert str(learned.flow) == (
        "cookie=0x7, table=20, hard_timeout=300, priority=1,vlan_tci=0x0005/0x0fff,dl_dst=00:00:00:00:00:01 "
        "actions=set_field:0->vlan_tci,set_field:0x3e9->tun_id,output:1"
    )
    back = packet("in_port=3,dl_vlan=5,dl_src=00:00:00:00:00:02,dl_dst=00:00:00:00:00:01,dl_type=0x1234")
    assert ports_of(evaluate({"br0": model}, "br0", back)) == []
    model.learn(first.learned)
    model.learn(first.learned)
    outcome = evaluate({"br0": model}, "br0", back)
    assert ports_of(outcome) == [1]
    assert (headers(outcome, f.VLAN_TCI), headers(outcome, f.TUN_ID)) == ([0], [0x3E9])


def test_learn_takes_literals_and_parts_of_fields() -> None:
    outcome = follow(
        "table=0,actions=load:0x1234->NXM_NX_REG0[],learn(table=3,eth_type=0x800,nw_proto=6,NXM_OF_TCP_DST[]=NXM_OF_TCP_SRC[],"
        "load:NXM_NX_REG0[4..11]->NXM_NX_REG1[0..7],load:0x5->NXM_NX_REG2[])"
    )
    assert outcome.learned[0].flow.match_text == "tcp,tp_dst=0"
    assert outcome.learned[0].flow.actions_text == "set_field:0x23/0xff->reg1,set_field:0x5->reg2"


def test_the_tracker_sends_the_packet_back_with_its_verdict() -> None:
    flows = (
        "table=0,priority=1,ip,actions=load:7->NXM_NX_REG6[],ct(table=2,zone=NXM_NX_REG6[0..15]),output:3\n"
        "table=2,priority=2,ct_state=+new+trk,ip,ct_zone=7,actions=ct(commit,zone=7,exec(load:1->NXM_NX_CT_MARK[])),output:2\n"
        "table=2,priority=1,actions=drop"
    )
    outcome = follow(flows)
    assert [(step.table, step.flow and step.flow.priority) for step in outcome.steps] == [(0, 1), (2, 2)]
    assert ports_of(outcome) == [3, 2]
    assert headers(outcome, f.CT_STATE) == [0, 0]
    known = Assumed(tracking=Tracking(state=0x22))
    assert ports_of(evaluate({"br0": bridge(flows)}, "br0", packet(FRAME), known)) == [3]
    assert follow(flows, "in_port=1,arp").not_modelled == ()


def test_a_frame_that_is_no_ip_packet_cannot_be_tracked() -> None:
    outcome = follow("table=0,actions=ct(table=2)", "in_port=1,arp")
    assert "no IP packet" in outcome.not_modelled[0]
    assert ports_of(follow("table=0,actions=ct(commit),output:2", "in_port=1,arp")) == [2]


def test_conjunctive_matches_need_every_dimension() -> None:
    flows = (
        "table=0,priority=5,ip,nw_src=10.0.0.1,actions=conjunction(7,1/2)\n"
        "table=0,priority=5,tcp,tp_dst=80,actions=conjunction(7,2/2)\n"
        "table=0,priority=5,conj_id=7,ip,actions=output:2\n"
        "table=0,priority=1,actions=output:3"
    )
    assert ports_of(follow(flows)) == [2]
    assert ports_of(follow(flows, FRAME.replace("tp_dst=80", "tp_dst=81"))) == [3]
    assert ports_of(follow(flows + "\ntable=0,priority=9,tcp,actions=drop")) == []


def test_lookups_that_come_back_without_end_are_given_up_as_the_switch_does() -> None:
    assert "Open vSwitch drops" in follow("table=0,actions=resubmit(,0)").error
    assert "Open vSwitch drops" in follow("table=0,actions=resubmit(,0),output:2").error
    assert ports_of(follow("table=0,actions=output:2,resubmit(,0)")) == []
    wide = "\n".join(f"table={n},actions={','.join([f'resubmit(,{n + 1})'] * 9)}" for n in range(6))
    assert "lookups" in follow(wide).error


def test_a_long_chain_of_tables_is_followed_to_its_end() -> None:
    chain = "\n".join(f"table={n},actions=resubmit(,{n + 1})" for n in range(254))
    assert ports_of(follow(f"{chain}\ntable=254,actions=output:2")) == [2]
    nested = "\n".join(f"table={n},actions=resubmit(,{n + 1}),output:3" for n in range(200))
    assert "inside of each other" in follow(nested).not_modelled[0]


def test_a_patch_port_leads_into_the_other_bridge_without_registers() -> None:
    one = bridge(
        "table=0,actions=load:5->NXM_NX_REG0[],set_tunnel:7,mod_vlan_vid:9,output:8,output:2",
        {**THREE, 8: PortModel(number=8, name="patch-b", peer=("b", "patch-a"))},
        name="a",
    )
    other = bridge(
        "table=0,priority=1,reg0=0,tun_id=0,dl_vlan=9,in_port=4,actions=strip_vlan,output:2\ntable=0,priority=0,actions=drop",
        {2: PortModel(number=2, name="q2"), 4: PortModel(number=4, name="patch-a", peer=("a", "patch-b"))},
        name="b",
    )
    outcome = evaluate({"a": one, "b": other}, "a", packet(FRAME))
    assert [(sent.bridge, sent.port) for sent in outcome.sent] == [("b", 2), ("a", 2)]
    assert headers(outcome, f.VLAN_TCI) == [0, 0x1009]
    alone = evaluate({"a": one}, "a", packet(FRAME))
    assert [(sent.bridge, sent.port) for sent in alone.sent] == [("a", 8), ("a", 2)]


def test_normal_knows_tags_trunks_and_learned_addresses() -> None:
    ports = {
        1: PortModel(number=1, name="access5", tag=5),
        2: PortModel(number=2, name="trunk"),
        3: PortModel(number=3, name="only7", trunks=frozenset({7})),
        4: PortModel(number=4, name="access5b", tag=5),
        5: PortModel(number=5, name="native", tag=5, vlan_mode="native-untagged"),
        6: PortModel(number=6, name="quiet", tag=5, floods=False),
    }
    model = bridge("table=0,actions=NORMAL", ports)
    outcome = evaluate({"br0": model}, "br0", packet(FRAME))
    assert {sent.port: sent.values[f.VLAN_TCI.order] for sent in outcome.sent} == {2: 0x1005, 4: 0, 5: 0}
    assert [(seen.vlan, seen.mac, seen.port) for seen in outcome.seen] == [(5, 1, 1)]
    model.note(outcome.seen)
    back = packet("in_port=2,dl_vlan=5,dl_src=00:00:00:00:00:02,dl_dst=00:00:00:00:00:01,dl_type=0x1234")
    assert ports_of(evaluate({"br0": model}, "br0", back)) == [1]
    tagged = packet(f"{FRAME},dl_vlan=5")
    assert ports_of(evaluate({"br0": model}, "br0", tagged)) == []
    reserved = packet("in_port=1,dl_dst=01:80:c2:00:00:00,dl_type=0x1234")
    assert ports_of(evaluate({"br0": model}, "br0", reserved)) == []
    nowhere = packet(FRAME.replace("in_port=1", "in_port=99"))
    assert ports_of(evaluate({"br0": model}, "br0", nowhere)) == []


@pytest.mark.parametrize("actions", ["NORMAL", "FLOOD"])
def test_without_ports_normal_and_flood_cannot_be_followed(actions: str) -> None:
    model = bridge(f"table=0,actions=output:7,{actions}", None)
    outcome = evaluate({"br0": model}, "br0", packet(FRAME))
    assert ports_of(outcome) == [7]
    assert "ports of br0 are not known" in outcome.not_modelled[0]


def test_passes_without_end_are_given_up() -> None:
    assert "passes" in follow("table=0,ip,actions=ct(table=0)").not_modelled[0]


def test_what_the_tracker_translates_is_in_the_packet() -> None:
    flows = "table=0,ip,actions=ct(table=1,nat(src=10.0.0.9))\ntable=1,ip,nw_src=10.0.0.9,actions=output:2"
    translated = Assumed(tracking=Tracking(rewritten={f.IP_SRC.order: 0x0A000009}, mark=3, label=4))
    outcome = evaluate({"br0": bridge(flows)}, "br0", packet(FRAME), translated)
    assert (ports_of(outcome), headers(outcome, f.CT_MARK), headers(outcome, f.CT_LABEL)) == ([2], [3], [4])


def test_bridges_that_send_to_each_other_for_ever_are_given_up() -> None:
    def mirror(name: str, other: str) -> BridgeModel:
        ports = {
            1: PortModel(number=1, name="p1"),
            8: PortModel(number=8, name=f"to-{other}", peer=(other, f"to-{name}")),
        }
        return bridge("table=0,actions=IN_PORT,output:8", ports, name=name)

    both = {"a": mirror("a", "b"), "b": mirror("b", "a")}
    assert "Open vSwitch drops" in evaluate(both, "a", packet(FRAME)).error
    both["b"].ports = {}
    assert [(sent.bridge, sent.port) for sent in evaluate(both, "a", packet(FRAME)).sent] == [("a", 1)]


@pytest.mark.parametrize("back", ["resubmit(,1)", "resubmit(,1),output:6"], ids=["last", "not last"])
def test_copies_that_end_in_what_is_not_modelled_are_no_lookups_inside_of_each_other(back: str) -> None:
    copies = range(100, 170)
    sent_by = {each: PortModel(number=each, name=f"out-{each}", peer=("b", f"in-{each}")) for each in copies}
    taken_by = {each: PortModel(number=each, name=f"in-{each}") for each in copies}
    sends = ",".join(f"output:{each}" for each in copies)
    one = bridge(f"table=0,actions={sends},output:2", {**THREE, **sent_by}, name="a")
    other = bridge(
        "table=0,actions=resubmit(,1),output:5\n"
        f"table=1,priority=0,actions=load:1->NXM_NX_REG0[],{back}\n"
        "table=1,priority=1,reg0=1,actions=check_pkt_larger(1400)->NXM_NX_REG1[0]",
        taken_by,
        name="b",
    )
    outcome = evaluate({"a": one, "b": other}, "a", packet(FRAME))
    assert (outcome.error, ports_of(outcome), len(outcome.not_modelled)) == ("", [2], 1)


def test_a_captured_host_becomes_bridges_joined_by_their_patches() -> None:
    folder = Path(__file__).parents[1] / "fixtures" / "neutron" / "6c-vm1-vm2-ping" / "compute1"
    host = read_host("compute1", {path.name: path.read_text() for path in folder.iterdir()})
    models = models_of(host)
    arp = "in_port=2,arp,arp_op=1,dl_src=fa:16:3e:ba:78:de,dl_dst=ff:ff:ff:ff:ff:ff,arp_spa=192.168.1.139"
    outcome = evaluate(models, "br-int", packet(arp))
    assert {(sent.bridge, sent.port) for sent in outcome.sent} == {("br-tun", 2), ("br-tun", 3), ("br-int", 65534)}
    assert set(headers(outcome, f.TUN_ID)) == {5872, 0}


def test_a_port_with_tags_in_tags_is_not_modelled() -> None:
    strange = {**THREE, 2: PortModel(number=2, name="qinq", vlan_mode="dot1q-tunnel", tag=5)}
    outcome = evaluate({"br0": bridge("table=0,actions=NORMAL", strange)}, "br0", packet(FRAME))
    assert "dot1q-tunnel" in outcome.not_modelled[0]


def test_groups_are_read_and_what_is_none_is_named() -> None:
    text = (
        "NXST_GROUP_DESC reply (xid=0x4):\n"
        " group_id=1,type=select,selection_method=dp_hash,"
        "bucket=bucket_id:0,weight:100,actions=output:1,bucket=actions=drop\n"
        " group_id=2,type=ff,bucket=watch_port:3,actions=set_field:1->reg0,output:3\n"
        "garbage\n group_id=3,type=all,bucket=actions=nosuch\n"
    )
    groups, problems = read_groups(text, "g")
    assert [(group.id, group.type, len(group.buckets)) for group in groups] == [(1, "select", 2), (2, "ff", 1)]
    assert groups[1].buckets[0].watch_port == "3"
    assert [(problem.line, problem.file) for problem in problems] == [(4, "g"), (5, "g")]


def test_a_packet_that_is_none_is_refused_with_its_place() -> None:
    with pytest.raises(Unreadable):
        packet("in_port=1,nosuch=2")
