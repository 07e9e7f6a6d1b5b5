"""The desired state of one host: a mapping of keyed, frozen objects.

A key names kind and identity: `network/<id>`, `port/<id>`, `neighbour/<network>/<mac>`, `peer/<host>`, `group/<id>`,
`router/<id>`, `dhcp/<network>`, and the single `deployment`. A host is told only what concerns it. What one object says
is not repeated in another: a router names its ports, a port its network, a network holds its subnets.

Every class is frozen and hashable, so that rendered output can be cached per object.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import ClassVar, Final, TypeAlias, TypeVar

from warren.core.ids import (
    FloatingIpId,
    GroupId,
    HostName,
    MacAddress,
    NetworkId,
    PortId,
    RouterId,
    SegmentationId,
    SubnetId,
)

DEPLOYMENT_KEY: Final = "deployment"

OWNER_DHCP: Final = "network:dhcp"
OWNER_ROUTER_INTERFACE: Final = "network:router_interface"
OWNER_ROUTER_GATEWAY: Final = "network:router_gateway"
OWNER_FLOATING_IP: Final = "network:floatingip"


class NetworkType(str, Enum):
    """How frames of a network travel between hosts."""

    VXLAN = "vxlan"
    GRE = "gre"
    FLAT = "flat"
    VLAN = "vlan"

    @property
    def is_tunnelled(self) -> bool:
        return self in (NetworkType.VXLAN, NetworkType.GRE)


class TunnelMode(str, Enum):
    """How br-tun knows where a MAC address is."""

    LEARNING = "learning"
    L2POP = "l2pop"


class Plug(str, Enum):
    """How an instance's interface meets br-int."""

    HYBRID = "hybrid"
    OVS = "ovs"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is the same on every host."""

    kind: ClassVar[str] = "deployment"
    tunnel_mode: TunnelMode = TunnelMode.LEARNING
    ageing_s: int = 300
    """`hard_timeout` of a learned entry of table 20."""
    vxlan_port: int = 4789
    dns_domain: str = "warren.internal"

    @property
    def key(self) -> str:
        return DEPLOYMENT_KEY


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A destination prefix by way of a next hop address (subnet host route or router extra route)."""

    destination: str
    nexthop: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    """A prefix of a network."""

    id: SubnetId
    cidr: str
    name: str = ""
    gateway_ip: str | None = None
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[Route, ...] = ()
    enable_dhcp: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A layer-2 network that has a port on this host."""

    kind: ClassVar[str] = "network"
    id: NetworkId
    network_type: NetworkType
    mtu: int
    name: str = ""
    project_id: str = ""
    physical_network: str | None = None
    segmentation_id: SegmentationId | None = None
    admin_state_up: bool = True
    is_external: bool = False
    subnets: tuple[Subnet, ...] = ()

    @property
    def key(self) -> str:
        return f"network/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FixedIp:
    """An address of a port on a subnet of its network."""

    subnet_id: SubnetId
    ip_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressPair:
    """A further source (MAC, prefix) that a port may use."""

    mac_address: MacAddress
    ip_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port bound to this host: an instance's, a router's or a DHCP server's."""

    kind: ClassVar[str] = "port"
    id: PortId
    network_id: NetworkId
    mac_address: MacAddress
    name: str = ""
    project_id: str = ""
    fixed_ips: tuple[FixedIp, ...] = ()
    device_owner: str = ""
    device_id: str = ""
    admin_state_up: bool = True
    plug: Plug = Plug.HYBRID
    port_security_enabled: bool = True
    security_groups: tuple[GroupId, ...] = ()
    allowed_address_pairs: tuple[AddressPair, ...] = ()

    @property
    def key(self) -> str:
        return f"port/{self.id}"

    @property
    def is_service(self) -> bool:
        """Made by Warren for a router or DHCP server: plugged, addressed and trusted by the agent itself."""
        return self.device_owner.startswith("network:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A port of one of this host's networks on another host (known ahead in `l2pop`, a name for MACs in `learning`)."""

    kind: ClassVar[str] = "neighbour"
    network_id: NetworkId
    mac_address: MacAddress
    host: HostName
    port_id: PortId
    name: str = ""
    device_owner: str = ""
    ip_addresses: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"neighbour/{self.network_id}/{self.mac_address}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """Another host's tunnel endpoint.

    `network_ids` are the networks that have ports on both hosts; filled in `l2pop` only. In `learning` every host is a
    peer and every flood list has all of them.
    """

    kind: ClassVar[str] = "peer"
    host: HostName
    vtep_ip: str
    tunnel_types: tuple[NetworkType, ...] = (NetworkType.VXLAN, NetworkType.GRE)
    network_ids: tuple[NetworkId, ...] = ()

    @property
    def key(self) -> str:
        return f"peer/{self.host}"


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRule:
    """What a security group allows; the names and values of the Networking API."""

    id: str
    direction: str
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: GroupId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A security group that a port here has, or that a rule here names as its remote group.

    `members` are the addresses of all its ports, on any host; filled where a rule here needs them.
    """

    kind: ClassVar[str] = "group"
    id: GroupId
    name: str = ""
    rules: tuple[GroupRule, ...] = ()
    members: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        return f"group/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatingIp:
    """An external address that a router translates to a fixed one."""

    id: FloatingIpId
    floating_ip_address: str
    fixed_ip_address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """A router scheduled to this host. Its ports are objects of their own in the same state."""

    kind: ClassVar[str] = "router"
    id: RouterId
    name: str = ""
    project_id: str = ""
    admin_state_up: bool = True
    gateway_port_id: PortId | None = None
    enable_snat: bool = True
    interface_port_ids: tuple[PortId, ...] = ()
    floating_ips: tuple[FloatingIp, ...] = ()
    routes: tuple[Route, ...] = ()

    @property
    def key(self) -> str:
        return f"router/{self.id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpHost:
    """One address that the DHCP server gives to one port."""

    port_id: PortId
    mac_address: MacAddress
    ip_address: str
    subnet_id: SubnetId
    hostname: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dhcp:
    """The DHCP server of a network, scheduled to this host. Its port is an object of its own in the same state."""

    kind: ClassVar[str] = "dhcp"
    network_id: NetworkId
    port_id: PortId
    hosts: tuple[DhcpHost, ...] = ()

    @property
    def key(self) -> str:
        return f"dhcp/{self.network_id}"


StateObject: TypeAlias = Deployment | Network | Port | Neighbour | Peer | Group | Router | Dhcp

KINDS: Final[Mapping[str, type[StateObject]]] = {
    cls.kind: cls for cls in (Deployment, Network, Port, Neighbour, Peer, Group, Router, Dhcp)
}

T = TypeVar("T", Deployment, Network, Port, Neighbour, Peer, Group, Router, Dhcp)


def kind_of(key: str) -> str:
    """The kind that a key names: everything before its first slash."""
    return key.partition("/")[0]


@dataclass(frozen=True, slots=True)
class HostState:
    """All that one host should be, as of one revision of the server's database."""

    objects: Mapping[str, StateObject] = field(default_factory=dict)
    revision: int = 0

    def of(self, cls: type[T]) -> Iterator[T]:
        """Every object of one kind, in the order of its keys."""
        return (obj for _, obj in sorted(self.objects.items()) if isinstance(obj, cls))

    def without(self, keys: Collection[str]) -> "HostState":
        """The state as if some of its objects were not there."""
        if not keys:
            return self
        objects = {key: obj for key, obj in self.objects.items() if key not in keys}
        return HostState(objects=objects, revision=self.revision)

    @property
    def deployment(self) -> Deployment:
        found = self.objects.get(DEPLOYMENT_KEY)
        return found if isinstance(found, Deployment) else Deployment()

    def network(self, network_id: NetworkId) -> Network | None:
        found = self.objects.get(f"network/{network_id}")
        return found if isinstance(found, Network) else None

    def port(self, port_id: PortId) -> Port | None:
        found = self.objects.get(f"port/{port_id}")
        return found if isinstance(found, Port) else None

    def group(self, group_id: GroupId) -> Group | None:
        found = self.objects.get(f"group/{group_id}")
        return found if isinstance(found, Group) else None
