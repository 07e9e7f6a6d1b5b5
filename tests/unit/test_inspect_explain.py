"""Sentences, tables' meanings and comparisons on the dumps of a real Neutron."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from warren.cli.flows import command
from warren.core.errors import Invalid
from warren.inspect.decode import Decoder
from warren.inspect.diff import Side, difference
from warren.inspect.explain.context import alone
from warren.inspect.explain.pipelines import HAVANA_INT, HAVANA_TUN, NEUTRON_INT, NEUTRON_TUN, WARREN, recognise
from warren.inspect.explain.sentence import explain
from warren.inspect.filter_flows import read_filter
from warren.inspect.parse.dump import read_dump
from warren.inspect.show import duration
from warren.inspect.watch import Happening, events

NEUTRON = Path(__file__).parents[1] / "fixtures" / "neutron"
LAST = NEUTRON / "6c-vm1-vm2-ping"
NAMES = ["--names", str(NEUTRON / "api.json")]


def objects(*words: str) -> list[dict[str, object]]:
    result = CliRunner().invoke(command, [*words, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    found: list[dict[str, object]] = json.loads(result.output)
    return found


def sentence(text: str, bridge: str = "br-tun") -> str:
    dump = read_dump(text)
    decoder = Decoder()
    (found, *_) = explain(dump.flows, alone(bridge, dump.flows, decoder), decoder)
    return found.sentence


def test_every_flow_of_a_real_neutron_is_understood() -> None:
    found = objects("explain", str(LAST), *NAMES)
    assert len(found) > 250
    assert all(each["understood"] for each in found)
    assert {each["host"] for each in found} == {"compute1", "compute2", "network"}
    assert all({"table", "flow", "explanation"} <= each.keys() for each in found)


def test_a_learned_entry_names_network_place_owner_and_life() -> None:
    (found,) = objects("explain", str(LAST), "table=20 and dl_dst=fa:16:3e:df:c9:3b", "--host", "compute1", *NAMES)
    assert found["explanation"] == (
        "Frames of network 'private' (VNI 5872, here VLAN 1) for fa:16:3e:df:c9:3b ('vm2') go to compute2 through "
        "vxlan-0a15000c, without a tag and with VNI 5872; last learned 0 s ago from a frame of fa:16:3e:df:c9:3b "
        "('vm2'), gone in 300 s unless refreshed."
    )


def test_a_host_that_was_not_captured_is_called_as_the_api_calls_it() -> None:
    (found,) = objects("explain", str(LAST / "compute1"), "table=20 and dl_dst=fa:16:3e:df:c9:3b", *NAMES)
    assert " go to cmp2 through vxlan-0a15000c, " in str(found["explanation"])


def test_a_flood_list_names_every_host() -> None:
    (found,) = objects("explain", str(LAST), "table=22 and dl_vlan=1", "--host", "compute1", *NAMES)
    assert "are copied to vxlan-0a15000c to compute2 and vxlan-0a15000a to network" in str(found["explanation"])


def test_a_learn_flow_says_what_it_will_write() -> None:
    told = sentence(
        "table=10,priority=1 actions=learn(table=20,hard_timeout=300,priority=1,NXM_OF_VLAN_TCI[0..11],"
        "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],"
        "output:OXM_OF_IN_PORT[]),output:1"
    )
    assert "teach table 20 (UCAST_TO_TUN) for 300 s" in told
    assert "for its sender lose their tag, get its VNI and go where this one came from" in told


def test_warrens_cookies_name_who_asked_for_a_flow() -> None:
    peer = "cookie=0x001000000a090002,table=0,priority=1,in_port=2,actions=resubmit(,4)"
    assert sentence(peer).endswith("asked for by the peer 10.9.0.2.")
    segment = "cookie=0x0011abcdef012345,table=4,priority=1,tun_id=0x1,actions=mod_vlan_vid:1,resubmit(,10)"
    assert sentence(segment).endswith("asked for by abcdef012345 (segment).")


def test_the_two_numberings_of_neutron_and_warrens_own_are_told_apart() -> None:
    havana = (
        "table=1,priority=0,dl_dst=00:00:00:00:00:00/01:00:00:00:00:00,actions=resubmit(,20)\n"
        "table=1,priority=0,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00,actions=resubmit(,21)"
    )
    assert recognise("br-tun", read_dump(havana).flows) is HAVANA_TUN
    today = (LAST / "compute1" / "dump-flows_br-tun").read_text()
    assert recognise("br-tun", read_dump(today).flows) is NEUTRON_TUN
    assert recognise("saved.txt", read_dump(today).flows) is NEUTRON_TUN
    ours = "cookie=0x0011abcdef012345,table=4,priority=1,tun_id=0x1,actions=mod_vlan_vid:1,resubmit(,10)"
    assert recognise("br-tun", read_dump(ours).flows) is WARREN["tun"]
    assert recognise("", read_dump("table=0,actions=drop").flows) is None
    firewall = (LAST / "compute1" / "dump-flows_br-int").read_text()
    assert recognise("saved.txt", read_dump(firewall).flows) is NEUTRON_INT
    plain = "table=0,priority=1,actions=NORMAL\ntable=0,priority=2,in_port=3,actions=drop"
    assert recognise("br-int", read_dump(plain).flows) is HAVANA_INT
    for some in ("table=0,priority=9,in_port=3,actions=resubmit(,25)", "table=0,priority=0,actions=goto_table:58", ""):
        assert recognise("br-int", read_dump(some).flows) is NEUTRON_INT


def test_a_dump_alone_does_not_say_which_host_it_is_from(tmp_path: Path) -> None:
    folder = tmp_path / "compute1"
    shutil.copytree(LAST / "compute1", folder)
    (from_file, *_) = objects("show", str(folder / "dump-flows_br-tun"), "table=22")
    (from_folder, *_) = objects("show", str(folder), "--bridge", "br-tun", "table=22")
    assert (from_file["host"], from_file["bridge"]) == ("", "br-tun")
    assert (from_folder["host"], from_folder["bridge"]) == ("compute1", "br-tun")


@pytest.mark.parametrize(
    ("flow", "words"),
    [
        ("table=5,priority=1,tcp,tp_dst=22,actions=output:4", "TCP packets to port 22 (SSH) go to port 4."),
        ("table=5,priority=1,arp,arp_op=1,arp_tpa=10.0.0.1,actions=drop", "ARP requests about 10.0.0.1 are dropped."),
        ("table=5,priority=0,actions=drop", "Everything else here is dropped."),
        (
            "table=5,priority=3,ct_state=+est+trk,actions=NORMAL",
            "established, tracked are switched by learned addresses",
        ),
        ("table=5,priority=3,nosuch=1,actions=drop", "Not understood"),
        ("table=5,priority=3,actions=clone(dec_ttl,output:1),meter:3,group:5", "limited by meter 3"),
        (
            "table=5,priority=3,ip,actions=ct(commit,nat(src=10.0.0.1),exec(load:1->NXM_NX_CT_MARK[]))",
            "nat(src=10.0.0.1)",
        ),
        ("table=5,priority=3,actions=controller(max_len=9),move:reg0[0..7]->reg1[0..7],output:reg3", "reg3"),
        ("table=5,priority=3,ip,nw_proto=89,actions=drop", "Packets of IP protocol 89 are dropped"),
        ("table=5,priority=3,dl_type=0x88cc,actions=drop", "Frames of type 0x88cc are dropped"),
        ("table=5,priority=3,vlan_tci=0x0005/0x000f,actions=drop", "with vlan_tci=0x0005/0x000f"),
        ("table=5,priority=3,tun_id=0x5/0xf,actions=drop", "with tun_id=0x5/0xf"),
        ("table=5,priority=3,dl_dst=fa:16:3e:00:00:00/ff:ff:ff:00:00:00,actions=drop", "to fa:16:3e:00:00:00/ff:ff:ff"),
        ("table=5,priority=3,ct_state=0/0,actions=drop", "All frames are dropped"),
        (
            "table=5,priority=3,actions=load:1->NXM_NX_REG3[],mod_dl_dst:fa:16:3e:00:00:01",
            "addressed to fa:16:3e:00:00:01",
        ),
        ("table=5,priority=3,actions=output:1,strip_vlan,output:2", "go to port 1, then go to port 2, without a tag"),
        ("table=5,priority=3,actions=output:far", "go to far"),
        (
            "table=5,priority=3,actions=learn(table=6,idle_timeout=5,eth_type=0x800,in_port,udp_dst=udp_src,load:reg1->reg2)",
            "until unused for 5 s",
        ),
        ("table=5,priority=3,actions=write_actions(output:1)", "at the end of the pipeline: go to port 1"),
        ("table=5,priority=3,actions=check_pkt_larger(1400)->reg0[3]", "larger than 1400 bytes"),
        ("table=5,priority=3,actions=enqueue:1:7", "use queue 7"),
        (
            "table=5,priority=3,actions=push_vlan:0x8100,pop:reg0,push:reg1,exit,multipath(eth_src,0,hrw,1,0,reg0[])",
            "multipath",
        ),
        ("table=5,priority=3,idle_timeout=60,duration=3s,idle_age=10,actions=drop", "gone in 50 s unless refreshed"),
    ],
)
def test_a_flow_of_an_unknown_pipeline_is_told_field_by_field(flow: str, words: str) -> None:
    assert words in sentence(flow, "br0")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 20),
        ("table=20", 4),
        ("table=20 and n_packets>1", 2),
        ("table=20 or table=22", 6),
        ("not (table=20 or table=22)", 14),
        ("priority==2 and arp", 1),
        ("dl_dst=fa:16:3e:df:c9:3b", 1),
        ("dl_dst!=fa:16:3e:df:c9:3b and table=20", 3),
        ("learn", 4),
        ("drop and table<5", 3),
        ("actions~resubmit", 7),
        ("remaining>0", 3),
        ("in_port=1", 1),
        ("cookie=0x650fc4e1a50ef5db", 20),
        ('actions="resubmit(,22)"', 2),
        ("flags!=x", 20),
        ("NOT table<20 AND (learn OR table=20)", 4),
    ],
)
def test_a_filter_takes_what_it_says(text: str, count: int) -> None:
    dump = read_dump((LAST / "compute1" / "dump-flows_br-tun").read_text())
    test, decoder = read_filter(text), Decoder()
    assert sum(test(flow, decoder) for flow in dump.flows) == count


@pytest.mark.parametrize(
    "text",
    [
        "table=",
        "table=x",
        "(table=1",
        "table=1 table=2",
        "nosuch=1",
        "and",
        "dl_dst>1",
        "!",
        "table=1 and",
        "(" * 5000,
        "not " * 5000,
    ],
)
def test_a_filter_that_is_none_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(Invalid, match="write for example"):
        read_filter(text)


@pytest.mark.parametrize(
    ("text", "place", "wrong"),
    [
        ("table=20 an dl_dst=fa:16:3e:00:00:22", 10, "'an' is one word too many"),
        ("table=20 and  nosuch=1", 15, "nothing is called 'nosuch'"),
        ("  table=x", 9, "table is a number, not 'x'"),
        ("table=1 and (drop or learn", 27, "the bracket of character 13 is not closed"),
        ("table=1 and", 12, "something is missing at its end"),
        ('table=1 and "drop"', 13, "'drop' stands where a name should"),
        ("table=1 and !", 13, "'!' is not understood"),
    ],
)
def test_a_filter_that_is_none_is_told_where(text: str, place: int, wrong: str) -> None:
    with pytest.raises(Invalid, match=re.escape(f"in the filter, at character {place}: {wrong}")):
        read_filter(text)


@pytest.mark.parametrize(
    ("wanted", "is_taken"),
    [("nw_src=10.1.2.3", True), ("nw_src=10.1.0.0/16", True), ("nw_src=10.0.0.0/8", True), ("nw_src=10.1.2.4", False)],
)
def test_an_address_takes_flows_that_ask_for_it_or_for_one_within(wanted: str, *, is_taken: bool) -> None:
    exact, wider = read_dump("ip,nw_src=10.1.2.3 actions=drop\nip,nw_src=10.0.0.0/7 actions=drop").flows
    test, decoder = read_filter(wanted), Decoder()
    assert test(exact, decoder) is is_taken
    assert not test(wider, decoder)


@pytest.mark.parametrize("text", ["(" * 199 + "drop" + ")" * 199, "not " * 398 + "drop", " or ".join(["drop"] * 200)])
def test_the_longest_filters_work(text: str) -> None:
    dump = read_dump((LAST / "compute1" / "dump-flows_br-tun").read_text())
    test, decoder = read_filter(text), Decoder()
    assert sum(test(flow, decoder) for flow in dump.flows) == sum(flow.actions_text == "drop" for flow in dump.flows)


def test_a_frame_of_a_distributed_router_and_a_closed_port_have_reasons_of_their_own() -> None:
    """Both stand at priority 2 of br-int's table 0."""
    dump = read_dump((NEUTRON.parent / "pipelines" / "dvr-int.flows").read_text())
    decoder = Decoder()
    told = explain(dump.flows, alone("br-int", dump.flows, decoder), decoder)
    reasons = {each.flow.match_text: each.sentence.rpartition("; ")[2] for each in told if each.flow.priority == 2}
    assert reasons["in_port=1,dl_src=fa:16:3f:bb:bb:bb"] == "another host's distributed router sent it."
    assert reasons["in_port=2"] == "nothing else may come in by this port."


def test_spelling_cookies_and_counters_are_no_difference() -> None:
    one = read_dump(
        "cookie=0x1, table=4, n_packets=9, priority=1,tun_id=0x3e9 actions=mod_vlan_vid:1,resubmit(,10)\n"
        "cookie=0x1, table=22, priority=1,dl_vlan=1 actions=strip_vlan,load:0x3e9->NXM_NX_TUN_ID[],output:2"
    )
    two = read_dump(
        "table=22, priority=1,vlan_vid=0x1001 actions=pop_vlan,set_field:0x3e9->tun_id,output:2\n"
        "table=4, priority=1,tun_id=1001 actions=push_vlan:0x8100,set_field:4097->vlan_vid,goto_table:10"
    )
    assert not difference(Side(one.flows, Decoder()), Side(two.flows, Decoder()))
    found = difference(Side(one.flows, Decoder()), Side(two.flows, Decoder()), with_cookies=True)
    assert len(found.changed) == 2


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("enqueue:1:2", "set_queue:2,output:1,pop_queue"),
        ("mod_vlan_pcp:3", "set_field:3->vlan_pcp"),
        ("load:0xf005->NXM_OF_VLAN_TCI[]", "mod_vlan_vid:5,mod_vlan_pcp:7"),
        ("load:0->NXM_OF_VLAN_TCI[]", "strip_vlan"),
        ("load:1->NXM_NX_REG1[],load:2->NXM_NX_REG0[]", "set_field:0x200000001->xreg0"),
        ("load:1->NXM_NX_REG0[0..3],load:2->NXM_NX_REG0[4..7]", "load:0x21->NXM_NX_REG0[0..7]"),
        ("clone(resubmit(,5))", "clone(goto_table:5)"),
        ("mod_nw_tos:184", "set_field:46->ip_dscp"),
        ("set_field:1->in_port", "load:1->NXM_OF_IN_PORT[]"),
        ("set_field:5->reg0[3..9]", "load:5->NXM_NX_REG0[3..9]"),
    ],
)
def test_actions_that_do_the_same_are_no_difference(left: str, right: str) -> None:
    one, two = (read_dump(f"table=0,priority=1,actions={actions}") for actions in (left, right))
    assert not difference(Side(one.flows, Decoder()), Side(two.flows, Decoder()))


def test_added_removed_and_changed_flows_are_told_apart() -> None:
    one = read_dump("table=1,priority=1,in_port=1,actions=drop\ntable=1,priority=2,actions=drop")
    two = read_dump("table=1,priority=1,in_port=1,actions=output:2\ntable=1,priority=3,actions=drop")
    found = difference(Side(one.flows, Decoder()), Side(two.flows, Decoder()))
    assert ([flow.priority for flow in found.added], [flow.priority for flow in found.removed]) == ([3], [2])
    assert [(was.actions_text, now.actions_text) for was, now in found.changed] == [("drop", "output:2")]


def test_the_names_of_ports_are_no_difference() -> None:
    folder = LAST / "compute1"
    result = CliRunner().invoke(command, ["diff", str(folder), str(folder), "--json"])
    assert result.exit_code == 0
    assert [each["added"] for each in json.loads(result.output)] == [[], []]


def test_two_moments_differ_by_what_was_wired_and_learned_between_them() -> None:
    before = str(NEUTRON / "1-no-tenant-networks" / "compute1")
    result = CliRunner().invoke(command, ["diff", before, str(LAST / "compute1"), "--bridge", "br-tun"])
    assert result.exit_code == 1
    assert "same 15, added 5, removed 0, changed 0" in result.output


def test_watching_tells_birth_refreshment_and_death() -> None:
    entry = "table=20, duration={}s, hard_timeout=300, {}priority=1,dl_dst=fa:16:3e:00:00:0{} actions=output:2\n"
    before = read_dump(entry.format(10, "", 1) + entry.format(299, "", 2) + entry.format(20, "hard_age=15, ", 3))
    after = read_dump(
        entry.format(12, "hard_age=1, ", 1) + entry.format(0, "", 4) + entry.format(22, "hard_age=17, ", 3)
    )
    found = events(Side(before.flows, Decoder()), Side(after.flows, Decoder()), elapsed_s=2)
    assert [(event.happening, event.flow.match_text[-1]) for event in found] == [
        (Happening.WRITTEN, "4"),
        (Happening.REFRESHED, "1"),
        (Happening.EXPIRED, "2"),
    ]


def test_an_address_that_is_none_is_refused_by_a_filter() -> None:
    dump = read_dump("table=0,actions=drop")
    with pytest.raises(Invalid, match="Ethernet"):
        read_filter("dl_dst=nobody")(dump.flows[0], Decoder())


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0s"), (59, "59s"), (61, "1m01s"), (3600, "1h00m"), (90000, "1d01h"), (10**7, "115d17h")],
)
def test_a_duration_has_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_filter_that_takes_nothing_says_so() -> None:
    done = run("show", str(LAST), "table=99")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "no flow is like that\n")
    assert run("show", str(LAST), "table=99", "and", "(learn", "OR", "arp)").stderr == "no flow is like that\n"
    assert "; 'vm2' alone is a protocol or an action: write in_port=vm2 for" in run("show", str(LAST), "vm2").stderr


def test_a_port_is_found_by_its_name() -> None:
    found = objects("show", str(LAST), "--host", "compute1", "in_port=tapa73ec503-6b")
    assert {flow["bridge"] for flow in found} == {"br-int"}


def test_a_flow_on_the_command_line_is_explained() -> None:
    (found,) = objects("explain", "table=3,priority=1,in_port=1,actions=drop")
    assert found["explanation"] == "Frames from port 1 are dropped."


def test_what_cannot_be_read_is_in_the_json_too(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_text("garbage\n table=0, priority=1,nosuch=1 actions=drop\n table=0, actions=drop\n")
    found = objects("explain", str(path))
    assert [each["understood"] for each in found] == [False, True, False]
    assert f"{path}:2:22" in str(found[0]["problem"])


def run(*words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """`warren flows …` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "warren", "flows", *words], input=stdin, capture_output=True, text=True, check=False
    )


def test_a_pipe_is_a_source_and_one_that_nobody_writes_to_is_no_hang(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert run("show", str(pipe)).stderr == f"warren: {pipe} is empty\n"
    reader, writer = os.pipe()
    os.write(writer, b" table=0, priority=1,in_port=1 actions=drop\n")
    os.close(writer)
    with os.fdopen(reader, "rb"):
        (found,) = objects("show", f"/dev/fd/{reader}")
    assert found["explanation"] == "Frames from port 1 are dropped."


def test_a_dump_of_a_bridge_without_flows_has_none() -> None:
    done = run("show", "-", stdin="OFPST_FLOW reply (OF1.3) (xid=0x2):\n")
    assert (done.returncode, done.stdout) == (0, "standard input  (0 flows)\n")


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 300)
    done = run("show", str(path / "dump"))
    assert done.returncode == 2
    assert done.stderr.endswith(": File name too long\n")
    assert done.stderr.count("\n") == 1


def changed(folder: Path, *edits: tuple[str, str, str]) -> Path:
    """A copy of the last stage with texts replaced in files; each must change something."""
    shutil.copytree(LAST, folder, dirs_exist_ok=True)
    for pattern, old, new in edits:
        paths = [path for path in folder.glob(pattern) if path.is_file() and old in path.read_text()]
        assert paths, f"{old} is nowhere in {pattern}"
        for path in paths:
            path.write_text(path.read_text().replace(old, new))
    return folder


def told(folder: Path, host: str, wanted: str, bridge: str) -> str:
    (found,) = objects("explain", str(folder), wanted, "--host", host, "--bridge", bridge, *NAMES)
    return str(found["explanation"])


def test_a_key_of_gre_is_no_vni(tmp_path: Path) -> None:
    gre = changed(tmp_path, ("*/*", "vxlan", "gre"))
    entry = told(gre, "compute1", "table=20 and dl_dst=fa:16:3e:df:c9:3b", "br-tun")
    assert entry.startswith("Frames of network 'private' (GRE key 5872, here VLAN 1) for fa:16:3e:df:c9:3b")
    assert "without a tag and with GRE key 5872;" in entry
    assert not [each for each in objects("explain", str(gre), *NAMES) if "VNI" in str(each["explanation"])]


def test_a_vlan_of_a_physical_network_is_not_taken_for_the_local_one_of_that_number(tmp_path: Path) -> None:
    """A provider's VLAN 1, which is local VLAN 2 here; local VLAN 1 is another network."""
    vlan = changed(
        tmp_path,
        (
            "network/dump-flows_br-int",
            "in_port=1,vlan_tci=0x0000/0x1fff actions=mod_vlan",
            "in_port=1,dl_vlan=1 actions=mod_vlan",
        ),
        ("network/dump-flows_br-ex", "dl_vlan=2 actions=strip_vlan,", "dl_vlan=2 actions=mod_vlan_vid:1,"),
        ("network/ovs-vsctl_list_port", "network_type=flat,", 'network_type=vlan, segmentation_id="1",'),
    )
    inwards = told(vlan, "network", "table=0 and priority=3", "br-int")
    assert inwards.startswith("Frames of outside VLAN 1 from int-br-ex to phy-br-ex go on to table 58")
    assert "with the tag of network 'public' (here VLAN 2)" in inwards
    outwards = told(vlan, "network", "priority=4", "br-ex")
    assert outwards.startswith("Frames of network 'public' (here VLAN 2) from phy-br-ex to int-br-ex are switched")
    assert "with the tag of outside VLAN 1" in outwards


def test_a_host_that_is_not_there_is_refused_with_those_that_are() -> None:
    done = run("show", str(LAST), "--host", "compute9")
    assert done.returncode == 2
    assert "there are compute1 br-int, compute1 br-tun, compute2 br-" in done.stderr


def test_a_comparison_says_what_it_could_not_read(tmp_path: Path) -> None:
    path = tmp_path / "dump"
    path.write_text("garbage\n table=0, actions=drop\n")
    done = run("diff", str(path), str(path))
    assert done.returncode == 1
    assert f"{path}:1:1" in done.stderr


@pytest.mark.parametrize(
    ("actions", "predicate"),
    [
        ("mod_vlan_vid:3,dec_ttl", "ends here, with the tag of local VLAN 3 and with the TTL reduced by one"),
        ("learn(table=20,priority=1)", "teaches table 20 for good that frames with anything are dropped"),
        ("ct(table=3,zone=1)", "passes the connection tracker in zone 1 and goes on to table 3 with its verdict"),
        ("output:1,resubmit(,3)", "goes to port 1, then goes on to table 3"),
    ],
)  # fmt: skip
def test_every_verb_of_everything_else_is_singular(actions: str, predicate: str) -> None:
    (found,) = objects("explain", f"table=0,priority=0,actions={actions}")
    assert found["explanation"] == f"Everything else here {predicate}."
