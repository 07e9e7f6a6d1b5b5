"""Laws of rendering, comparing and applying flows, on a real switch that keeps the example before."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warren.core.errors import Rejected, Unreachable
from warren.core.state import TunnelMode
from warren.inspect.parse import dump
from warren.pipeline import LEARNED, Flow, FlowKey, is_learned
from warren.reconcile.plan import Plan, plan
from warren.testing.bench import Bench
from warren.testing.states import NETWORKS, Scene, full_scene, mac, plugged_as, scenes

on_a_switch = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
LEARNING = full_scene(TunnelMode.LEARNING)
L2POP = full_scene(TunnelMode.L2POP)
BRIDGES = ("br-int", "br-tun", "br-ex")


@settings(on_a_switch, max_examples=40)
@given(scene=scenes())
def test_after_one_apply_nothing_is_left_to_do(bench: Bench, scene: Scene) -> None:
    bench.apply(scene)
    for name, flows in bench.desired(scene).items():
        installed = bench.bridge(name).installed()
        assert installed == flows.desired
        assert not flows.plan(installed)


@settings(on_a_switch, max_examples=8)
@given(path=st.lists(scenes(), max_size=3), scene=scenes())
def test_the_tables_do_not_depend_on_the_path_to_them(bench: Bench, path: list[Scene], scene: Scene) -> None:
    for before in path:
        bench.apply(before)
    bench.apply(scene)
    after_path = {name: bench.bridge(name).installed() for name in BRIDGES}
    for name in BRIDGES:
        bench.ovs.ofctl("del-flows", name)
    bench.apply(scene)
    assert after_path == {name: bench.bridge(name).installed() for name in BRIDGES}


@pytest.mark.parametrize("scene", [LEARNING, L2POP], ids=["learning", "l2pop"])
@pytest.mark.parametrize("bridge", BRIDGES)
@pytest.mark.parametrize("drift", ["missing", "actions", "cookie", "timeout", "extra"])
def test_every_flow_that_drifted_is_put_back_and_no_other_touched(
    bench: Bench, scene: Scene, bridge: str, drift: str
) -> None:
    bench.apply(scene)
    flows, switch = bench.desired(scene)[bridge], bench.bridge(bridge)
    for victim in list(flows.desired.values())[::5]:
        damage = drifted(victim, drift)
        bench.ovs.ofctl("-O", "OpenFlow14", "--bundle", "add-flows", bridge, "-", stdin=damage)
        mended = flows.plan(switch.installed())
        assert len(mended) == 1
        switch.apply(mended)
        assert switch.installed() == flows.desired


def drifted(victim: Flow, drift: str) -> str:
    """A flow-mod that does one kind of damage next to or at a flow."""
    match = f"table={victim.table},priority={victim.priority}" + (f",{victim.match}" if victim.match else "")
    actions = "NORMAL" if victim.actions == "drop" else "drop"
    return {
        "missing": f"delete_strict {match}",
        "actions": f"modify_strict {match} actions={actions}",
        "cookie": f"add cookie={victim.cookie ^ 0xF:#x},{match} actions={victim.actions}",
        "timeout": f"add cookie={victim.cookie:#x},hard_timeout=1000,{match} actions={victim.actions}",
        # A concern of ours, or on a physical bridge it would be taken for somebody else's.
        "extra": f"add cookie={victim.cookie:#x},table={victim.table},priority=77 actions=drop",
    }[drift]


def test_flows_keep_duration_and_counters_also_when_their_actions_change(
    bench: Bench,
) -> None:
    bench.apply(LEARNING)
    flood = bench.desired(LEARNING)["br-tun"].desired[FlowKey(22, 1, "dl_vlan=1")]
    frame = "ffffffffffff" + "fa163e000001" + "81000001" + "0800" + "00" * 46
    bench.ovs.ofctl("packet-out", "br-tun", f"in_port=patch-int,packet={frame},actions=table")
    change = f"table=22,priority=1,{flood.match},actions=drop"
    bench.ovs.ofctl("-O", "OpenFlow14", "mod-flows", "--strict", "br-tun", change)
    before = as_counted(bench)
    bench.apply(LEARNING)
    after = as_counted(bench)
    assert before.keys() == after.keys()
    assert (after[flood.key].n_packets or 0) >= 1
    assert all((after[key].duration_s or 0) >= (before[key].duration_s or 0) for key in before)


def as_counted(bench: Bench) -> dict[FlowKey, dump.Flow]:
    """The flows of br-tun with what they have counted and how long they have been there."""
    flows = dump.read_dump(bench.ovs.ofctl("dump-flows", "br-tun")).flows
    return {FlowKey(int(flow.table), flow.priority, flow.match_text): flow for flow in flows}


def test_a_plan_with_one_bad_flow_changes_nothing(bench: Bench) -> None:
    bench.apply(LEARNING)
    switch = bench.bridge("br-int")
    before = switch.installed()
    good = Flow(table=0, priority=5, match="in_port=99", actions="drop", cookie=1)
    bad = Flow(table=0, priority=6, match="in_port=99", actions="output:0xffffff", cookie=1)
    with pytest.raises(Rejected):
        switch.apply(Plan(add={good.key: good, bad.key: bad}, change={}, remove={}))
    assert switch.installed() == before


def test_a_bridge_that_is_not_there_is_unreachable(bench: Bench) -> None:
    with pytest.raises(Unreachable, match="br-none"):
        bench.bridge("br-none").installed()


def test_flows_of_somebody_else_stay_on_a_physical_bridge_and_go_from_ours(bench: Bench) -> None:
    bench.apply(LEARNING)
    for name in BRIDGES:
        bench.ovs.ofctl("add-flow", name, "cookie=0xdeadbeef12345678,table=9,priority=7,actions=drop")
    bench.apply(LEARNING)
    there = {name: any(key.table == 9 for key in bench.bridge(name).installed()) for name in BRIDGES}
    assert there == {"br-int": False, "br-tun": False, "br-ex": True}
    bench.ovs.ofctl("del-flows", "br-ex", "table=9")


def test_a_mode_switch_replaces_table_10_in_place_and_sends_nothing_twice(bench: Bench) -> None:
    for scene in (LEARNING, L2POP, LEARNING):
        bench.apply(scene)
        assert bench.bridge("br-tun").installed() == bench.desired(scene)["br-tun"].desired


def learn(bench: Bench, tunnel: str, segmentation_id: int, address: int) -> None:
    """Let a frame come out of a tunnel, so that the switch itself learns its sender."""
    frame = f"in_port={tunnel},tun_id={segmentation_id},dl_src={mac(address)},dl_dst={mac(1)},dl_type=0x0800"
    bench.ovs.appctl("ofproto/trace", "br-tun", frame, "-generate")


def learned(bench: Bench) -> dict[str, Flow]:
    """The learned entries, by MAC address."""
    return {
        re.sub(".*dl_dst=", "", flow.match): flow
        for flow in bench.bridge("br-tun").installed().values()
        if is_learned(flow)
    }


@pytest.fixture
def taught(bench: Bench) -> Bench:
    """In `learning`, with two entries in table 20 and nothing else that is not desired."""
    bench.apply(L2POP)
    bench.apply(LEARNING)
    learn(bench, "vxlan-0a090002", 1001, 0xA1)
    learn(bench, "gre-0a090003", 77, 0xA2)
    return bench


def test_what_the_switch_learned_is_known_by_its_cookie_and_survives_an_agent_without_memory(taught: Bench) -> None:
    entries = learned(taught)
    assert entries.keys() == {mac(0xA1), mac(0xA2)}
    assert all(entry.cookie == LEARNED and entry.options == "hard_timeout=300" for entry in entries.values())
    flows = taught.desired(LEARNING)["br-tun"]
    assert not flows.plan(taught.bridge("br-tun").installed())
    taught.apply(LEARNING)
    assert learned(taught) == entries


def test_a_frame_to_a_learned_address_leaves_by_its_tunnel_only(taught: Bench) -> None:
    to_learned = f"in_port={plugged_as(1)},dl_src={mac(1)},dl_dst={mac(0xA1)},dl_type=0x0800"
    assert taught.trace("br-int", to_learned).interfaces == {"vxlan-0a090002"}


@pytest.mark.parametrize(
    "stale",
    [
        "vlan_tci=0x0001/0x0fff,dl_dst=fa:16:3e:00:00:b1,actions=load:0->NXM_OF_VLAN_TCI[],load:0x3ea->NXM_NX_TUN_ID[],output:{vxlan}",
        "vlan_tci=0x0fa0/0x0fff,dl_dst=fa:16:3e:00:00:b1,actions=load:0->NXM_OF_VLAN_TCI[],load:0x3e9->NXM_NX_TUN_ID[],output:{vxlan}",
        "vlan_tci=0x0001/0x0fff,dl_dst=fa:16:3e:00:00:b1,actions=load:0->NXM_OF_VLAN_TCI[],load:0x3e9->NXM_NX_TUN_ID[],output:{gre}",
        "vlan_tci=0x0001/0x0fff,dl_dst=fa:16:3e:00:00:b1,actions=load:0->NXM_OF_VLAN_TCI[],load:0x3e9->NXM_NX_TUN_ID[],output:4000",
        "vlan_tci=0x0001/0x0fff,dl_dst=fa:16:3e:00:00:b1,actions=NORMAL",
        "dl_dst=fa:16:3e:00:00:b1,actions=load:0->NXM_OF_VLAN_TCI[],load:0x3e9->NXM_NX_TUN_ID[],output:{vxlan}",
    ],
    ids=["another network's id", "no network's VLAN", "a tunnel of another type", "no tunnel", "NORMAL", "any VLAN"],
)
def test_a_learned_entry_that_cannot_be_right_goes_and_the_others_stay(taught: Bench, stale: str) -> None:
    view = taught.view(LEARNING)
    assert view.local_vlans[NETWORKS[0].id] == 1
    ofports = {kind: view.ofport("br-tun", f"{kind}-0a090002") for kind in ("vxlan", "gre")}
    entry = f"cookie={LEARNED:#x},table=20,hard_timeout=300,priority=1,{stale.format(**ofports)}"
    taught.ovs.ofctl("add-flow", "br-tun", entry)
    assert learned(taught).keys() == {mac(0xA1), mac(0xA2), mac(0xB1)}
    taught.apply(LEARNING)
    assert learned(taught).keys() == {mac(0xA1), mac(0xA2)}


def test_learned_entries_of_a_network_that_left_the_host_go_with_it(taught: Bench) -> None:
    without = Scene(
        state=LEARNING.state,
        plugged=frozenset(
            port
            for port in LEARNING.plugged
            if (found := LEARNING.state.port(port)) and found.network_id != NETWORKS[2].id
        ),
    )
    taught.apply(without)
    assert learned(taught).keys() == {mac(0xA1)}


def test_in_l2pop_nothing_is_learned_and_what_was_learned_before_goes(taught: Bench) -> None:
    taught.apply(L2POP)
    learn(taught, "vxlan-0a090002", 1001, 0xA3)
    assert not learned(taught)


def test_the_plan_of_two_equal_tables_is_empty_and_a_plan_applied_gives_the_table(bench: Bench) -> None:
    bench.apply(LEARNING)
    desired = bench.desired(L2POP)["br-tun"].desired
    switch = bench.bridge("br-tun")
    change = plan(desired, switch.installed())
    switch.apply(change)
    assert not plan(desired, switch.installed())
    switch.apply(change)
    assert not plan(desired, switch.installed())
