"""The parser against a real switch: whatever it prints, in every form, reads to the flow that was put in."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from warren.core.errors import Rejected
from warren.inspect.normal import normal_actions
from warren.inspect.parse.actions import Action, print_actions
from warren.inspect.parse.dump import read_dump
from warren.inspect.parse.fields import BY_NAME
from warren.inspect.parse.match import Match, read_match
from warren.inspect.parse.read_actions import Names, read_actions
from warren.testing.flow_texts import MATCH_FIELDS, random_flows
from warren.testing.ovs import PrivateOvs, private_ovs

PORTS = {f"p{number}": number for number in range(1, 6)}
VERSIONS = "OpenFlow10,OpenFlow11,OpenFlow12,OpenFlow13,OpenFlow14,OpenFlow15"
LOST_IN_OPENFLOW_10 = ("push_vlan", "/ff:ff:ff:00:00:00->", "/8->ip_src")
"""Actions that the switch prints as something else, or not at all, when asked in OpenFlow 1.0."""


class Meaning(NamedTuple):
    table: int | str
    cookie: int
    match: Match
    actions: tuple[Action, ...]
    timeouts: tuple[int, int]
    flags: str


@pytest.fixture(scope="module")
def ovs() -> Iterator[PrivateOvs]:
    with private_ovs() as switch:
        switch.vsctl("add-br", "br0", "--", "set", "bridge", "br0", f"protocols={VERSIONS}")
        for name, number in PORTS.items():
            switch.vsctl("add-port", "br0", name, "--", "set", "interface", name, f"ofport_request={number}")
        switch.ofctl("del-flows", "br0")
        yield switch


def meanings(text: str) -> Mapping[int, Meaning]:
    """Priority -> what the flow means; every part also survives being printed."""
    dump = read_dump(text)
    assert dump.problems == ()
    found = {}
    for flow in dump.flows:
        match = read_match(flow.match_text, PORTS)
        actions = read_actions(flow.actions_text, Names(ports=PORTS, tables={}))
        assert read_match(str(match), PORTS) == match, flow.match_text
        assert read_actions(print_actions(actions)) == actions, flow.actions_text
        timeouts = (flow.idle_timeout_s, flow.hard_timeout_s)
        found[flow.priority] = Meaning(
            flow.table,
            flow.cookie,
            match,
            normal_actions(actions),
            timeouts,
            flow.flags.replace("reset_counts", "").strip(),
        )
    return found


def install(ovs: PrivateOvs, path: Path, flows: list[str]) -> list[str]:
    """Those that the switch takes, in OpenFlow 1.5 or else 1.0. What it refuses is no flow that it could print."""
    likely_first = sorted(flows, key=lambda flow: "strip_vlan" in flow)  # not in OpenFlow 1.5: refused together
    taken = accepted(ovs, path, "OpenFlow15", likely_first)
    others = [flow for flow in flows if flow not in taken and not any(lost in flow for lost in LOST_IN_OPENFLOW_10)]
    return taken + accepted(ovs, path, "OpenFlow10", others)


def accepted(ovs: PrivateOvs, path: Path, version: str, flows: list[str]) -> list[str]:
    """Those that the switch takes in this version. Of a refused file the halves are tried: it is one process a file."""
    path.write_text("".join(f"{flow}\n" for flow in flows))
    try:
        ovs.ofctl("-O", version, "add-flows", "br0", str(path))
    except Rejected:
        half = len(flows) // 2
        halves = (flows[:half], flows[half:]) if half else ()
        return [flow for part in halves for flow in accepted(ovs, path, version, part)]
    return flows


def test_whatever_the_switch_prints_reads_to_what_was_installed(ovs: PrivateOvs, tmp_path: Path) -> None:
    written = list(random_flows(seed=7, count=450))
    installed = install(ovs, tmp_path / "flow", written)
    assert len(installed) > 0.95 * len(written)
    expected = meanings("\n".join(installed))
    for version in ("OpenFlow10", "OpenFlow13", "OpenFlow15"):
        for options in ((), ("--no-stats", "--sort"), ("--names",), ("--names", "--color=always")):
            read = meanings(ovs.ofctl("-O", version, *options, "dump-flows", "br0"))
            assert read.keys() == expected.keys()
            for text in installed:
                priority = int(text.partition("priority=")[2].partition(",")[0])
                wanted = expected[priority]
                if version == "OpenFlow10":
                    wanted = wanted._replace(flags="")
                if version != "OpenFlow10" or not any(lost in text for lost in LOST_IN_OPENFLOW_10):
                    assert read[priority] == wanted, (version, options, text)
    matched = {term.cell.name for meaning in expected.values() for term in meaning.match}
    for name in MATCH_FIELDS:
        cells = {piece.cell.name for piece in BY_NAME[name].pieces} or {name}
        assert cells & matched, f"no flow matched {name}"


def test_parse_flows_of_ovs_ofctl_means_the_same(ovs: PrivateOvs, tmp_path: Path) -> None:
    """`ovs-ofctl parse-flows` as a second opinion on text that no switch has seen."""
    path = tmp_path / "flows"
    agreed = 0
    for flow in random_flows(seed=11, count=60):
        path.write_text(f"{flow}\n")
        try:
            said = ovs.ofctl("parse-flows", str(path))
        except Rejected:
            continue
        line = next((line for line in said.splitlines() if ": ADD " in line), "")
        if not line or any(lost in flow for lost in LOST_IN_OPENFLOW_10):
            continue
        respelled = line.partition(": ADD ")[2].replace(" cookie:", ",cookie=").replace("table:", "table=")
        respelled = respelled.replace(" idle:", ",idle_timeout=").replace(" hard:", ",hard_timeout=")
        assert meanings(respelled) == meanings(flow), flow
        agreed += 1
    assert agreed > 40
