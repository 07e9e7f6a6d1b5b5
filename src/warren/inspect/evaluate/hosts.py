"""A captured host -> its bridges for the evaluator, joined by their patch ports."""

from collections.abc import Mapping

from warren.inspect.decode import Decoder
from warren.inspect.evaluate.model import BridgeModel, PortModel, tables_of
from warren.inspect.parse.dump import read_dump
from warren.inspect.parse.groups import read_groups
from warren.inspect.parse.read_actions import Names
from warren.inspect.parse.values import PORTS
from warren.inspect.snapshot.model import Bridge, BridgePort, Host


def models_of(host: Host) -> dict[str, BridgeModel]:
    """Every bridge of a host whose flows were captured. The ports are known where `ovs-ofctl show` was captured."""
    bridge_of = {port.name: bridge.name for bridge, port in host.ports()}
    return {bridge.name: model_of(bridge, bridge_of) for bridge in host.bridges if bridge.flows is not None}


def model_of(bridge: Bridge, bridge_of: Mapping[str, str] | None = None) -> BridgeModel:
    """A bridge; `bridge_of` says where the port at a patch's other end is. Without it a packet ends at the patch."""
    numbered = {number: port for port in bridge.ports if (number := _number(port, bridge.name)) is not None}
    names = Names(ports={port.name: number for number, port in numbered.items()}, tables={})
    dump = read_dump(bridge.flows.text, bridge.flows.file) if bridge.flows is not None else None
    groups, _ = read_groups(bridge.groups.text, bridge.groups.file, names) if bridge.groups is not None else ((), ())
    return BridgeModel(
        name=bridge.name,
        tables=tables_of(dump.flows if dump is not None else (), Decoder(names=names)),
        ports={number: _port(number, port, bridge_of or {}) for number, port in numbered.items()} or None,
        groups={group.id: group for group in groups},
        fdb={
            (entry.vlan, int(entry.mac.replace(":", ""), 16)): entry.ofport
            for entry in bridge.fdb
            if entry.ofport is not None
        },
        problems=dump.problems if dump is not None else (),
    )


def _number(port: BridgePort, bridge: str) -> int | None:
    """A port's OpenFlow number; the bridge's own port is LOCAL whatever the capture says."""
    if port.name == bridge:
        return PORTS["LOCAL"]
    return port.ofport if port.ofport is not None and port.ofport > 0 else None


def _port(number: int, port: BridgePort, bridge_of: Mapping[str, str]) -> PortModel:
    peer = port.patch_peer
    return PortModel(
        number=number,
        name=port.name,
        tag=port.tag,
        vlan_mode=port.vlan_mode,
        trunks=port.trunks,
        floods="NO_FLOOD" not in port.config,
        peer=(bridge_of[peer], peer) if peer in bridge_of else None,
    )
