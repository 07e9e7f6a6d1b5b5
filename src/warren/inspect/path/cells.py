"""A frame as the cells that flows match on and rewrite, and back."""

from collections.abc import Sequence
from dataclasses import replace
from ipaddress import ip_address
from typing import Final, TypeAlias

from warren.inspect.evaluate.packet import SIZE, Values
from warren.inspect.filter.packet import ICMP, ICMPV6, PORT_PROTOCOLS, IpPacket
from warren.inspect.parse import fields as f
from warren.inspect.parse.fields import Field
from warren.inspect.parse.match import VLAN_PRESENT
from warren.inspect.parse.values import ethernet_text, ipv4_text
from warren.inspect.path.frame import Arp, Frame
from warren.inspect.snapshot.text import mac_number

Cells: TypeAlias = dict[Field, int]
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_IPV6: Final = 0x86DD
VID_BITS: Final = 0xFFF
_FLAG_BITS: Final = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32}


def values_of(frame: Frame, in_port: int) -> Values:
    """The frame as the evaluator takes it."""
    values = [0] * SIZE
    for cell, value in _cells_of(frame, in_port).items():
        values[cell.order] = value
    return values


def _cells_of(frame: Frame, in_port: int) -> Cells:
    cells: Cells = {
        f.IN_PORT: in_port,
        f.ETH_SRC: mac_number(frame.source),
        f.ETH_DST: mac_number(frame.destination),
        f.VLAN_TCI: frame.vlan | VLAN_PRESENT if frame.vlan else 0,
        f.TUN_ID: frame.tunnel_id,
    }
    payload = frame.payload
    return cells | (_arp_cells(payload) if isinstance(payload, Arp) else _ip_cells(payload))


def _arp_cells(arp: Arp) -> Cells:
    return {
        f.ETH_TYPE: ETHERTYPE_ARP,
        f.ARP_OP: arp.operation,
        f.ARP_SPA: int(ip_address(arp.sender_ip)) if arp.sender_ip else 0,
        f.ARP_TPA: int(ip_address(arp.target_ip)),
        f.ARP_SHA: mac_number(arp.sender_mac),
        f.ARP_THA: mac_number(arp.target_mac),
    }


def _ip_cells(packet: IpPacket) -> Cells:
    source, destination = (f.IPV6_SRC, f.IPV6_DST) if packet.is_ipv6 else (f.IP_SRC, f.IP_DST)
    cells: Cells = {
        f.ETH_TYPE: ETHERTYPE_IPV6 if packet.is_ipv6 else ETHERTYPE_IPV4,
        source: int(ip_address(packet.source)),
        destination: int(ip_address(packet.destination)),
        f.IP_PROTO: packet.protocol,
        f.IP_TTL: packet.ttl,
    }
    if packet.protocol in PORT_PROTOCOLS:
        flags = sum(_FLAG_BITS.get(flag, 0) for flag in packet.tcp_flags)
        cells |= {f.TP_SRC: packet.source_port, f.TP_DST: packet.destination_port, f.TCP_FLAGS: flags}
    elif packet.protocol in (ICMP, ICMPV6):
        cells |= {f.ICMP_TYPE: packet.icmp_type, f.ICMP_CODE: packet.icmp_code}
    return cells


def frame_of(values: Sequence[int], before: Frame) -> Frame:
    """The frame that the evaluator gives back; what no cell holds is as it was."""
    tci = values[f.VLAN_TCI.order]
    payload = before.payload
    return Frame(
        source=ethernet_text(values[f.ETH_SRC.order]),
        destination=ethernet_text(values[f.ETH_DST.order]),
        vlan=tci & VID_BITS if tci & VLAN_PRESENT else 0,
        tunnel_id=values[f.TUN_ID.order],
        payload=_arp_of(values) if isinstance(payload, Arp) else _ip_of(values, payload),
    )


def _arp_of(values: Sequence[int]) -> Arp:
    return Arp(
        operation=values[f.ARP_OP.order],
        sender_mac=ethernet_text(values[f.ARP_SHA.order]),
        sender_ip=ipv4_text(values[f.ARP_SPA.order]),
        target_mac=ethernet_text(values[f.ARP_THA.order]),
        target_ip=ipv4_text(values[f.ARP_TPA.order]),
    )


def _ip_of(values: Sequence[int], packet: IpPacket) -> IpPacket:
    source, destination = (f.IPV6_SRC, f.IPV6_DST) if packet.is_ipv6 else (f.IP_SRC, f.IP_DST)
    changed = replace(
        packet,
        source=_address(values[source.order], is_ipv6=packet.is_ipv6),
        destination=_address(values[destination.order], is_ipv6=packet.is_ipv6),
        ttl=values[f.IP_TTL.order],
    )
    if packet.protocol in PORT_PROTOCOLS:
        return replace(changed, source_port=values[f.TP_SRC.order], destination_port=values[f.TP_DST.order])
    return changed


def _address(value: int, *, is_ipv6: bool) -> str:
    return str(ip_address(value.to_bytes(16 if is_ipv6 else 4, "big")))
