"""A private switch with the bridges of a host, on which flows of generated states are tried.

All ports that a generated state can ask for are there from the start, so that an example costs flows only.
"""

from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final

from warren.agent.drivers.ofctl import OfctlSwitch
from warren.agent.drivers.ovsdb import Ovsdb
from warren.core.ids import HostName, PortId
from warren.core.names import qvo
from warren.core.state import HostState, NetworkType, Peer
from warren.pipeline import (
    BridgeFlows,
    Layout,
    PhysicalNetwork,
    Switch,
    SwitchView,
    desired_rows,
    present_rows,
    render,
    switch_view,
)
from warren.pipeline.switch import SwitchPort
from warren.reconcile.plan import plan
from warren.testing.ovs import PrivateOvs
from warren.testing.states import LOCAL_IP, MAX_PEERS, MAX_PORTS, PHYSICAL_NETWORK, Scene, plugged_as, vtep
from warren.testing.trace import Trace, parse_trace

LAYOUT: Final = Layout(
    datapath_type="netdev",
    local_ip=LOCAL_IP,
    physical_networks={PHYSICAL_NETWORK: PhysicalNetwork(bridge="br-ex", interface="eth1")},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """A private switch, laid out."""

    ovs: PrivateOvs
    switch: Switch
    """As read after it was laid out, with interfaces `plugged_as(1)` and so on that nobody has claimed."""
    datapath_ports: dict[int, str]

    def interface(self, port: PortId) -> str:
        """The interface that a generated port gets when it is plugged."""
        return qvo(port)

    def view(self, scene: Scene) -> SwitchView:
        """The switch as it is when the scene's ports are plugged."""
        claimed: dict[str, SwitchPort] = {}
        for port in scene.plugged:
            name = self.interface(port)
            claimed[name] = replace(self.switch.ports[name], interface_ids={"iface-id": port})
        return switch_view(replace(self.switch, ports={**self.switch.ports, **claimed}), scene.state)

    def desired(self, scene: Scene) -> dict[str, BridgeFlows]:
        return render(scene.state, self.view(scene), LAYOUT)

    def bridge(self, name: str) -> OfctlSwitch:
        return OfctlSwitch(bridge=name, rundir=self.ovs.directory)

    def apply(self, scene: Scene) -> None:
        """One pass: read, plan and apply every bridge."""
        for name, flows in self.desired(scene).items():
            switch = self.bridge(name)
            switch.apply(flows.plan(switch.installed()))

    def trace(self, bridge: str, frame: str) -> Trace:
        return parse_trace(self.ovs.trace(bridge, frame), self.datapath_ports)


def bench_of(ovs: PrivateOvs) -> Bench:
    """Lay out a private switch: Warren's own bridges, tunnels to every peer, a plugged interface for every port."""
    peers = [
        Peer(host=HostName(f"peer{number}"), vtep_ip=vtep(number), tunnel_types=(NetworkType.VXLAN, NetworkType.GRE))
        for number in range(1, MAX_PEERS + 1)
    ]
    state = HostState({peer.key: peer for peer in peers})
    with closing(Ovsdb(ovs.db)) as database:
        present = database.read()
        desired = desired_rows(state, present, LAYOUT)
        database.apply(plan(desired, present_rows(present, desired)), present)
        for number in range(1, MAX_PORTS + 1):
            ovs.vsctl("--may-exist", "add-port", "br-int", plugged_as(number))
        return Bench(ovs=ovs, switch=database.read(), datapath_ports=ovs.datapath_ports())
