"""Hundreds of ports on one network and a thousand peers: one broadcast reaches them all (limits of action lists)."""

from collections.abc import Iterator

import pytest

from warren.agent.drivers.ofctl import OfctlSwitch
from warren.core.ids import HostName, LocalVlan, MacAddress, OfPort
from warren.core.names import tunnel_port
from warren.core.state import Deployment, HostState, NetworkType, Peer, Port, StateObject
from warren.pipeline import Flow, FlowKey, Layout, SwitchView, render
from warren.testing.ovs import PrivateOvs, private_ovs
from warren.testing.states import NETWORKS, plugged_as, port_id
from warren.testing.trace import parse_trace

PORTS = 300
PEERS = 1000
LAYOUT = Layout(local_ip="10.9.0.1")
NETWORK = NETWORKS[0]


@pytest.fixture
def ovs() -> Iterator[PrivateOvs]:
    with private_ovs() as running:
        yield running


def mac(number: int) -> MacAddress:
    return MacAddress(f"fa:16:3e:00:{number // 256:02x}:{number % 256:02x}")


def address(number: int) -> str:
    return f"10.10.{number // 250}.{number % 250 + 1}"


def crowd() -> tuple[HostState, SwitchView]:
    """A state with many ports and peers, and a switch that has interfaces for all of them."""
    ports = [Port(id=port_id(number), network_id=NETWORK.id, mac_address=mac(number)) for number in range(1, PORTS + 1)]
    peers = [
        Peer(host=HostName(f"h{number}"), vtep_ip=address(number), tunnel_types=(NetworkType.VXLAN,))
        for number in range(PEERS)
    ]
    objects: list[StateObject] = [Deployment(), NETWORK, *ports, *peers]
    state = HostState({found.key: found for found in objects})
    to_ports = {plugged_as(number): OfPort(10 + number) for number in range(1, PORTS + 1)}
    to_peers = {tunnel_port("vxlan", address(number)): OfPort(10 + number) for number in range(PEERS)}
    view = SwitchView(
        ofports={"br-int": {"patch-tun": OfPort(1), **to_ports}, "br-tun": {"patch-int": OfPort(1), **to_peers}},
        interfaces={port_id(number): plugged_as(number) for number in range(1, PORTS + 1)},
        local_vlans={NETWORK.id: LocalVlan(1)},
    )
    return state, view


def install(ovs: PrivateOvs, state: HostState, view: SwitchView) -> dict[str, dict[FlowKey, Flow]]:
    rendered = render(state, view, LAYOUT)
    for name, flows in rendered.items():
        switch = OfctlSwitch(bridge=name, rundir=ovs.directory)
        switch.apply(flows.plan(switch.installed()))
    return {name: dict(flows.desired) for name, flows in rendered.items()}


def add_interfaces(ovs: PrivateOvs, bridge: str, ofports: dict[str, OfPort]) -> None:
    words = [f"-- add-port {bridge} {name} -- set Interface {name} ofport_request={n}" for name, n in ofports.items()]
    ovs.vsctl("--may-exist", "add-br", bridge, *" ".join(words).split())


def test_a_flood_reaches_hundreds_of_ports_and_a_thousand_tunnels(ovs: PrivateOvs) -> None:
    state, view = crowd()
    for bridge in ("br-int", "br-tun"):
        add_interfaces(ovs, bridge, dict(view.ofports[bridge]))
    for port, peer in (("patch-tun", "patch-int"), ("patch-int", "patch-tun")):
        ovs.vsctl("set", "Interface", port, "type=patch", f"options:peer={peer}")
    desired = install(ovs, state, view)
    for name, flows in desired.items():
        assert OfctlSwitch(bridge=name, rundir=ovs.directory).installed() == flows
    frame = f"in_port={plugged_as(1)},dl_src={mac(1)},dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0x0800"
    reached = parse_trace(ovs.trace("br-int", frame), ovs.datapath_ports()).interfaces
    local = {plugged_as(number) for number in range(2, PORTS + 1)}
    far = {tunnel_port("vxlan", address(number)) for number in range(PEERS)}
    assert reached == local | far
