"""The rows of OVSDB that a host should have, and what of the present ones is compared with them.

What is ours: br-int, br-tun, br-phy by their names; tunnel ports of br-tun by theirs; every other bridge or port that
Warren made by `external_ids:warren`, which names the object that wanted it. Of a port that somebody else plugged into
br-int (`iface-id`) only its VLAN and the memory of its network in `other_config` are ours. Nothing else is touched.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from warren.core.names import (
    INTEGRATION_BRIDGE,
    PATCH_TO_INTEGRATION,
    PATCH_TO_TUNNEL,
    TUNNEL_BRIDGE,
    UNDERLAY_BRIDGE,
    router_gateway,
    router_interface,
    tap,
    to_physical,
)
from warren.core.protocols import TUNNEL_UDP_PORT
from warren.core.state import (
    OWNER_DHCP,
    OWNER_ROUTER_GATEWAY,
    OWNER_ROUTER_INTERFACE,
    HostState,
    NetworkType,
    Port,
)
from warren.pipeline.br_tun.peers import tunnels
from warren.pipeline.switch import Bridge, Switch, SwitchPort, switch_view
from warren.pipeline.view import Layout
from warren.pipeline.vlans import DEAD
from warren.pipeline.wiring import WiredPort, wired_ports

MARK: Final = "warren"
"""Key in `external_ids` of what Warren made; its value is the object that wanted it."""
PROTOCOLS: Final = frozenset({"OpenFlow10", "OpenFlow13", "OpenFlow14", "OpenFlow15"})
"""10 to read as people read, 14 for bundles, 13 and 15 for people's tools."""
OWN_BRIDGES: Final = frozenset({INTEGRATION_BRIDGE, TUNNEL_BRIDGE, UNDERLAY_BRIDGE})
MEMORY: Final = ("net_uuid", "network_type", "physical_network", "segmentation_id", "tag")
"""Keys of `Port.other_config` that remember a port's network, as Neutron names them."""
SERVICE_NAMES: Final = {
    OWNER_DHCP: tap,
    OWNER_ROUTER_INTERFACE: router_interface,
    OWNER_ROUTER_GATEWAY: router_gateway,
}
BETWEEN: Final = frozenset({"patch", *(kind.value for kind in NetworkType if kind.is_tunnelled)})
"""Types of ports that carry frames of every network, and so belong to no VLAN."""
_TUNNEL_NAME: Final = re.compile(r"(vxlan|gre)-[0-9a-f]{8}")

Map: TypeAlias = tuple[tuple[str, str], ...]
"""A column of key-value pairs, sorted, so that a row is hashable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeRow:
    """A bridge: `datapath_type`, `fail_mode`, `protocols`, and our keys of its maps."""

    name: str
    datapath_type: str
    fail_mode: str
    protocols: frozenset[str]
    other_config: Map
    external_ids: Map
    strays: Map = ()
    """Columns that Warren wants as Open vSwitch makes them and that somebody set all the same; never desired."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PortRow:
    """A port that Warren makes, with its interface."""

    name: str
    bridge: str
    type: str
    options: Map
    external_ids: Map
    interface_ids: Map
    strays: Map = ()
    """As of a bridge; of ports between bridges and hosts. A NIC's VLAN is the operator's to choose."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRow:
    """What Warren says of a port of br-int that belongs to a network: its tag, and the memory of why."""

    name: str
    tag: int | None
    other_config: Map
    strays: Map = ()
    """As of a bridge: with a trunk's `vlan_mode` a tag is none."""


Row: TypeAlias = BridgeRow | PortRow | AccessRow


def desired_rows(state: HostState, switch: Switch, layout: Layout) -> dict[str, Row]:
    """Every row of ours that the switch should have, by `bridge/<name>`, `port/<name>` and `access/<name>`."""
    rows: dict[str, Row] = {f"bridge/{row.name}": row for row in _bridges(switch, layout)}
    for row in (*_frame_ports(switch, layout), *_tunnel_ports(state, layout), *_service_ports(state)):
        rows.setdefault(f"port/{row.name}", row)
    return rows | {f"access/{row.name}": row for row in _accesses(state, switch)}


def present_rows(switch: Switch, desired: Mapping[str, Row]) -> dict[str, Row]:
    """The rows that are there and ours, reduced to what is ours in them, comparable with `desired`."""
    rows: dict[str, Row] = {}
    for bridge in switch.bridges.values():
        key = f"bridge/{bridge.name}"
        wanted = desired.get(key)
        if isinstance(wanted, BridgeRow):
            rows[key] = _present_bridge(bridge, wanted)
        elif _may_go(bridge, switch):
            rows[key] = _present_bridge(bridge, None)
    for port in switch.ports.values():
        key = f"port/{port.name}"
        wanted = desired.get(key)
        if isinstance(wanted, PortRow):
            rows[key] = _present_port(port, wanted)
        elif _is_ours(port):
            rows[key] = _present_port(port, None)
        if f"access/{port.name}" in desired:
            rows[f"access/{port.name}"] = _present_access(port)
    return rows


def map_of(pairs: Mapping[str, str]) -> Map:
    return tuple(sorted(pairs.items()))


def _only(present: Mapping[str, str], wanted: Map) -> Map:
    keys = {key for key, _ in wanted}
    return map_of({key: value for key, value in present.items() if key in keys})


def _may_go(bridge: Bridge, switch: Switch) -> bool:
    """Whether a bridge that nothing wants any more is ours to remove: we made it, and nobody else put a port on it."""
    is_made_by_us = MARK in bridge.external_ids and bridge.name not in OWN_BRIDGES
    return is_made_by_us and all(_is_ours(port) or port.name == bridge.name for port in switch.on(bridge.name))


def _is_ours(port: SwitchPort) -> bool:
    return MARK in port.external_ids or (port.bridge == TUNNEL_BRIDGE and bool(_TUNNEL_NAME.fullmatch(port.name)))


def _present_bridge(bridge: Bridge, wanted: BridgeRow | None) -> BridgeRow:
    return BridgeRow(
        name=bridge.name,
        datapath_type=bridge.datapath_type,
        fail_mode=bridge.fail_mode,
        protocols=bridge.protocols,
        other_config=_only(bridge.other_config, wanted.other_config if wanted else ()),
        external_ids=_only(bridge.external_ids, wanted.external_ids if wanted else ()),
        strays=map_of(bridge.strays) if wanted else (),
    )


def _present_port(port: SwitchPort, wanted: PortRow | None) -> PortRow:
    return PortRow(
        name=port.name,
        bridge=port.bridge,
        type=port.type,
        options=map_of(port.options),
        external_ids=_only(port.external_ids, wanted.external_ids if wanted else ()),
        interface_ids=_only(port.interface_ids, wanted.interface_ids if wanted else ()),
        strays=_vlan_strays(port) if wanted and wanted.type in BETWEEN else (),
    )


def _present_access(port: SwitchPort) -> AccessRow:
    memory = map_of({key: value for key, value in port.other_config.items() if key in MEMORY})
    return AccessRow(name=port.name, tag=port.tag, other_config=memory, strays=map_of(port.strays))


def _vlan_strays(port: SwitchPort) -> Map:
    tag = {} if port.tag is None else {"tag": str(port.tag)}
    return map_of({**tag, **port.strays})


def _bridges(switch: Switch, layout: Layout) -> Iterator[BridgeRow]:
    yield _secure(INTEGRATION_BRIDGE, layout)
    yield _secure(TUNNEL_BRIDGE, layout)
    if layout.underlay_interface is not None:
        yield _bridge(UNDERLAY_BRIDGE, layout, fail_mode="")
    for name in sorted({where.bridge for where in layout.physical_networks.values()}):
        present = switch.bridges.get(name)
        if present is None or MARK in present.external_ids:
            yield _secure(name, layout)


def _secure(name: str, layout: Layout) -> BridgeRow:
    return _bridge(name, layout, fail_mode="secure")


def _bridge(name: str, layout: Layout, fail_mode: str) -> BridgeRow:
    return BridgeRow(
        name=name,
        datapath_type=layout.datapath_type,
        fail_mode=fail_mode,
        protocols=PROTOCOLS,
        other_config=(("disable-in-band", "true"),),
        external_ids=((MARK, "bridge"),),
    )


def _frame_ports(switch: Switch, layout: Layout) -> Iterator[PortRow]:
    """Patch pairs, and the NICs of br-phy and of physical bridges."""
    yield from _patch_pair(INTEGRATION_BRIDGE, PATCH_TO_TUNNEL, TUNNEL_BRIDGE, PATCH_TO_INTEGRATION)
    if layout.underlay_interface is not None:
        yield from _nic(layout.underlay_interface, UNDERLAY_BRIDGE, switch)
    for where in layout.physical_networks.values():
        here, there = to_physical(where.bridge)
        yield from _patch_pair(INTEGRATION_BRIDGE, here, where.bridge, there)
        if where.interface is not None:
            yield from _nic(where.interface, where.bridge, switch)


def _patch_pair(bridge: str, port: str, other_bridge: str, other_port: str) -> Iterator[PortRow]:
    for name, at, peer in ((port, bridge, other_port), (other_port, other_bridge, port)):
        yield PortRow(
            name=name,
            bridge=at,
            type="patch",
            options=(("peer", peer),),
            external_ids=((MARK, "bridge"),),
            interface_ids=(),
        )


def _nic(interface: str, bridge: str, switch: Switch) -> Iterator[PortRow]:
    """A NIC that somebody else has put on a bridge stays as and where it is."""
    present = switch.ports.get(interface)
    if present is None or MARK in present.external_ids:
        yield PortRow(
            name=interface, bridge=bridge, type="", options=(), external_ids=((MARK, "bridge"),), interface_ids=()
        )


def _tunnel_ports(state: HostState, layout: Layout) -> Iterator[PortRow]:
    for tunnel in tunnels(state, layout):
        options = {
            "df_default": "true",
            "egress_pkt_mark": "0",
            "in_key": "flow",
            "local_ip": layout.local_ip,
            "out_key": "flow",
            "remote_ip": tunnel.peer.vtep_ip,
        }
        vxlan_port = str(state.deployment.vxlan_port)
        if tunnel.tunnel_type is NetworkType.VXLAN and vxlan_port != TUNNEL_UDP_PORT["vxlan"]:
            options["dst_port"] = vxlan_port
        yield PortRow(
            name=tunnel.name,
            bridge=TUNNEL_BRIDGE,
            type=tunnel.tunnel_type.value,
            options=map_of(options),
            external_ids=((MARK, tunnel.peer.key),),
            interface_ids=(),
        )


def _service_ports(state: HostState) -> Iterator[PortRow]:
    """Internal ports of routers and DHCP servers; their namespaces fetch them by name."""
    for port in state.of(Port):
        name = service_interface(port)
        if name is not None:
            ids = {"iface-id": port.id, "attached-mac": port.mac_address, "iface-status": "active"}
            yield PortRow(
                name=name,
                bridge=INTEGRATION_BRIDGE,
                type="internal",
                options=(),
                external_ids=((MARK, port.key),),
                interface_ids=map_of(ids),
            )


def service_interface(port: Port) -> str | None:
    """The interface that Warren makes for a router's or DHCP server's port, or None: somebody else makes it."""
    name = SERVICE_NAMES.get(port.device_owner)
    return None if name is None else name(port.id)


def _accesses(state: HostState, switch: Switch) -> Iterable[AccessRow]:
    """Every port of br-int that carries a port's id: tagged with its local VLAN if it is wired, else dead."""
    view = switch_view(switch, state)
    wired = {view.interfaces[found.port.id]: found for found in wired_ports(state, view)}
    for port in switch.on(INTEGRATION_BRIDGE):
        if port.name in wired:
            found = wired[port.name]
            yield AccessRow(name=port.name, tag=found.vlan, other_config=_memory(found))
        elif "iface-id" in port.interface_ids:
            yield AccessRow(name=port.name, tag=DEAD, other_config=())


def _memory(wired: WiredPort) -> Map:
    network = wired.network
    memory = {
        "net_uuid": network.id,
        "network_type": network.network_type.value,
        "physical_network": str(network.physical_network),
        "tag": str(wired.vlan),
    }
    if network.segmentation_id is not None:
        memory["segmentation_id"] = str(network.segmentation_id)
    return map_of(memory)
