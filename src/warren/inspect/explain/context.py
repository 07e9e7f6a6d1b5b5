"""What is known around a bridge, to call ports, networks and addresses by name. Everything may be unknown."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address
from typing import Final

from warren.core.names import (
    ID_CHARS_IN_NAME,
    INTEGRATION_BRIDGE,
    PATCH_TO_INTEGRATION,
    PATCH_TO_TUNNEL,
    TUNNEL_BRIDGE,
)
from warren.core.protocols import TUNNEL_OVERHEAD_BYTES
from warren.core.state import OWNER_DHCP, OWNER_ROUTER_GATEWAY, OWNER_ROUTER_INTERFACE
from warren.inspect.decode import Decoder, Meaning
from warren.inspect.explain.pipelines import Pipeline, recognise
from warren.inspect.parse import fields as f
from warren.inspect.parse.actions import Action, Learn, Nested, SetField, SetVlan
from warren.inspect.parse.dump import Flow, TableId
from warren.inspect.parse.problem import Unreadable
from warren.inspect.parse.read_actions import Names as OpenFlowNames
from warren.inspect.snapshot.model import Bridge, BridgePort, Estate, Host
from warren.inspect.snapshot.names import NamedPort, Names
from warren.inspect.snapshot.text import whole
from warren.pipeline.cookies import object_digits

_TUNNEL_TABLES: Final = (2, 3, 4, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Names for what stands in the flows of one bridge. MAC addresses and ports are keyed by number, for speed."""

    bridge: str = ""
    pipeline: Pipeline | None = None
    ports: Mapping[int, str] = field(default_factory=dict)
    """OpenFlow port -> `vxlan-0a090003 to compute2`."""
    tunnels: frozenset[int] = frozenset()
    hosts: Mapping[int, str] = field(default_factory=dict)
    """OpenFlow port of a tunnel -> the host at its other end."""
    networks: Mapping[int, str] = field(default_factory=dict)
    """Local VLAN -> `'red'`, or the network's id."""
    segments: Mapping[int, int] = field(default_factory=dict)
    """Local VLAN -> segmentation id."""
    addresses: Mapping[int, str] = field(default_factory=dict)
    """MAC address -> whose it is."""
    ips: Mapping[str, str] = field(default_factory=dict)
    """IP address -> whose it is."""
    objects: Mapping[str, str] = field(default_factory=dict)
    """First 12 digits of an id, as in Warren's cookies -> the object's name."""
    learned: frozenset[tuple[TableId, int, int]] = frozenset()
    """(table, priority, cookie) of what learn() writes here."""
    key: str = "VNI"
    """What the key of this host's tunnels is called."""
    vlan: str = "local VLAN"
    """What a VLAN is called of which no more is known."""
    outside: frozenset[int] = frozenset()
    """Ports that lead to a physical network: VLANs of what comes by them are not local ones."""
    is_physical: bool = False
    """The bridge joins br-int to a physical network: a VLAN that its flows set is not a local one."""

    def beyond(self) -> "Context":
        """The same for frames as they are on a physical network."""
        return replace(self, networks={}, segments={}, vlan="outside VLAN")

    def network_of_segment(self, segment: int) -> str:
        """The name of the network with a segmentation id; empty where unknown."""
        return next((self.networks.get(vlan, "") for vlan, vni in self.segments.items() if vni == segment), "")


def context_of(estate: Estate, host: Host, bridge: Bridge, flows: Iterable[Flow], decoder: Decoder) -> Context:
    """All that a capture and the API's names tell about a bridge."""
    listed = list(flows)
    names = estate.names
    vteps = {**names.hosts, **{vtep: other.name for other in estate.hosts for vtep in other.vteps()}}
    networks = dict(_networks(host, names))
    by_number = bridge.by_ofport()
    hosts = {
        number: vteps.get(port.options["remote_ip"], port.options["remote_ip"])
        for number, port in by_number.items()
        if port.is_tunnel
    }
    owners = _owners(estate)
    outside = _outside(host, bridge)
    kinds = {port.type for _, port in host.ports() if port.is_tunnel}
    return Context(
        bridge=bridge.name,
        pipeline=recognise(bridge.name, listed),
        ports={number: _port_label(port, hosts.get(number, ""), names) for number, port in by_number.items()},
        tunnels=frozenset(hosts),
        hosts=hosts,
        networks=networks,
        segments=dict(_segments(listed, decoder)) | _segments_by_name(host, names),
        addresses={int(mac.replace(":", ""), 16): label for mac, label in owners},
        ips=dict(_ips(names)),
        objects=dict(_objects(names)),
        learned=frozenset(_learned(listed, decoder)),
        key="GRE key" if kinds == {"gre"} else "tunnel key" if "gre" in kinds else "VNI",
        outside=outside,
        is_physical=bool(outside) and bridge.name != INTEGRATION_BRIDGE,
    )


def _outside(host: Host, bridge: Bridge) -> frozenset[int]:
    """Of br-int the patches to bridges without tunnels; of such a bridge all ports but the patch to br-int."""
    bridges = {port.name: other for other, port in host.ports()}
    numbers = bridge.by_ofport()
    beyond = {number: bridges.get(port.patch_peer) for number, port in numbers.items() if port.patch_peer}
    if bridge.name == INTEGRATION_BRIDGE:
        return frozenset(n for n, other in beyond.items() if other and not any(port.is_tunnel for port in other.ports))
    is_physical = any(other and other.name == INTEGRATION_BRIDGE for other in beyond.values())
    has_tunnels = any(port.is_tunnel for port in bridge.ports)
    return frozenset(numbers.keys() - beyond.keys()) if is_physical and not has_tunnels else frozenset()


def alone(bridge: str, flows: Iterable[Flow], decoder: Decoder) -> Context:
    """What the flows alone tell."""
    listed = list(flows)
    named = {number: name for name, number in decoder.names.ports.items()}
    context = Context(bridge=bridge, pipeline=recognise(bridge, listed), segments=dict(_segments(listed, decoder)))
    return replace(context, ports=named, learned=frozenset(_learned(listed, decoder)))


def openflow_names(bridge: Bridge) -> OpenFlowNames:
    """Names of ports for `--names` output."""
    return OpenFlowNames(ports={port.name: number for number, port in bridge.by_ofport().items()}, tables={})


def _port_label(port: BridgePort, remote: str, names: Names) -> str:
    if remote:
        return f"{port.name} to {remote}"
    if port.name in (PATCH_TO_TUNNEL, PATCH_TO_INTEGRATION):
        return f"{port.name} to {TUNNEL_BRIDGE if port.name == PATCH_TO_TUNNEL else INTEGRATION_BRIDGE}"
    if port.patch_peer:
        return f"{port.name} to {port.patch_peer}"
    owner = _named_port(port, names)
    return f"{port.name} of {_owner(owner, names)}" if owner else port.name


def _named_port(port: BridgePort, names: Names) -> NamedPort | None:
    """The API's port behind an interface: by `iface-id`, else by the characters of the id in its name."""
    if found := names.ports.get(port.port_id):
        return found
    prefix = port.name[3:]
    if len(prefix) == ID_CHARS_IN_NAME:
        return next((named for port_id, named in names.ports.items() if port_id.startswith(prefix)), None)
    return None


def _owner(port: NamedPort, names: Names) -> str:
    """Who a port belongs to, in words."""
    if port.device_owner == OWNER_DHCP:
        return f"the DHCP server of {names.network(port.network_id)}"
    router = names.routers.get(port.device_id)
    called = f"'{router.name}'" if router and router.name else port.device_id
    if port.device_owner == OWNER_ROUTER_INTERFACE:
        return f"router {called} on {names.network(port.network_id)}"
    if port.device_owner == OWNER_ROUTER_GATEWAY:
        return f"router {called}'s gateway on {names.network(port.network_id)}"
    return f"'{port.name}'" if port.name else f"port {port.id}"


def _owners(estate: Estate) -> Iterator[tuple[str, str]]:
    """MAC address -> whose, from the interfaces themselves, and better from the API."""
    for host in estate.hosts:
        for _, port in host.ports():
            if mac := port.external_ids.get("attached-mac"):
                yield mac.lower(), f"port {port.port_id}"
    for named in estate.names.ports.values():
        if named.mac:
            yield named.mac, _owner(named, estate.names)


def _ips(names: Names) -> Iterator[tuple[str, str]]:
    for port in names.ports.values():
        for ip in port.ips:
            yield ip, _owner(port, names)


def _objects(names: Names) -> Iterator[tuple[str, str]]:
    for network_id in names.networks:
        yield object_digits(network_id), f"network {names.network(network_id)}"
    for port in names.ports.values():
        yield object_digits(port.id), f"port {_owner(port, names)}"


def _networks(host: Host, names: Names) -> Iterator[tuple[int, str]]:
    """Local VLAN -> network, from what the agent remembers at a port or from the port's own network."""
    for _, port in host.ports():
        if port.tag is None:
            continue
        named = _named_port(port, names)
        network_id = port.other_config.get("net_uuid") or (named.network_id if named else "")
        if network_id:
            yield port.tag, names.network(network_id)


def _segments_by_name(host: Host, names: Names) -> dict[int, int]:
    found: dict[int, int] = {}
    for _, port in host.ports():
        if port.tag is None:
            continue
        said = port.other_config.get("segmentation_id", "")
        named = _named_port(port, names)
        network = names.networks.get(named.network_id) if named else None
        kind = port.other_config.get("network_type") or (network.network_type if network else "")
        if kind and kind not in TUNNEL_OVERHEAD_BYTES:
            continue
        if (vni := whole(said)) is not None:
            found[port.tag] = vni
        elif network is not None and network.segmentation_id is not None:
            found[port.tag] = network.segmentation_id
    return found


def _segments(flows: Iterable[Flow], decoder: Decoder) -> Iterator[tuple[int, int]]:
    """Local VLAN -> segmentation id, from the flows that translate one to the other."""
    for flow in flows:
        if flow.table not in _TUNNEL_TABLES or not flow.match_text.startswith("tun_id="):
            continue
        meaning = decoder.meaning(flow)
        if isinstance(meaning, Meaning) and (segment := meaning.match.exact(f.TUN_ID)) is not None:
            yield from ((vlan, segment) for vlan in _vlans_set(meaning))


def _learned(flows: Iterable[Flow], decoder: Decoder) -> Iterator[tuple[TableId, int, int]]:
    for text in {flow.actions_text for flow in flows if "learn(" in flow.actions_text}:
        try:
            yield from ((learn.table, learn.priority, learn.cookie) for learn in _learns(decoder.actions(text)))
        except Unreadable:
            continue


def _learns(actions: tuple[Action, ...]) -> Iterator[Learn]:
    for action in actions:
        if isinstance(action, Learn):
            yield action
        elif isinstance(action, Nested):
            yield from _learns(action.actions)


def _vlans_set(meaning: Meaning) -> Iterator[int]:
    for action in meaning.actions:
        if isinstance(action, SetVlan) and action.vid is not None:
            yield action.vid
        elif isinstance(action, SetField) and action.field is f.VLAN_VID:
            yield action.value & 0xFFF


def ip_label(context: Context, address: str) -> str:
    """An address and whose it is."""
    owner = context.ips.get(address)
    return f"{address} ({owner})" if owner else address


def peer_address(digits: str) -> str:
    """The IPv4 address in the object part of a cookie."""
    return str(IPv4Address(int(digits, 16) & 0xFFFFFFFF))
