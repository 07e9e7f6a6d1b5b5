"""A frame as the cells that flows match on and rewrite, and back."""

from dataclasses import replace
from ipaddress import ip_address
from typing import Final, TypeAlias

from warren.inspect.filter.packet import ICMP, ICMPV6, PORT_PROTOCOLS, IpPacket
from warren.inspect.parse import fields as f
from warren.inspect.parse.fields import Field
from warren.inspect.parse.match import VLAN_PRESENT
from warren.inspect.path.frame import Arp, Frame

Cells: TypeAlias = dict[Field, int]
ETHERTYPE_ARP: Final = 0x0806
ETHERTYPE_IPV4: Final = 0x0800
ETHERTYPE_IPV6: Final = 0x86DD
VID_BITS: Final = 0xFFF
_FLAG_BITS: Final = {"FIN": 1, "SYN": 2, "RST": 4, "PSH": 8, "ACK": 16, "URG": 32}


def mac_number(mac: str) -> int:
    return int(mac.replace(":", ""), 16)


def mac_text(value: int) -> str:
    return ":".join(f"{octet:02x}" for octet in value.to_bytes(6, "big"))


def ipv4_text(value: int) -> str:
    return ".".join(str(octet) for octet in value.to_bytes(4, "big"))


def cells_of(frame: Frame, in_port: int) -> Cells:
    """Every cell that the frame has a value for; all others are 0."""
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


def frame_of(cells: Cells, before: Frame) -> Frame:
    """The frame that cells describe; what no cell holds is as it was."""
    tci = cells[f.VLAN_TCI]
    payload = before.payload
    return Frame(
        source=mac_text(cells[f.ETH_SRC]),
        destination=mac_text(cells[f.ETH_DST]),
        vlan=tci & VID_BITS if tci & VLAN_PRESENT else 0,
        tunnel_id=cells[f.TUN_ID],
        payload=_arp_of(cells) if isinstance(payload, Arp) else _ip_of(cells, payload),
    )


def _arp_of(cells: Cells) -> Arp:
    return Arp(
        operation=cells[f.ARP_OP],
        sender_mac=mac_text(cells[f.ARP_SHA]),
        sender_ip=ipv4_text(cells[f.ARP_SPA]),
        target_mac=mac_text(cells[f.ARP_THA]),
        target_ip=ipv4_text(cells[f.ARP_TPA]),
    )


def _ip_of(cells: Cells, packet: IpPacket) -> IpPacket:
    source, destination = (f.IPV6_SRC, f.IPV6_DST) if packet.is_ipv6 else (f.IP_SRC, f.IP_DST)
    changed = replace(
        packet,
        source=_address(cells[source], is_ipv6=packet.is_ipv6),
        destination=_address(cells[destination], is_ipv6=packet.is_ipv6),
        ttl=cells[f.IP_TTL],
    )
    if packet.protocol in PORT_PROTOCOLS:
        return replace(changed, source_port=cells[f.TP_SRC], destination_port=cells[f.TP_DST])
    return changed


def _address(value: int, *, is_ipv6: bool) -> str:
    return str(ip_address(value.to_bytes(16 if is_ipv6 else 4, "big")))
