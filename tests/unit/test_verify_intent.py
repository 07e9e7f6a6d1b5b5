"""A host that has what Warren renders has no fault; each kind of difference is found, and named after its owner."""

import random
from dataclasses import replace

import pytest

from warren.core.ids import MacAddress, NetworkId, PortId, SegmentationId
from warren.core.names import INTEGRATION_BRIDGE, PATCH_TO_INTEGRATION, PATCH_TO_TUNNEL, TUNNEL_BRIDGE, qvo, tunnel_port
from warren.core.state import HostState, Network, NetworkType, Peer, Port
from warren.inspect.snapshot.model import Bridge, BridgePort, Estate, Host, Printout
from warren.inspect.verify.finding import Severity
from warren.inspect.verify.intent import layout_of, switch_of
from warren.inspect.verify.verify import Report, verify
from warren.pipeline.cookies import LEARNED
from warren.pipeline.render import render
from warren.pipeline.switch import switch_view

RED = NetworkId("aaaaaaaa-0000-4000-8000-000000000001")
BLUE = NetworkId("cccccccc-0000-4000-8000-000000000002")
OTHER = PortId("dddddddd-0000-4000-8000-000000000002")
OTHER_MAC = MacAddress("fa:16:3e:00:00:02")
VM = PortId("bbbbbbbb-0000-4000-8000-000000000001")
MAC = MacAddress("fa:16:3e:00:00:01")
PEER = "10.9.0.2"


def state() -> HostState:
    objects = (
        Network(id=RED, network_type=NetworkType.VXLAN, mtu=1450, segmentation_id=SegmentationId(1001), name="red"),
        Network(id=BLUE, network_type=NetworkType.VXLAN, mtu=1450, segmentation_id=SegmentationId(1002), name="blue"),
        Port(id=OTHER, network_id=BLUE, mac_address=OTHER_MAC, port_security_enabled=False),
        Port(id=VM, network_id=RED, mac_address=MAC, port_security_enabled=False),
        Peer(host="compute2", vtep_ip=PEER),  # type: ignore[arg-type]
    )
    return HostState(objects={obj.key: obj for obj in objects})


def patch(name: str, peer: str) -> BridgePort:
    return BridgePort(name=name, ofport=1, type="patch", options={"peer": peer})


def host(flows: dict[str, list[str]] | None = None) -> Host:
    """One compute host; its flows are those that the renderer gives, unless told otherwise."""
    memory = {"net_uuid": RED, "tag": "1"}
    other = BridgePort(
        name=qvo(OTHER),
        ofport=6,
        tag=2,
        other_config={"net_uuid": BLUE, "tag": "2"},
        external_ids={"iface-id": OTHER, "attached-mac": OTHER_MAC},
    )
    instance = BridgePort(
        name=qvo(VM), ofport=5, tag=1, other_config=memory, external_ids={"iface-id": VM, "attached-mac": MAC}
    )
    tunnel = BridgePort(
        name=tunnel_port("vxlan", PEER), ofport=2, type="vxlan", options={"local_ip": "10.9.0.1", "remote_ip": PEER}
    )
    bare = Host(
        name="compute1",
        bridges=(
            Bridge(
                name=INTEGRATION_BRIDGE,
                fail_mode="secure",
                ports=(patch(PATCH_TO_TUNNEL, PATCH_TO_INTEGRATION), instance, other),
            ),
            Bridge(
                name=TUNNEL_BRIDGE, fail_mode="secure", ports=(patch(PATCH_TO_INTEGRATION, PATCH_TO_TUNNEL), tunnel)
            ),
        ),
    )
    lines = rendered(bare) if flows is None else flows
    return replace(
        bare,
        bridges=tuple(
            replace(bridge, flows=Printout(file=bridge.name, text="\n".join(lines[bridge.name])))
            for bridge in bare.bridges
        ),
    )


def rendered(bare: Host) -> dict[str, list[str]]:
    view = switch_view(switch_of(bare), state())
    wanted = render(state(), view, layout_of(bare, state()))
    return {name: [f" {flow}" for flow in flows.desired.values()] for name, flows in wanted.items()}


def judged(flows: dict[str, list[str]]) -> Report:
    return verify(Estate(hosts=(host(flows),)), {"compute1": state()})


def lines() -> dict[str, list[str]]:
    return rendered(host())


def test_what_warren_renders_has_no_fault() -> None:
    report = judged(lines())
    assert report.findings == ()
    assert report.problems == ()


def test_the_rendered_host_is_wired_at_all() -> None:
    """The law above says something: the flows of the port and of the tunnel are among those compared."""
    assert any(MAC in line for line in lines()[INTEGRATION_BRIDGE])
    assert any("tun_id=0x3e9" in line for line in lines()[TUNNEL_BRIDGE])


def test_the_order_of_a_dump_says_nothing() -> None:
    shuffled = {bridge: random.sample(found, len(found)) for bridge, found in lines().items()}
    assert judged(shuffled).findings == ()


@pytest.mark.parametrize("bridge", [INTEGRATION_BRIDGE, TUNNEL_BRIDGE])
def test_every_single_missing_flow_is_found(bridge: str) -> None:
    for gone in lines()[bridge]:
        flows = {name: [line for line in found if line != gone] for name, found in lines().items()}
        found = [f for f in judged(flows).findings if f.kind == "missing-flow"]
        assert any(gone.strip() in evidence for finding in found for evidence in finding.evidence), gone


@pytest.mark.parametrize("bridge", [INTEGRATION_BRIDGE, TUNNEL_BRIDGE])
def test_every_single_changed_flow_is_found(bridge: str) -> None:
    for index, line in enumerate(lines()[bridge]):
        flows = lines()
        flows[bridge][index] = line.partition(" actions=")[0] + " actions=output:1,output:1"
        assert "changed-flow" in {finding.kind for finding in judged(flows).findings}, line


def test_a_flow_that_nobody_asked_for_is_found() -> None:
    flows = lines()
    flows[INTEGRATION_BRIDGE].append(" cookie=0x0, table=0, priority=77,in_port=9 actions=resubmit(,60)")
    assert {finding.kind for finding in judged(flows).findings} == {"unasked-flow"}


def test_a_learned_entry_is_nobodys_fault_unless_it_cannot_be_right() -> None:
    right = (
        f" cookie={LEARNED:#x}, table=20, hard_timeout=300, priority=1,vlan_tci=0x0001/0x0fff,dl_dst=fa:16:3e:00:00:99 "
        "actions=load:0->NXM_OF_VLAN_TCI[],load:0x3e9->NXM_NX_TUN_ID[],output:2"
    )
    assert judged({**lines(), TUNNEL_BRIDGE: [*lines()[TUNNEL_BRIDGE], right]}).findings == ()
    wrong = right.replace("0x3e9", "0x3ea")
    kinds = {finding.kind for finding in judged({**lines(), TUNNEL_BRIDGE: [*lines()[TUNNEL_BRIDGE], wrong]}).findings}
    assert "unasked-flow" in kinds


def test_a_missing_flow_says_who_needs_it_and_why() -> None:
    flows = {name: [line for line in found if f"dl_dst={MAC}" not in line] for name, found in lines().items()}
    finding = next(f for f in judged(flows).findings if f.kind == "missing-flow")
    assert f"port/{VM}" in finding.object
    assert ": " in finding.what


def test_a_flood_that_reaches_another_network_is_a_leak() -> None:
    flows = lines()
    leaking = [line.replace("output:5", "output:5,output:6") for line in flows[INTEGRATION_BRIDGE]]
    assert leaking != flows[INTEGRATION_BRIDGE]
    kinds = {(finding.kind, finding.severity) for finding in judged({**flows, INTEGRATION_BRIDGE: leaking}).findings}
    admitted = [
        line.replace("load:0x2->NXM_NX_REG6[]", "load:0x1->NXM_NX_REG6[]") for line in flows[INTEGRATION_BRIDGE]
    ]
    assert admitted != flows[INTEGRATION_BRIDGE]
    kinds |= {(f.kind, f.severity) for f in judged({**flows, INTEGRATION_BRIDGE: admitted}).findings}
    assert ("frame-crosses-networks", Severity.LEAK) in kinds
