"""Which ports are wired on this host, and why the others are not.

A port that is not wired has no flow at all: it is dead in both directions.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from warren.core.ids import LocalVlan, NetworkId, OfPort, PortId
from warren.core.names import INTEGRATION_BRIDGE, qvo, to_physical
from warren.core.state import HostState, Network, Plug, Port
from warren.pipeline.view import Layout, SwitchView


@dataclass(frozen=True, slots=True, kw_only=True)
class WiredPort:
    """A port that has an interface on br-int and passes frames."""

    port: Port
    network: Network
    ofport: OfPort
    vlan: LocalVlan

    @property
    def is_guarded(self) -> bool:
        """Its source addresses are checked."""
        return self.port.port_security_enabled and not self.port.is_service


@dataclass(frozen=True, slots=True, kw_only=True)
class WiredNetwork:
    """A network with wired ports here, and the port of br-int that leads to the rest of it, if there is one."""

    network: Network
    vlan: LocalVlan
    ports: tuple[WiredPort, ...]
    uplink: OfPort | None


def refusal(port: Port, interface: str | None) -> str | None:
    """Why this host must not wire a port, or None if it may.

    `interface` is the port's on br-int, None where nothing is plugged. A port whose security groups nothing enforces
    would be open: with the plug `ovs` always, as nothing does yet; with `hybrid` where its interface is another than
    the one behind the Linux bridge that iptables filters on.
    """
    if port.is_service or not port.port_security_enabled:
        return None
    if port.plug is Plug.OVS:
        return (
            f"port {port.id} has port security, which the plug 'ovs' does not enforce yet; "
            "use the plug 'hybrid' on this host or disable port security of the port"
        )
    if interface not in (None, qvo(port.id)):
        return (
            f"port {port.id} is on br-int as {interface}, past the Linux bridge on which its security groups are "
            f"enforced: plug it as {qvo(port.id)} (os-vif does) or disable port security of the port"
        )
    return None


def unwired_reason(port: Port, state: HostState, interface: str) -> str | None:
    """Why a port with that interface on br-int must stay dead, or None."""
    network = state.network(port.network_id)
    if network is None:
        return f"port {port.id}: its network {port.network_id} is not known here"
    if not (port.admin_state_up and network.admin_state_up):
        return f"{'port' if network.admin_state_up else 'network of port'} {port.id} is administratively down"
    return refusal(port, interface)


def networks_to_number(state: HostState, interfaces: Mapping[PortId, str]) -> frozenset[NetworkId]:
    """The networks that need a local VLAN: those with a port to wire among the ports that have an interface."""
    return frozenset(
        port.network_id
        for port in state.of(Port)
        if port.id in interfaces and unwired_reason(port, state, interfaces[port.id]) is None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiring:
    """All that rendering looks at: what is desired, what is there, and what of it is wired."""

    state: HostState
    view: SwitchView
    layout: Layout
    networks: tuple[WiredNetwork, ...]
    """Every network with a wired port, in the order of local VLANs."""

    @property
    def ports(self) -> Iterator[WiredPort]:
        return (port for network in self.networks for port in network.ports)

    @property
    def tunnelled(self) -> Iterator[WiredNetwork]:
        return (wired for wired in self.networks if wired.network.network_type.is_tunnelled)

    @property
    def on_the_wire(self) -> Iterator[WiredNetwork]:
        """Flat and VLAN networks whose physical network is on this host."""
        return (
            wired for wired in self.networks if wired.uplink is not None and not wired.network.network_type.is_tunnelled
        )


def wiring(state: HostState, view: SwitchView, layout: Layout) -> Wiring:
    """Put together what is desired and what is there."""
    members: dict[NetworkId, list[WiredPort]] = {}
    for wired in wired_ports(state, view):
        members.setdefault(wired.network.id, []).append(wired)
    networks = (
        WiredNetwork(
            network=ports[0].network,
            vlan=ports[0].vlan,
            ports=tuple(sorted(ports, key=lambda wired: wired.ofport)),
            uplink=uplink(ports[0].network, view, layout),
        )
        for ports in members.values()
    )
    return Wiring(state=state, view=view, layout=layout, networks=tuple(sorted(networks, key=lambda wired: wired.vlan)))


def wired_ports(state: HostState, view: SwitchView) -> Iterator[WiredPort]:
    """Every port that is to pass frames, in the order of their ids."""
    for port in state.of(Port):
        ofport, vlan = view.port_ofport(port.id), view.local_vlans.get(port.network_id)
        network = state.network(port.network_id)
        if ofport and vlan and network and unwired_reason(port, state, view.interfaces[port.id]) is None:
            yield WiredPort(port=port, network=network, ofport=ofport, vlan=vlan)


def uplink(network: Network, view: SwitchView, layout: Layout) -> OfPort | None:
    """The port of br-int behind which the network's other hosts are."""
    if network.network_type.is_tunnelled:
        return view.patch_tun
    physical = layout.physical_networks.get(network.physical_network or "")
    return None if physical is None else view.ofport(INTEGRATION_BRIDGE, to_physical(physical.bridge)[0])
