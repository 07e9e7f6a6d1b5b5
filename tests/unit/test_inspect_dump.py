"""The outer form of a dumped flow."""

from pathlib import Path

import pytest

from warren.inspect.parse.dump import Flow, read_dump

NEUTRON = Path(__file__).parents[1] / "fixtures" / "neutron"

LEARNED = (
    " cookie=0x650fc4e1a50ef5db, duration=10.715s, table=20, n_packets=1, n_bytes=42, hard_timeout=300, idle_age=5, "
    "hard_age=5, priority=1,vlan_tci=0x0001/0x0fff,dl_dst=fa:16:3e:40:4a:b2 "
    "actions=load:0->NXM_OF_VLAN_TCI[],load:0x16f0->NXM_NX_TUN_ID[],output:3"
)


def only(line: str) -> Flow:
    dump = read_dump(line)
    assert dump.problems == ()
    assert len(dump.flows) == 1
    return dump.flows[0]


def test_every_part_of_a_learned_entry_is_read() -> None:
    flow = only(LEARNED)
    assert (flow.table, flow.priority, flow.cookie) == (20, 1, 0x650FC4E1A50EF5DB)
    assert (flow.n_packets, flow.n_bytes, flow.duration_s) == (1, 42, 10.715)
    assert (flow.hard_timeout_s, flow.idle_age_s, flow.hard_age_s, flow.remaining_s) == (300, 5, 5, 295)
    assert flow.match_text == "vlan_tci=0x0001/0x0fff,dl_dst=fa:16:3e:40:4a:b2"
    assert flow.actions_text == "load:0->NXM_OF_VLAN_TCI[],load:0x16f0->NXM_NX_TUN_ID[],output:3"
    assert LEARNED[flow.match_column - 1 :].startswith("vlan_tci")
    assert LEARNED[flow.actions_column - 1 :].startswith("load:0")


@pytest.mark.parametrize(
    "line",
    [
        " cookie=0x1, table=20, priority=1,in_port=2 actions=drop",
        "cookie=0x1, table=20, priority=1,in_port=2 actions=drop\r",
        "table=20,cookie=1,priority=1,in_port=2,actions=drop",
        "priority=1, in_port=2, cookie=0x1/-1, table=20, actions=drop",
        "table_id=20, duration=3s, n_packets=0, n_bytes=0, cookie=0x1, priority=1,in_port=2,actions=drop",
        (
            "\x1b[33m\x1b[Kcookie=\x1b[m0x1, table=\x1b[m20, \x1b[36mpriority=\x1b[m1,\x1b[33min_port=\x1b[m2 "
            "\x1b[1;31mactions=\x1b[mdrop"
        ),
    ],
)
def test_every_spelling_of_a_line_reads_to_the_same_flow(line: str) -> None:
    flow = only(line)
    assert (flow.table, flow.priority, flow.match_text, flow.actions_text) == (20, 1, "in_port=2", "drop")
    assert flow.cookie == 1


def test_an_unnamed_priority_is_the_default_and_an_unnamed_table_is_zero() -> None:
    flow = only(" actions=NORMAL")
    assert (flow.table, flow.priority, flow.match_text) == (0, 32768, "")


def test_flags_and_importance_are_read() -> None:
    flow = only(
        " cookie=0x0, duration=1s, table=1, n_packets=0, n_bytes=0, idle_timeout=60, hard_timeout=90, "
        "send_flow_rem check_overlap importance=7, idle_age=2, ip actions=drop"
    )
    assert (flow.flags, flow.importance, flow.match_text) == ("send_flow_rem check_overlap", 7, "ip")
    assert flow.remaining_s == 58


def test_named_ports_and_tables_with_spaces_and_commas_stay_whole() -> None:
    dump = read_dump(' table="my table", priority=1,in_port="a, b" actions=output:"c (d"', tables={"my table": 4})
    assert [(flow.table, flow.match_text) for flow in dump.flows] == [(4, 'in_port="a, b"')]


@pytest.mark.parametrize("duration", ["1.2.3s", "1e400s", "infs", "nans", "-5s", "1_0s", ".s"])
def test_a_duration_that_is_none_is_left_out(duration: str) -> None:
    flow = only(f" cookie=0x0, duration={duration}, table=0, n_packets=0, priority=1,ip actions=drop")
    assert flow.duration_s is None


@pytest.mark.parametrize("table", ["²", "٣", "9" * 5000])
def test_a_table_that_is_no_number_is_a_name(table: str) -> None:
    assert only(f"table={table}, priority=1,ip actions=drop").table == table


def test_a_cookie_may_begin_with_zeros() -> None:
    assert only("cookie=067,table=0,priority=1,ip actions=drop").cookie == 67


def test_headings_comments_and_blank_lines_are_no_problem() -> None:
    dump = read_dump("NXST_FLOW reply (xid=0x4):\nOFPST_FLOW reply (OF1.3) (xid=0x2): flags=[more]\n\n# note\n")
    assert dump.flows == ()
    assert dump.problems == ()


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        ("ovs-ofctl: br-tun is not a bridge or a socket", 1, "no actions"),
        (" table=0, priority=x actions=drop", 11, "priority is a number"),
        (" table=0, cookie=zz actions=drop", 11, "cookie"),
        (" table=0, \x1b]0;owned\x07 actions=drop", 11, "control character"),
    ],
)
def test_what_is_no_flow_is_named_with_its_place_and_the_rest_is_read(line: str, column: int, words: str) -> None:
    dump = read_dump(f"{LEARNED}\n{line}\n{LEARNED}", "f")
    assert len(dump.flows) == 2
    (problem,) = dump.problems
    assert (problem.file, problem.line, problem.column) == ("f", 2, column)
    assert words in problem.message
    assert str(problem).isprintable()


def test_a_line_of_ten_megabytes_is_read_in_time() -> None:
    long = "output:1," * 1_100_000
    assert read_dump(f" priority=1 actions={long}drop").problems == ()
    assert read_dump("x" * 10_000_000).flows == ()


def test_a_flow_printed_reads_back() -> None:
    flow = only(LEARNED)
    again = only(str(flow))
    assert again[:4] == flow[:4]
    assert again.hard_timeout_s == 300


def test_every_flow_of_a_real_neutron_reads() -> None:
    for path in NEUTRON.glob("*/*/dump-flows*"):
        text = path.read_text()
        dump = read_dump(text, str(path))
        assert dump.problems == ()
        assert len(dump.flows) == text.count(" actions=")
