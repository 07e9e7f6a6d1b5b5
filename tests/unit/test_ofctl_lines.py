"""Lines of `ovs-ofctl dump-flows` are read whole or refused; nothing is guessed."""

from pathlib import Path

import pytest

from warren.agent.drivers.ofctl import OfctlSwitch, flow_mods, parse_flow
from warren.core.errors import Rejected, Unreachable
from warren.pipeline.flow import Flow
from warren.reconcile.plan import Plan

DROP = Flow(table=0, priority=0, match="", actions="drop", cookie=0)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (" priority=0 actions=drop", DROP),
        (
            " cookie=0x1, table=2, idle_age=1, hard_age=2, priority=5,ip actions=drop",
            Flow(table=2, priority=5, match="ip", actions="drop", cookie=1),
        ),
        (" cookie=0x11, table=3, actions=NORMAL", Flow(table=3, priority=32768, match="", actions="NORMAL", cookie=17)),
        (
            " cookie=0xff000000000000, table=20, hard_timeout=9, priority=1,dl_dst=fa:16:3e:00:00:22 actions=output:2",
            Flow(
                table=20,
                priority=1,
                match="dl_dst=fa:16:3e:00:00:22",
                actions="output:2",
                cookie=0xFF000000000000,
                options="hard_timeout=9",
            ),
        ),
        (
            " cookie=0x1, idle_timeout=5, hard_timeout=9, send_flow_rem priority=1,ip actions=drop",
            Flow(
                table=0,
                priority=1,
                match="ip",
                actions="drop",
                cookie=1,
                options="idle_timeout=5,hard_timeout=9,send_flow_rem",
            ),
        ),
        (
            " cookie=0x1, priority=1,arp actions=learn(table=20,hard_timeout=5,priority=1),output:1",
            Flow(
                table=0, priority=1, match="arp", actions="learn(table=20,hard_timeout=5,priority=1),output:1", cookie=1
            ),
        ),
    ],
)
def test_a_line_is_read_whole(line: str, expected: Flow) -> None:
    assert parse_flow(line) == expected


@pytest.mark.parametrize("line", ["", "garbage", " priority=1 ", " cookie=0x1, news=5, priority=1,ip actions=drop"])
def test_a_line_of_another_form_is_refused_with_its_text(line: str) -> None:
    with pytest.raises(Rejected, match="cannot be read"):
        parse_flow(line)


def test_a_change_of_actions_alone_is_a_modification_and_any_other_replaces() -> None:
    kept = Flow(table=1, priority=2, match="ip", actions="output:3", cookie=5)
    other_cookie = Flow(table=1, priority=2, match="ip", actions="output:3", cookie=6)
    before = Flow(table=1, priority=2, match="ip", actions="drop", cookie=5)
    assert list(flow_mods(Plan(add={}, change={kept.key: (before, kept)}, remove={}))) == [
        "modify_strict table=1,cookie=0x5,priority=2,ip actions=output:3"
    ]
    assert list(flow_mods(Plan(add={}, change={kept.key: (before, other_cookie)}, remove={DROP.key: DROP}))) == [
        "delete_strict table=0,priority=0",
        "add table=1,cookie=0x6,priority=2,ip actions=output:3",
    ]


def test_without_ovs_ofctl_the_mend_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unreachable, match="apt-get install openvswitch-switch"):
        OfctlSwitch(bridge="br-int").installed()
