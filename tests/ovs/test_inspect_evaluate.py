"""The evaluator against ofproto/trace: the same lookups, the same copies with the same headers, the same ends.

Pipelines: a real Neutron's dumps, Neutron's other modes, Warren's own, random ones. Reach is proven, and so is that
faults planted in the evaluator are seen.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import pytest

from warren.core.state import TunnelMode
from warren.inspect.evaluate import changes, classifier, run
from warren.inspect.evaluate.hosts import models_of
from warren.inspect.evaluate.model import Assumed, BridgeModel, Tracking
from warren.inspect.evaluate.outcome import Outcome
from warren.inspect.evaluate.packet import packet
from warren.inspect.evaluate.run import evaluate
from warren.inspect.normal import normal_actions
from warren.inspect.parse import actions
from warren.inspect.parse.groups import read_groups
from warren.inspect.parse.values import CT_STATE
from warren.testing.bench import Bench
from warren.testing.ovs import PrivateOvs, private_ovs
from warren.testing.packets import Packets
from warren.testing.random_pipelines import MACS, random_pipeline
from warren.testing.referee import host_of, packet_text, verdict
from warren.testing.states import full_scene

FIXTURES = Path(__file__).parents[1] / "fixtures"
SECURE = ("fail_mode=secure", "protocols=OpenFlow10,OpenFlow13,OpenFlow15")
STATES = ("trk,new", "trk,est", "trk,est,rpl", "trk,rel", "trk,inv")


@dataclass(slots=True)
class Match:
    """A run of packets: what was reached, and where the two disagreed."""

    visited: Counter[tuple[str, int | str, str | None]] = field(default_factory=Counter)
    not_modelled: Counter[str] = field(default_factory=Counter)
    disagreements: list[str] = field(default_factory=list)


def play(ovs: PrivateOvs, models: Mapping[str, BridgeModel], count: int, seed: int = 1) -> Match:
    """Give the same packets to both."""
    packets, ports, match = Packets(models, seed), ovs.datapath_ports(), Match()
    for number in range(count):
        bridge, values = packets.next()
        state = STATES[number % len(STATES)]
        tracking = Tracking(state=sum(CT_STATE[name] for name in state.split(",")))
        outcome: Outcome = evaluate(models, bridge, values, Assumed(tracking=tracking))
        for step in outcome.steps:
            match.visited[step.bridge, step.table, str(step.flow) if step.flow else None] += 1
        if outcome.not_modelled:
            match.not_modelled.update(outcome.not_modelled)
            continue
        text = packet_text(values)
        said = ovs.appctl("ofproto/trace", bridge, text, *(["--ct-next", state] * 8))
        different = verdict(outcome, models, said, ports)
        if different:
            match.disagreements.append(f"{bridge} {text} ct_state={state}: {different}\n{said}")
    return match


def laid_out(ovs: PrivateOvs, bridge: str, ports: int) -> None:
    ovs.vsctl("--may-exist", "add-br", bridge, "--", "set", "bridge", bridge, *SECURE)
    for number in range(1, ports + 1):
        name = f"{bridge}-{number}"
        ovs.vsctl("add-port", bridge, name, "--", "set", "interface", name, f"ofport_request={number}")


@pytest.fixture
def ovs() -> Iterator[PrivateOvs]:
    with private_ovs() as switch:
        yield switch


def install(ovs: PrivateOvs, tmp_path: Path, bridge: str, text: str, version: str = "OpenFlow13") -> None:
    path = tmp_path / "flows"
    path.write_text(re.sub(r"(idle|hard)_timeout=\d+, ", "", text))
    ovs.ofctl("-O", version, "add-flows", bridge, str(path))


def neutron(ovs: PrivateOvs, tmp_path: Path) -> Mapping[str, BridgeModel]:
    """br-int and br-tun of a compute host of a real Neutron, with its flows, ports and tags."""
    for bridge in ("br-int", "br-tun"):
        ovs.vsctl("add-br", bridge, "--", "set", "bridge", bridge, *SECURE)
    patch = ("type=patch", "ofport_request=1")
    ovs.vsctl(
        "add-port", "br-int", "patch-tun", "--", "set", "interface", "patch-tun", *patch, "options:peer=patch-int"
    )
    ovs.vsctl(
        "add-port", "br-tun", "patch-int", "--", "set", "interface", "patch-int", *patch, "options:peer=patch-tun"
    )
    ovs.vsctl("add-port", "br-int", "tap1", "tag=1", "--", "set", "interface", "tap1", "ofport_request=2")
    for number in (2, 3):
        name = f"vxlan{number}"
        ovs.vsctl("add-port", "br-tun", name, "--", "set", "interface", name, f"ofport_request={number}")
    for bridge in ("br-int", "br-tun"):
        path = FIXTURES / "neutron" / "6c-vm1-vm2-ping" / "compute1" / f"dump-flows_{bridge}"
        flows = "\n".join(line for line in path.read_text().splitlines() if "actions=" in line)
        stripped = re.sub(r"(duration|n_packets|n_bytes|idle_age|hard_age)=[0-9.]+s?, ", "", flows)
        install(ovs, tmp_path, bridge, stripped)
    return models_of(host_of(ovs, "OpenFlow13"))


def test_a_real_neutrons_bridges_are_followed_as_the_switch_follows_them(ovs: PrivateOvs, tmp_path: Path) -> None:
    models = neutron(ovs, tmp_path)
    match = play(ovs, models, 1500)
    assert match.disagreements == []
    assert not match.not_modelled
    reached = {(bridge, table) for bridge, table, _ in match.visited}
    assert {table for bridge, table in reached if bridge == "br-tun"} == {0, 2, 4, 10, 20, 22}
    assert {table for bridge, table in reached if bridge == "br-int"} == {
        0,
        58,
        59,
        60,
        71,
        72,
        73,
        81,
        82,
        91,
        92,
        93,
        94,
    }
    for table in (0, 60, 71, 72, 73, 81, 82):
        met = {flow for bridge, number, flow in match.visited if (bridge, number) == ("br-int", table)}
        assert len(met) > 1, f"table {table} was not both hit and missed"


@pytest.mark.parametrize(
    ("name", "ports", "tables"),
    [
        ("learning", 4, {0, 2, 3, 4, 10, 20, 22}),
        ("dvr", 2, {0, 1, 2, 4, 9, 10, 20, 21, 22}),
        ("dvr-int", 5, {0, 1, 3, 24, 25, 30, 58, 59, 60, 94}),
        ("havana", 3, {0, 1, 2, 3, 10, 20, 21}),
    ],
)
def test_every_mode_of_neutron_is_followed(
    ovs: PrivateOvs, tmp_path: Path, name: str, ports: int, tables: set[int]
) -> None:
    laid_out(ovs, "br0", ports)
    install(ovs, tmp_path, "br0", (FIXTURES / "pipelines" / f"{name}.flows").read_text())
    models = models_of(host_of(ovs, "OpenFlow13"))
    match = play(ovs, models, 2000)
    assert match.disagreements == []
    assert not match.not_modelled
    assert {table for _, table, _ in match.visited} == tables
    for table, model in models["br0"].tables.items():
        flows = sum(len(rules) for subtable in model.subtables for rules in subtable.rules.values())
        met = {flow for _, number, flow in match.visited if number == table}
        assert len(met) > 1 or flows < 2 or table not in tables, f"table {table} was not both hit and missed"


@pytest.mark.parametrize("mode", list(TunnelMode))
def test_warrens_own_bridges_are_followed(bench: Bench, mode: TunnelMode) -> None:
    bench.apply(full_scene(mode))
    match = play(bench.ovs, models_of(host_of(bench.ovs, "OpenFlow13")), 1000)
    assert match.disagreements == []
    assert not match.not_modelled
    reached = {table for bridge, table, _ in match.visited if bridge == "br-int"}
    assert reached == {0, 24, 25, 60, 61, 62}


@pytest.mark.parametrize("seed", range(6))
def test_random_tables_are_followed_or_said_not_to_be_modelled(ovs: PrivateOvs, tmp_path: Path, seed: int) -> None:
    laid_out(ovs, "br0", 5)
    ovs.vsctl("set", "port", "br0-2", "tag=2")
    ovs.vsctl("set", "port", "br0-3", "tag=1", "vlan_mode=native-untagged")
    for vlan, mac in product(range(4), MACS[:3]):
        ovs.appctl("fdb/add", "br0", f"br0-{(vlan + int(mac[-1])) % 5 + 1}", str(vlan), mac)
    install(ovs, tmp_path, "br0", "\n".join(random_pipeline(seed)), "OpenFlow10")
    match = play(ovs, models_of(host_of(ovs, "OpenFlow10")), 400, seed)
    assert match.disagreements == []
    assert all(reason.startswith(("whether mod_vlan_vid", "more than 32 passes")) for reason in match.not_modelled)
    assert sum(match.not_modelled.values()) < 300
    assert len({table for _, table, _ in match.visited}) > 5


PARTICULAR = (
    "exit,output:2",
    "clone(output:2,exit),output:3",
    "resubmit(,1),output:2",
    "resubmit(,2),output:2",
    "clone(resubmit(,2)),output:2",
    "resubmit:2,output:3",
    "clone(clone(exit),output:2),output:3",
    "group:1,output:2",
    "group:2",
    "clone(group:2),output:4",
    "output:2,write_actions(output:3,set_field:00:00:00:00:00:09->eth_dst)",
    "write_actions(output:3,dec_ttl,push_vlan:0x8100),goto_table:3",
    "write_actions(output:3),goto_table:3",
    "write_actions(output:3,group:1),goto_table:1",
    "clear_actions,write_actions(output:3)",
    "output(port=3,max_len=64),output:2",
    "output:1,IN_PORT",
    "load:2->NXM_OF_IN_PORT[],output:1,output:2",
    "load:9->NXM_NX_REG0[],output:NXM_NX_REG0[0..15],load:3->NXM_NX_REG0[],output:NXM_NX_REG0[]",
    "push:NXM_NX_REG0[],load:2->NXM_NX_REG0[],pop:NXM_NX_REG1[],output:NXM_NX_REG0[]",
    "push_vlan:0x8100,set_field:4101->vlan_vid,output:2,push_vlan:0x8100,set_field:4102->vlan_vid,output:3,pop_vlan,output:4",
    "push_vlan:0x8100,set_field:3->vlan_pcp,output:2",
    "dec_ttl,output:2,dec_ttl(1,2),output:3",
    "set_field:1.2.3.4/255.255.0.0->ip_dst,output:2",
    "move:NXM_OF_IP_SRC[0..15]->NXM_OF_IP_DST[16..31],output:2",
    "set_field:7->tcp_dst,set_field:2->nw_ecn,set_field:9->nw_ttl,output:2",
    "ct_clear,ct(commit,zone=5,exec(set_field:3->ct_mark)),output:2",
    "FLOOD,output:2,ALL",
    "NORMAL,exit",
    "CONTROLLER,LOCAL",
)


@pytest.mark.parametrize("said", PARTICULAR)
def test_each_action_does_what_it_does_in_the_switch(bare: PrivateOvs, tmp_path: Path, said: str) -> None:
    bare.ofctl("-O", "OpenFlow13", "del-flows", "br0")
    tables = (
        f"table=0,tcp,actions={said}\ntable=1,actions=output:3\ntable=2,actions=output:3,exit\n"
        "table=3,actions=set_field:00:00:00:00:00:05->eth_dst,output:4\n"
    )
    install(bare, tmp_path, "br0", tables)
    models = models_of(host_of(bare, "OpenFlow13"))
    groups, _ = read_groups(bare.ofctl("-O", "OpenFlow13", "dump-groups", "br0"))
    models["br0"].groups = {group.id: group for group in groups}
    text = "in_port=1,tcp,dl_src=00:00:00:00:00:01,dl_dst=00:00:00:00:00:02,nw_src=10.0.0.1,nw_dst=10.0.0.2,nw_ttl=9"
    outcome = evaluate(models, "br0", packet(text))
    assert outcome.not_modelled == ()
    assert verdict(outcome, models, bare.appctl("ofproto/trace", "br0", text), bare.datapath_ports()) == ""


@pytest.fixture(scope="module")
def bare() -> Iterator[PrivateOvs]:
    with private_ovs() as switch:
        laid_out(switch, "br0", 4)
        for group in (
            "group_id=1,type=indirect,bucket=actions=output:2",
            "group_id=2,type=all,bucket=output:2,bucket=output:3",
        ):
            switch.ofctl("-O", "OpenFlow13", "add-group", "br0", group)
        yield switch


def test_what_packets_teach_is_what_the_switch_learns(ovs: PrivateOvs, tmp_path: Path) -> None:
    """With `-generate` ofproto/trace carries learn() out."""
    laid_out(ovs, "br0", 4)
    install(ovs, tmp_path, "br0", (FIXTURES / "pipelines" / "learning.flows").read_text())
    models = models_of(host_of(ovs, "OpenFlow10"))
    packets, taught = Packets(models, seed=3), 0
    for _ in range(400):
        bridge, values = packets.next()
        outcome = evaluate(models, bridge, values)
        if not outcome.not_modelled:
            ovs.appctl("ofproto/trace", bridge, packet_text(values), "-generate")
            models[bridge].learn(outcome.learned)
            taught += len(outcome.learned)
    assert taught > 20
    assert learned_by(models) == learned_by(models_of(host_of(ovs, "OpenFlow10")))


def learned_by(models: Mapping[str, BridgeModel]) -> dict[tuple[int, str], str]:
    """(priority, match) -> actions in normal form, of table 20."""
    return {
        (rule.flow.priority, str(rule.match)): actions.print_actions(normal_actions(rule.actions))
        for subtable in models["br0"].tables[20].subtables
        for rules in subtable.rules.values()
        for rule in rules
    }


def test_a_fault_in_the_evaluator_is_seen(ovs: PrivateOvs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of these is a mistake that somebody could make; each must be told from the truth."""
    models = neutron(ovs, tmp_path)
    assert play(ovs, models, 300).disagreements == []

    def does_nothing(scope: object, action: object) -> None:
        """An action that is forgotten."""

    def takes_the_lowest(table: classifier.Table, values: list[int]) -> classifier.Rule | None:
        found = [rule for rule in table._matching(values) if not rule.conjunctions]
        return min(found, key=lambda rule: rule.flow.priority, default=None)

    def ignores_conjunctions(table: classifier.Table, values: list[int]) -> classifier.Rule | None:
        return table._lookup(values)

    faults = {
        "strip_vlan does nothing": (changes.CHANGES, actions.PopVlan, does_nothing),
        "push_vlan pushes nothing": (changes.CHANGES, actions.PushVlan, does_nothing),
        "registers are not written": (changes.CHANGES, actions.SetField, does_nothing),
        "nothing is output": (run._HANDLERS, actions.Output, lambda *_: True),
        "ct() is skipped": (run._HANDLERS, actions.Ct, lambda *_: True),
    }
    for name, (table, kind, fault) in faults.items():
        with monkeypatch.context() as patched:
            patched.setitem(table, kind, fault)
            assert play(ovs, models, 300).disagreements, name
    for name, lookup in (("lowest priority wins", takes_the_lowest), ("no conjunctions", ignores_conjunctions)):
        with monkeypatch.context() as patched:
            patched.setattr(classifier.Table, "lookup", lookup)
            assert play(ovs, models, 600).disagreements, name
