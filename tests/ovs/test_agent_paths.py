"""What a host looks like does not depend on the path: on a real switch, with stages that remember and skip."""

from collections.abc import Iterator
from contextlib import closing

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warren.agent.drivers.ovsdb import Ovsdb
from warren.agent.loop import AUDIT, Pass, Reason, Source, Stage, run_pass
from warren.agent.report import Picture
from warren.agent.stages.bridges import Bridges
from warren.agent.stages.flows import Flows
from warren.agent.stages.ports import Ports
from warren.agent.status import picture
from warren.core.names import qvo
from warren.core.state import HostState, TunnelMode
from warren.pipeline import Layout, PhysicalNetwork, switch_view
from warren.pipeline.wiring import wired_ports
from warren.testing.ovs import PrivateOvs, private_ovs
from warren.testing.states import LOCAL_IP, PHYSICAL_NETWORK, Scene, full_scene, port_id, scenes

LAYOUT = Layout(
    datapath_type="netdev",
    local_ip=LOCAL_IP,
    physical_networks={PHYSICAL_NETWORK: PhysicalNetwork(bridge="br-ex")},
)
NEWS = frozenset({Reason(Source.STATE), Reason(Source.OVSDB)})
BRIDGES = ("br-int", "br-tun", "br-ex")


Host = tuple[PrivateOvs, Ovsdb]


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with private_ovs() as ovs, closing(Ovsdb(ovs.db)) as ovsdb:
        run_pass(Pass(state=HostState()), stages_on((ovs, ovsdb)))
        yield ovs, ovsdb


def stages_on(host: Host) -> tuple[Stage, ...]:
    """Stages without memory, as a started agent has them; those that need no root."""
    ovs, ovsdb = host
    return Bridges(ovsdb, LAYOUT), Flows(LAYOUT, ovs.directory), Ports(LAYOUT, ovs.directory)


def plug_exactly(ovs: PrivateOvs, scene: Scene) -> None:
    """Instances' interfaces come and go as somebody else makes them."""
    here = {name for name in ovs.vsctl("list-ports", "br-int").split() if name.startswith("qvo")}
    wanted = {qvo(port): port for port in scene.plugged}
    commands: list[str] = []
    for name in here - wanted.keys():
        commands += ["--", "del-port", name]
    for name in wanted.keys() - here:
        commands += ["--", "add-port", "br-int", name]
        commands += ["--", "set", "Interface", name, f"external_ids:iface-id={wanted[name]}"]
    if commands:
        ovs.vsctl(*commands)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(scenes(), st.sampled_from(["pass", "killed", *BRIDGES])), min_size=1, max_size=4))
def test_whatever_came_before_an_audit_by_a_new_agent_finds_nothing_to_do(
    host: Host, path: list[tuple[Scene, str]]
) -> None:
    """Each step is a new state and other interfaces; in some, flows are deleted or the agent is killed half-way."""
    ovs, _ = host
    stages = stages_on(host)
    for scene, mishap in path:
        plug_exactly(ovs, scene)
        reasons = NEWS
        if mishap == "killed":
            run_pass(Pass(state=scene.state, reasons=NEWS), stages[:1])
            stages, reasons = stages_on(host), frozenset({AUDIT})
        elif mishap in BRIDGES:
            ovs.ofctl("del-flows", mishap)
            reasons |= {Reason(Source.FLOWS, mishap)}
        now = Pass(state=scene.state, reasons=reasons)
        outcomes = run_pass(now, stages)
        assert not [outcome.failure for outcome in outcomes if outcome.failure]
    audit = run_pass(Pass(state=scene.state), stages_on(host))
    assert [outcome.changes for outcome in audit] == [0, 0, 0]
    assert now.switch is not None
    wired = {found.port.key for found in wired_ports(scene.state, switch_view(now.switch, scene.state))}
    shown = picture(now, outcomes, Picture()).objects
    assert {key for key, status in shown.items() if status.status == "wired"} <= wired


def test_a_pass_without_news_reads_no_flow_and_a_second_audit_changes_none(host: Host) -> None:
    (ovs, _), scene = host, full_scene(TunnelMode.LEARNING)
    plug_exactly(ovs, scene)
    stages = stages_on(host)
    run_pass(Pass(state=scene.state), stages)
    ovs.ofctl("del-flows", "br-tun", "table=22")
    quiet = run_pass(Pass(state=scene.state, reasons=frozenset({Reason(Source.OVSDB)})), stages)
    assert [outcome.changes for outcome in quiet] == [0, 0, 0]
    told = run_pass(Pass(state=scene.state, reasons=frozenset({Reason(Source.FLOWS, "br-tun")})), stages)
    assert told[1].changes > 0
    assert [outcome.changes for outcome in run_pass(Pass(state=scene.state), stages)] == [0, 0, 0]


def test_memory_that_is_wrong_is_found_out_by_reading_back(host: Host) -> None:
    """Somebody changed flows and no event came: the next change there reads, and mends that too."""
    (ovs, _), scene = host, full_scene(TunnelMode.LEARNING)
    plug_exactly(ovs, scene)
    stages = stages_on(host)
    run_pass(Pass(state=scene.state), stages)
    ovs.ofctl("del-flows", "br-int", "table=25")
    plug_exactly(ovs, Scene(state=scene.state, plugged=frozenset(sorted(scene.plugged)[1:])))
    run_pass(Pass(state=scene.state, reasons=NEWS), stages)
    assert [outcome.changes for outcome in run_pass(Pass(state=scene.state), stages_on(host))] == [0, 0, 0]


@pytest.mark.parametrize("port", ["patch-tun", "patch-int", "int-br-ex", "vxlan-0a090002", qvo(port_id(1))])
def test_a_port_that_somebody_keeps_from_something_is_freed_at_once(host: Host, port: str) -> None:
    (ovs, ovsdb), scene = host, full_scene(TunnelMode.LEARNING)
    plug_exactly(ovs, scene)
    stages = stages_on(host)
    run_pass(Pass(state=scene.state), stages)
    bridge = ovsdb.read().ports[port].bridge
    before = ovs.ofctl("dump-ports-desc", bridge)
    for word in ("no-flood", "no-forward", "no-receive", "no-stp", "no-receive-stp", "no-packet-in"):
        ovs.ofctl("mod-port", bridge, port, word)
    assert ovs.ofctl("dump-ports-desc", bridge) != before
    told = run_pass(Pass(state=scene.state, reasons=frozenset({Reason(Source.PORTS)})), stages)
    assert [outcome.changes for outcome in told] == [0, 0, 1]
    assert ovs.ofctl("dump-ports-desc", bridge) == before


def test_an_instances_interface_that_is_down_is_put_up_and_ports_that_are_not_warrens_stay_as_they_are(
    host: Host,
) -> None:
    (ovs, _), scene = host, full_scene(TunnelMode.LEARNING)
    plug_exactly(ovs, scene)
    stages = stages_on(host)
    run_pass(Pass(state=scene.state), stages)
    ovs.vsctl("add-port", "br-int", "debug0")
    ovs.ofctl("mod-port", "br-int", "debug0", "no-flood")
    before = ovs.ofctl("dump-ports-desc", "br-int")
    ovs.ofctl("mod-port", "br-int", qvo(port_id(1)), "down")
    ovs.ofctl("mod-port", "br-int", "br-int", "no-forward")
    assert [outcome.changes for outcome in run_pass(Pass(state=scene.state), stages)] == [0, 0, 1]
    ovs.ofctl("mod-port", "br-int", "br-int", "forward")
    assert ovs.ofctl("dump-ports-desc", "br-int") == before
    ovs.vsctl("del-port", "debug0")
