"""What rendering needs to know besides the desired state: what the host is, and what its switch looks like.

A `Layout` comes from the agent's configuration, a `SwitchView` from reading OVSDB. Both are values.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from warren.core.ids import LocalVlan, NetworkId, OfPort, PortId
from warren.core.names import INTEGRATION_BRIDGE, PATCH_TO_INTEGRATION, PATCH_TO_TUNNEL, TUNNEL_BRIDGE
from warren.core.state import NetworkType


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalNetwork:
    """Where a physical network meets this host: a bridge, and the NIC on it if Warren shall put it there."""

    bridge: str
    interface: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """What this host is, by its configuration."""

    datapath_type: str = "system"
    """`system` or `netdev`, already decided."""
    local_ip: str = ""
    """IPv4 address of this host's tunnel endpoint, without prefix length."""
    tunnel_types: tuple[NetworkType, ...] = (NetworkType.VXLAN, NetworkType.GRE)
    underlay_interface: str | None = None
    """netdev only: the NIC that becomes a port of br-phy."""
    physical_networks: Mapping[str, PhysicalNetwork] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchView:
    """The switch as OVSDB described it, and the local VLANs chosen for it.

    `ofports`: bridge -> interface name -> number; interfaces without a valid number are left out.
    `interfaces`: port id (`external_ids:iface-id`) -> name of its interface on br-int.
    """

    ofports: Mapping[str, Mapping[str, OfPort]] = field(default_factory=dict)
    interfaces: Mapping[PortId, str] = field(default_factory=dict)
    local_vlans: Mapping[NetworkId, LocalVlan] = field(default_factory=dict)

    def ofport(self, bridge: str, interface: str) -> OfPort | None:
        return self.ofports.get(bridge, {}).get(interface)

    def port_ofport(self, port: PortId) -> OfPort | None:
        """Where a port is on br-int, or None: it has no interface there."""
        interface = self.interfaces.get(port)
        return None if interface is None else self.ofport(INTEGRATION_BRIDGE, interface)

    @property
    def patch_tun(self) -> OfPort | None:
        return self.ofport(INTEGRATION_BRIDGE, PATCH_TO_TUNNEL)

    @property
    def patch_int(self) -> OfPort | None:
        return self.ofport(TUNNEL_BRIDGE, PATCH_TO_INTEGRATION)
