"""What the server stores, as frozen values: one class per resource, field for field what the database keeps.

A field that the Networking API spells with a colon has an underscore here (`provider:mtu` -> `provider_mtu`) or a plain
name. `claims` says which values must be unique and within what: the database's unique constraint on them, and nothing
in Python, is what decides that an address, a MAC or a segmentation id is given once. Pure.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Final, NamedTuple, TypeAlias, TypeVar

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
from warren.core.state import OWNER_DHCP, AddressPair, Deployment, FixedIp, NetworkType, Plug, Route

NO_HOST: Final = HostName("")

VIF_UNBOUND: Final = "unbound"
VIF_OVS: Final = "ovs"
VIF_BINDING_FAILED: Final = "binding_failed"

ACTIVE: Final = "ACTIVE"
BUILD: Final = "BUILD"
DOWN: Final = "DOWN"
ERROR: Final = "ERROR"

OVS_AGENT: Final = "Open vSwitch agent"
L3_AGENT: Final = "L3 agent"
DHCP_AGENT: Final = "DHCP agent"


class Key(NamedTuple):
    """Identity of a stored resource."""

    kind: str
    id: str


class Claim(NamedTuple):
    """A value that only one resource may hold within a scope."""

    scope: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    kind: ClassVar[str] = "network"
    id: NetworkId
    project_id: str
    network_type: NetworkType
    mtu: int
    physical_network: str | None = None
    segmentation_id: SegmentationId | None = None
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    shared: bool = False
    is_external: bool = False
    is_default: bool = False
    port_security_enabled: bool = True
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 0

    @property
    def is_default_external(self) -> bool:
        """Whether it is the one that clients take where they look for an external network themselves."""
        return self.is_external and self.is_default

    def claims(self) -> Iterator[Claim]:
        if self.is_default_external:
            yield Claim("default-network", "external")
        if self.network_type.is_tunnelled:
            yield Claim(f"segment/{self.network_type.value}", str(self.segmentation_id))
        else:
            yield Claim(f"physical/{self.physical_network}", str(self.segmentation_id or "untagged"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Addresses `start` to `end`, both included, that are given out by themselves."""

    start: str
    end: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Subnet:
    kind: ClassVar[str] = "subnet"
    id: SubnetId
    project_id: str
    network_id: NetworkId
    cidr: str
    name: str = ""
    description: str = ""
    gateway_ip: str | None = None
    allocation_pools: tuple[Pool, ...] = ()
    dns_nameservers: tuple[str, ...] = ()
    host_routes: tuple[Route, ...] = ()
    enable_dhcp: bool = True
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 0

    def claims(self) -> Iterator[Claim]:
        yield Claim(f"cidr/{self.network_id}", self.cidr)


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    kind: ClassVar[str] = "port"
    id: PortId
    project_id: str
    network_id: NetworkId
    mac_address: MacAddress
    name: str = ""
    description: str = ""
    fixed_ips: tuple[FixedIp, ...] = ()
    device_owner: str = ""
    device_id: str = ""
    admin_state_up: bool = True
    status: str = DOWN
    reason: str = ""
    """Why the port is not bound or not ACTIVE, a sentence; empty when nothing is wrong."""
    security_groups: tuple[GroupId, ...] = ()
    port_security_enabled: bool = True
    allowed_address_pairs: tuple[AddressPair, ...] = ()
    host: HostName = NO_HOST
    vif_type: str = VIF_UNBOUND
    plug: Plug = Plug.HYBRID
    vnic_type: str = "normal"
    binding_profile: Mapping[str, Any] | None = None
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 0

    @property
    def is_bound(self) -> bool:
        return self.vif_type == VIF_OVS

    def claims(self) -> Iterator[Claim]:
        yield Claim(f"mac/{self.network_id}", self.mac_address)
        for fixed in self.fixed_ips:
            yield Claim(f"address/{fixed.subnet_id}", fixed.ip_address)
        if self.device_owner == OWNER_DHCP:
            yield Claim("dhcp", self.network_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    kind: ClassVar[str] = "router"
    id: RouterId
    project_id: str
    name: str = ""
    description: str = ""
    admin_state_up: bool = True
    status: str = ACTIVE
    reason: str = ""
    gateway_port_id: PortId | None = None
    enable_snat: bool = True
    routes: tuple[Route, ...] = ()
    reported: str = ""
    """What its host last said of it: `wired`, `absent`, `error`, or "" for nothing yet."""
    host: HostName = NO_HOST
    """Where the router runs; empty when it needs no host yet or none is alive."""
    wanted_at: int = 0
    """Revision since which the host was to have the router as it is now."""
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 0

    def claims(self) -> Iterator[Claim]:
        return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class FloatingIp:
    kind: ClassVar[str] = "floatingip"
    id: FloatingIpId
    project_id: str
    floating_network_id: NetworkId
    floating_ip_address: str
    floating_port_id: PortId
    """The port on the external network that holds the address (`network:floatingip`)."""
    description: str = ""
    port_id: PortId | None = None
    fixed_ip_address: str | None = None
    router_id: RouterId | None = None
    status: str = DOWN
    wanted_at: int = 0
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 0

    def claims(self) -> Iterator[Claim]:
        if self.port_id is not None:
            yield Claim(f"floating/{self.port_id}/{self.floating_network_id}", str(self.fixed_ip_address))


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroup:
    kind: ClassVar[str] = "security_group"
    id: GroupId
    project_id: str
    name: str = ""
    description: str = ""
    stateful: bool = True
    shared: bool = False
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 0

    def claims(self) -> Iterator[Claim]:
        if self.name == "default":
            yield Claim("default-group", self.project_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGroupRule:
    kind: ClassVar[str] = "security_group_rule"
    id: str
    project_id: str
    security_group_id: GroupId
    direction: str
    ethertype: str = "IPv4"
    protocol: str | None = None
    port_range_min: int | None = None
    port_range_max: int | None = None
    remote_ip_prefix: str | None = None
    remote_group_id: GroupId | None = None
    description: str = ""
    created_at: str = ""
    updated_at: str = ""
    revision_number: int = 0

    def claims(self) -> Iterator[Claim]:
        return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What a host's agent last said of itself. `id` is the host's name."""

    kind: ClassVar[str] = "host"
    id: HostName
    roles: tuple[str, ...] = ()
    vtep_ip: str = ""
    tunnel_types: tuple[NetworkType, ...] = ()
    datapath_type: str = ""
    plug: Plug = Plug.HYBRID
    bridge_mappings: Mapping[str, str] | None = None
    version: str = ""
    started_at: str = ""
    errors: tuple[str, ...] = ()

    def claims(self) -> Iterator[Claim]:
        return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """One row of the agent list: a host's agent in one of the three parts that Networking API clients know."""

    kind: ClassVar[str] = "agent"
    id: str
    host: HostName
    agent_type: str
    description: str = ""
    admin_state_up: bool = True
    created_at: str = ""

    def claims(self) -> Iterator[Claim]:
        yield Claim(f"agent/{self.host}", self.agent_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the configuration tells every host; stored so that a change of it is a revision like any other."""

    kind: ClassVar[str] = "settings"
    id: str = "deployment"
    deployment: Deployment = field(default_factory=Deployment)

    def claims(self) -> Iterator[Claim]:
        return iter(())


Resource: TypeAlias = (
    Network | Subnet | Port | Router | FloatingIp | SecurityGroup | SecurityGroupRule | Host | Agent | Settings
)

KINDS: Final[Mapping[str, type[Resource]]] = {
    cls.kind: cls
    for cls in (
        Network,
        Subnet,
        Port,
        Router,
        FloatingIp,
        SecurityGroup,
        SecurityGroupRule,
        Host,
        Agent,
        Settings,
    )
}

T = TypeVar("T", bound=Resource)
R = TypeVar("R", Network, Subnet, Port, Router, FloatingIp, SecurityGroup, SecurityGroupRule)


def key_of(resource: Resource) -> Key:
    return Key(resource.kind, resource.id)


def revised(resource: R, at: str, **changes: Any) -> R:
    """The resource with changes, its revision number raised and its time set; itself if nothing differs."""
    changed = replace(resource, **changes)
    if changed == resource:
        return resource
    return replace(changed, updated_at=at, revision_number=resource.revision_number + 1)
