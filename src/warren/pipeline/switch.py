"""A host's Open vSwitch as OVSDB describes it, and the `SwitchView` that follows from it.

One value for each bridge and port; a port's interface is part of it (Warren makes no bonds).
Source of the columns: ovs-vswitchd.conf.db(5).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from warren.core.ids import LocalVlan, NetworkId, OfPort, PortId
from warren.core.names import INTEGRATION_BRIDGE
from warren.core.state import HostState
from warren.pipeline.view import SwitchView
from warren.pipeline.vlans import local_vlans
from warren.pipeline.wiring import networks_to_number

OFPORT_MAX = 0xFEFF
"""Above are reserved numbers (OpenFlow 1.0, `OFPP_MAX`); LOCAL is one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """A row of `Bridge`."""

    name: str
    uuid: str = ""
    datapath_type: str = ""
    fail_mode: str = ""
    protocols: frozenset[str] = frozenset()
    other_config: Mapping[str, str] = field(default_factory=dict)
    external_ids: Mapping[str, str] = field(default_factory=dict)
    strays: Mapping[str, str] = field(default_factory=dict)
    """Columns that change what frames do and that a new bridge has otherwise, `controller` for instance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchPort:
    """A row of `Port` with its row of `Interface`."""

    name: str
    bridge: str
    uuid: str = ""
    type: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    tag: int | None = None
    strays: Mapping[str, str] = field(default_factory=dict)
    """As of a bridge, `vlan_mode` for instance."""
    other_config: Mapping[str, str] = field(default_factory=dict)
    external_ids: Mapping[str, str] = field(default_factory=dict)
    """Of the port."""
    interface_ids: Mapping[str, str] = field(default_factory=dict)
    """`external_ids` of the interface."""
    ofport: int | None = None
    error: str = ""
    """Why ovs-vswitchd could not make the interface."""

    @property
    def has_ofport(self) -> bool:
        return self.ofport is not None and 0 < self.ofport <= OFPORT_MAX


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch:
    """Everything of OVSDB that matters to Warren, at one moment."""

    bridges: Mapping[str, Bridge] = field(default_factory=dict)
    ports: Mapping[str, SwitchPort] = field(default_factory=dict)

    def on(self, bridge: str) -> Iterator[SwitchPort]:
        return (port for port in self.ports.values() if port.bridge == bridge)


def switch_view(switch: Switch, state: HostState) -> SwitchView:
    """What rendering needs to know of a switch, with a local VLAN for every network that is to be wired."""
    interfaces = _interfaces(switch)
    wanted = networks_to_number(state, interfaces)
    ofports: dict[str, dict[str, OfPort]] = {bridge: {} for bridge in switch.bridges}
    for port in switch.ports.values():
        if port.has_ofport:
            ofports[port.bridge][port.name] = OfPort(port.ofport or 0)
    return SwitchView(ofports=ofports, interfaces=interfaces, local_vlans=local_vlans(wanted, remembered_vlans(switch)))


def _interfaces(switch: Switch) -> dict[PortId, str]:
    """Port id -> interface. Where two interfaces claim one port, the one that was plugged last has it."""
    plugged = sorted(switch.on(INTEGRATION_BRIDGE), key=lambda port: (port.ofport or 0, port.name))
    return {PortId(port.interface_ids["iface-id"]): port.name for port in plugged if "iface-id" in port.interface_ids}


def remembered_vlans(switch: Switch) -> Iterator[tuple[NetworkId, LocalVlan]]:
    """What the ports of br-int remember of their networks' local VLANs, as Neutron writes it."""
    for port in switch.on(INTEGRATION_BRIDGE):
        network, tag = port.other_config.get("net_uuid"), port.other_config.get("tag", "")
        if network and tag.isascii() and tag.isdigit():
            yield NetworkId(network), LocalVlan(int(tag))
