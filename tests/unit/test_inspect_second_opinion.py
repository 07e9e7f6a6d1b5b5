"""Open vSwitch's own Python parser, `ovs.flow`, reads a real Neutron's dumps to the same values, where it can."""

from pathlib import Path
from typing import Any

import pytest
from ovs.flow.ofp import OFPFlow

from warren.inspect.decode import Decoder, Meaning
from warren.inspect.parse import actions as a
from warren.inspect.parse.dump import Flow, read_dump
from warren.inspect.parse.match import read_match

NEUTRON = Path(__file__).parents[1] / "fixtures" / "neutron"
DUMPS = sorted(path for path in NEUTRON.glob("*/*/dump-flows_br-*"))
SET = ("load", "set_field", "mod_dl_src", "mod_dl_dst", "mod_nw_src", "mod_nw_dst", "mod_tp_src", "mod_tp_dst")
KINDS: dict[str, type] = {
    **dict.fromkeys(SET, a.SetField),
    "output": a.Output,
    "NORMAL": a.Output,
    "resubmit": a.Resubmit,
    "strip_vlan": a.PopVlan,
    "mod_vlan_vid": a.SetVlan,
    "learn": a.Learn,
    "ct": a.Ct,
    "conjunction": a.Conjunction,
    "ct_clear": a.Named,
    "move": a.Move,
}


def of_theirs(match: dict[str, Any]) -> str:
    """Their match as text that we can read."""
    terms = (key if value is True else f"{key}={value}" for key, value in match.items() if key != "priority")
    return ",".join(terms)


@pytest.mark.parametrize("path", DUMPS, ids=lambda path: "-".join(path.parts[-3:]))
def test_both_parsers_agree_on_every_flow(path: Path) -> None:
    decoder = Decoder()
    text = path.read_text()
    lines = text.splitlines()
    dump = read_dump(text)
    assert dump.flows
    for flow in dump.flows:
        theirs = OFPFlow(lines[flow.line - 1].strip())
        agree(flow, decoder, theirs)


def agree(flow: Flow, decoder: Decoder, theirs: Any) -> None:
    said = theirs.info
    assert said.get("table", 0) == flow.table
    assert said.get("cookie", 0) == flow.cookie
    assert said.get("n_packets") == flow.n_packets
    assert said.get("duration") == flow.duration_s
    assert (said.get("hard_timeout", 0), said.get("hard_age")) == (flow.hard_timeout_s, flow.hard_age_s)
    assert theirs.match.get("priority", 32768) == flow.priority
    meaning = decoder.meaning(flow)
    assert isinstance(meaning, Meaning)
    assert read_match(of_theirs(theirs.match), {}) == meaning.match
    names = [next(iter(action)) for action in theirs.actions if "drop" not in action]
    kinds = [type(action) for action in meaning.actions]
    assert [KINDS[name] for name in names if name in KINDS] == [
        kind for name, kind in zip(names, kinds, strict=True) if name in KINDS
    ]
