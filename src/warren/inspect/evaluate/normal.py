"""NORMAL: forwarding by learned addresses, with access and trunk ports (ofproto-dpif-xlate.c, xlate_normal).

Not modelled, and said so: Q-in-Q ports. Not looked at: bonds, mirrors, spanning tree, multicast snooping, protection.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

from warren.inspect.evaluate.model import BridgeModel, PortModel
from warren.inspect.evaluate.outcome import SeenAddress
from warren.inspect.evaluate.packet import ETH_DST, ETH_SRC, IN_PORT, INNER_VLAN, VLAN, Values
from warren.inspect.evaluate.scope import Unknown
from warren.inspect.parse.match import VLAN_PRESENT

_GROUP_BIT: Final = 1 << 40
_RESERVED: Final = range(0x0180C2000000, 0x0180C2000010)
"""Link-local group addresses that a bridge does not forward (IEEE 802.1Q, 8.6.3)."""
_VID: Final = 0x0FFF
_PCP: Final = 0xE000
Tags: TypeAlias = tuple[int, int]
"""Outer and inner tag without their presence bits: VLAN id and priority; 0 is no tag."""
_KNOWN_MODES: Final = ("", "access", "trunk", "native-tagged", "native-untagged")


def forward(bridge: BridgeModel, values: Values, seen: list[SeenAddress]) -> Iterator[tuple[int, Values]]:
    """Ports that a frame leaves by, each with the frame as it leaves. The source address is noted in `seen`.

    Raises:
        Unknown: the ports are not known, or one has a mode that is not modelled.
    """
    if bridge.ports is None:
        raise Unknown(f"the ports of {bridge.name} are not known, so neither is what NORMAL does")
    arrived = bridge.ports.get(values[IN_PORT])
    tags = _arriving(arrived, values) if arrived is not None else None
    if arrived is None or tags is None or values[ETH_DST] in _RESERVED:
        return
    vlan = tags[0] & _VID
    if not values[ETH_SRC] & _GROUP_BIT:
        seen.append(SeenAddress(bridge=bridge.name, vlan=vlan, mac=values[ETH_SRC], port=arrived.number))
    known = None if values[ETH_DST] & _GROUP_BIT else bridge.fdb.get((vlan, values[ETH_DST]))
    target = bridge.ports.get(known) if known is not None else None
    if target is not None:
        # Where an address was learned is not asked again which VLANs it carries (xlate_normal).
        if target.number != arrived.number:
            yield target.number, _leaving(_checked(target), tags, values)
        return
    for port in tuple(bridge.ports.values()):
        if port.number != arrived.number and port.floods and _takes(port, tags):
            yield port.number, _leaving(port, tags, values)


def _checked(port: PortModel) -> PortModel:
    if port.vlan_mode not in _KNOWN_MODES:
        raise Unknown(f"the VLAN mode {port.vlan_mode} of port {port.name}")
    return port


def _arriving(port: PortModel, values: Values) -> Tags | None:
    """The tags of a frame inside the bridge; `None` where the port does not take it (xvlan_input_translate)."""
    outer, inner = values[VLAN] & ~VLAN_PRESENT, values[INNER_VLAN] & ~VLAN_PRESENT
    vlan = outer & _VID
    if _checked(port).is_access:
        return None if vlan else (outer & _PCP | (port.tag or 0), 0)
    if vlan == 0 and port.vlan_mode in {"native-tagged", "native-untagged"}:
        return outer & _PCP | (port.tag or 0), inner
    return (outer, inner) if port.carries(vlan) else None


def _takes(port: PortModel, tags: Tags) -> bool:
    """Whether a port is of the frame's VLAN; an access port has no room for a second tag (xbundle_includes_vlan)."""
    return _checked(port).carries(tags[0] & _VID) and not (port.is_access and tags[1] & _VID)


def _leaving(port: PortModel, tags: Tags, values: Values) -> Values:
    """The frame as it leaves by a port (xvlan_output_translate)."""
    left = list(values)
    if port.is_access or (port.vlan_mode == "native-untagged" and tags[0] & _VID == port.tag):
        tags = (0, 0)
    left[VLAN], left[INNER_VLAN] = (tag | VLAN_PRESENT if tag else 0 for tag in tags)
    return left
