"""NORMAL: forwarding by learned addresses, with access and trunk ports (ofproto-dpif-xlate.c, xlate_normal).

Not modelled, and said so: Q-in-Q ports. Not looked at: bonds, mirrors, spanning tree, multicast snooping, protection.
"""

from collections.abc import Iterator
from typing import Final

from warren.inspect.evaluate.model import BridgeModel, PortModel
from warren.inspect.evaluate.outcome import SeenAddress
from warren.inspect.evaluate.packet import ETH_DST, ETH_SRC, IN_PORT, INNER_VLAN, VLAN, Values
from warren.inspect.evaluate.scope import Unknown
from warren.inspect.parse.match import VLAN_PRESENT

_GROUP_BIT: Final = 1 << 40
_RESERVED: Final = range(0x0180C2000000, 0x0180C2000010)
"""Link-local group addresses that a bridge does not forward (IEEE 802.1Q, 8.6.3)."""
_KNOWN_MODES: Final = ("", "access", "trunk", "native-tagged", "native-untagged")


def forward(bridge: BridgeModel, values: Values, seen: list[SeenAddress]) -> Iterator[tuple[int, Values]]:
    """Ports that a frame leaves by, each with the frame as it leaves. The source address is noted in `seen`.

    Raises:
        Unknown: the ports are not known, or one has a mode that is not modelled.
    """
    if bridge.ports is None:
        raise Unknown(f"the ports of {bridge.name} are not known, so neither is what NORMAL does")
    arrived = bridge.ports.get(values[IN_PORT])
    vlan = _vlan_of(arrived, values) if arrived is not None else None
    if arrived is None or vlan is None or values[ETH_DST] in _RESERVED:
        return
    if not values[ETH_SRC] & _GROUP_BIT:
        seen.append(SeenAddress(bridge=bridge.name, vlan=vlan, mac=values[ETH_SRC], port=arrived.number))
    known = None if values[ETH_DST] & _GROUP_BIT else bridge.fdb.get((vlan, values[ETH_DST]))
    target = bridge.ports.get(known) if known is not None else None
    for port in (target,) if target is not None else tuple(bridge.ports.values()):
        if port.number != arrived.number and _carries(port, vlan) and (target is not None or port.floods):
            yield port.number, _leaving(port, vlan, values)


def _carries(port: PortModel, vlan: int) -> bool:
    if port.vlan_mode not in _KNOWN_MODES:
        raise Unknown(f"the VLAN mode {port.vlan_mode} of port {port.name}")
    return port.carries(vlan)


def _vlan_of(port: PortModel, values: Values) -> int | None:
    """The VLAN of a frame that came by a port; `None` where the port does not take it (input_vid_is_valid)."""
    if port.vlan_mode not in _KNOWN_MODES:
        raise Unknown(f"the VLAN mode {port.vlan_mode} of port {port.name}")
    tag = values[VLAN] & 0xFFF if values[VLAN] & VLAN_PRESENT else 0
    if port.is_access:
        return None if tag else port.tag
    if tag == 0 and port.vlan_mode in {"native-tagged", "native-untagged"}:
        return port.tag or 0
    return tag if port.carries(tag) else None


def _leaving(port: PortModel, vlan: int, values: Values) -> Values:
    """The frame as it leaves by a port: tagged, or not (output_vlan)."""
    left = list(values)
    is_untagged = port.is_access or not vlan or (port.vlan_mode == "native-untagged" and vlan == port.tag)
    was_tagged = bool(values[VLAN] & VLAN_PRESENT)
    if is_untagged:
        if was_tagged:
            left[VLAN], left[INNER_VLAN] = values[INNER_VLAN], 0
        return left
    left[VLAN] = values[VLAN] & 0xE000 | VLAN_PRESENT | vlan
    return left
