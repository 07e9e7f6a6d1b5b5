"""What a host, and several of them, looked like when they were captured. Frozen values, no judgement."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from warren.core.protocols import TUNNEL_UDP_PORT
from warren.inspect.parse.problem import Problem
from warren.inspect.snapshot.names import Names
from warren.inspect.snapshot.text import mac_of

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})


def _nothing() -> Mapping[str, str]:
    return NOTHING


HOST_NAMESPACE: Final = ""
"""Name of the namespace that a host's own processes are in."""
DEAD_VLAN: Final = 4095


REFUSALS: Final[Mapping[str, str]] = {"NO_RECV": "receive", "NO_FWD": "forward"}
"""What a port's config refuses -> the word of `ovs-ofctl mod-port` that allows it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgePort:
    """An interface of an Open vSwitch bridge with the settings of the Port that it belongs to."""

    name: str
    port: str = ""
    """Name of the Port; another than the interface's for a bond."""
    ofport: int | None = None
    type: str = ""
    tag: int | None = None
    vlan_mode: str = ""
    trunks: frozenset[int] = frozenset()
    """VLANs that a trunk port carries; empty: all."""
    mac: str = ""
    mtu: int | None = None
    options: Mapping[str, str] = field(default_factory=_nothing)
    external_ids: Mapping[str, str] = field(default_factory=_nothing)
    other_config: Mapping[str, str] = field(default_factory=_nothing)
    """Of the Port: `net_uuid`, `segmentation_id` and so on, as an OVS agent remembers them."""
    config: frozenset[str] = frozenset()
    """In `ovs-ofctl show`; `PORT_DOWN` says nothing for an internal port that moved into a namespace."""
    error: str = ""

    @property
    def is_tunnel(self) -> bool:
        return "remote_ip" in self.options

    def tunnel_key(self, direction: str) -> int | None:
        """The one key of a tunnel port, `in_key` or `out_key`; None where flows say it (ovs-vswitchd.conf.db(5)).

        `key` stands for the direction that has no option of its own; without either it is 0.
        """
        text = self.options.get(direction) or self.options.get("key") or "0"
        if text == "flow":
            return None
        try:
            return int(text, 0)
        except ValueError:
            return 0

    def takes_key(self, key: int) -> bool:
        """Whether a tunnel port takes what comes with a key."""
        return self.tunnel_key("in_key") in (None, key)

    @property
    def tunnel_udp_port(self) -> str:
        """What a tunnel's packets are sent to and taken from (ovs-vswitchd.conf.db(5)); gre has none."""
        return self.options.get("dst_port", TUNNEL_UDP_PORT.get(self.type, ""))

    @property
    def patch_peer(self) -> str:
        return self.options.get("peer", "") if self.type == "patch" else ""

    @property
    def attached_mac(self) -> str:
        """The MAC address of what is plugged there, as whoever plugged it said."""
        return mac_of(self.external_ids.get("attached-mac", ""))

    @property
    def port_id(self) -> str:
        """The API's port id, for an interface that something plugged for it."""
        return self.external_ids.get("iface-id", "")

    def network(self, names: Names) -> str:
        """The id of the network that it is for: the API knows best, then what an agent remembers; else empty."""
        known = names.ports.get(self.port_id)
        return known.network_id if known else self.other_config.get("net_uuid", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class FdbEntry:
    """A MAC address that a bridge's NORMAL action learned: on which port and VLAN, how long ago."""

    ofport: int | None
    vlan: int
    mac: str
    age_s: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Printout:
    """What a command printed, and the file that has it. Parsed where needed: hundreds fit into memory."""

    file: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bridge:
    """One Open vSwitch bridge."""

    name: str
    ports: tuple[BridgePort, ...] = ()
    fail_mode: str = ""
    datapath_type: str = ""
    flows: Printout | None = None
    groups: Printout | None = None
    fdb: tuple[FdbEntry, ...] = ()

    def port(self, name: str) -> BridgePort | None:
        return next((port for port in self.ports if port.name == name), None)

    def by_ofport(self) -> Mapping[int, BridgePort]:
        return {port.ofport: port for port in self.ports if port.ofport is not None and port.ofport > 0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """An address of an interface, `192.0.2.1` with prefix length 24."""

    ip: str
    prefix_length: int
    scope: str = "global"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network interface of the kernel, as ip-address(8) shows it."""

    name: str
    index: int = 0
    mac: str = ""
    mtu: int = 0
    is_up: bool = False
    kind: str = ""
    master: str = ""
    peer_index: int = 0
    peer_name: str = ""
    """Name of a veth's other end in the same namespace; for other kinds, the interface below."""
    peer_namespace: str = ""
    """Name of the namespace of a veth's other end, where ip(8) knew one."""
    peer_namespace_id: int | None = None
    """The number that the link's own namespace has for that one; `None` where it is the same."""
    addresses: tuple[Address, ...] = ()


REFUSING_TYPES: Final = frozenset({"blackhole", "unreachable", "prohibit"})
"""Types of routes, and actions of rules, by which the kernel drops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelRoute:
    """A route of the kernel; destination `0.0.0.0/0` or `::/0` for the default."""

    destination: str
    device: str = ""
    via: str = ""
    source: str = ""
    type: str = "unicast"
    table: str = "main"
    protocol: str = ""
    """Who made it: `kernel` for what comes with an address."""
    metric: int = 0
    is_up: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingRule:
    """A line of `ip rule`: packets from `source` look in `table`, in the order of preference."""

    preference: int
    source: str
    table: str
    selector: str = ""
    """What else the rule asks for, as ip-rule(8) says it in words; `action prohibit` for one that refuses."""

    @property
    def refusal(self) -> str:
        """`blackhole`, `unreachable` or `prohibit` where what the rule is for goes nowhere; else empty."""
        return next((word for word in self.selector.split() if word in REFUSING_TYPES), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelNeighbour:
    """An entry of the ARP or ND table."""

    ip: str
    device: str
    mac: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeAddress:
    """An address that a Linux bridge knows behind one of its ports."""

    mac: str
    port: str
    bridge: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Namespace:
    """A network namespace of a host; `HOST_NAMESPACE` is the host's own."""

    name: str
    links: tuple[Link, ...] = ()
    routes: tuple[KernelRoute, ...] = ()
    rules: tuple[RoutingRule, ...] = ()
    rules6: tuple[RoutingRule, ...] = ()
    """Those of IPv6."""
    neighbours: tuple[KernelNeighbour, ...] = ()
    bridge_fdb: tuple[BridgeAddress, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=_nothing)
    iptables: Printout | None = None
    ip6tables: Printout | None = None
    sets: Printout | None = None
    """`ipset save`."""
    is_complete: bool = True
    """Its interfaces were captured, not only its name."""

    def link(self, name: str) -> Link | None:
        return next((link for link in self.links if link.name == name), None)

    def holder_of(self, ip: str) -> Link | None:
        """The interface that has the address."""
        return next((link for link in self.links if any(a.ip == ip for a in link.addresses)), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpEntry:
    """A line of dnsmasq's hosts file."""

    mac: str
    ip: str
    hostname: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DhcpTable:
    """What the DHCP server of one network would answer."""

    network_id: str
    entries: tuple[DhcpEntry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelNeighbour:
    """An entry of `ovs-appctl tnl/neigh/show`: where userspace tunnelling sends its packets."""

    ip: str
    mac: str
    bridge: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One host as captured. What a capture does not have is empty, never guessed."""

    name: str
    bridges: tuple[Bridge, ...] = ()
    namespaces: tuple[Namespace, ...] = ()
    dhcp: tuple[DhcpTable, ...] = ()
    tunnel_neighbours: tuple[TunnelNeighbour, ...] = ()
    intent: Printout | None = None
    """The desired state that a Warren agent keeps, where the capture has it."""
    problems: tuple[Problem, ...] = ()

    def bridge(self, name: str) -> Bridge | None:
        return next((bridge for bridge in self.bridges if bridge.name == name), None)

    def namespace(self, name: str) -> Namespace | None:
        return next((namespace for namespace in self.namespaces if namespace.name == name), None)

    def ports(self) -> Iterator[tuple[Bridge, BridgePort]]:
        for bridge in self.bridges:
            for port in bridge.ports:
                yield bridge, port

    def vteps(self) -> frozenset[str]:
        """Addresses that its tunnels start from."""
        return frozenset(port.options["local_ip"] for _, port in self.ports() if port.options.get("local_ip"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """Several hosts, captured at about the same time, and what the API calls the things on them."""

    hosts: tuple[Host, ...] = ()
    names: Names = field(default_factory=Names)
    problems: tuple[Problem, ...] = ()
    """Of the sources themselves; a host's own are with it."""

    def host(self, name: str) -> Host | None:
        return next((host for host in self.hosts if host.name == name), None)
