"""A frame as bytes, or as hexadecimal text, -> `Frame`."""

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from warren.core.errors import Invalid
from warren.inspect.filter.packet import ICMP, ICMPV6, PORT_PROTOCOLS, TCP, IpPacket
from warren.inspect.path.frame import Arp, Frame

_FLAGS: Final = ("FIN", "SYN", "RST", "PSH", "ACK", "URG")


def frame_of_hex(text: str) -> Frame:
    """A frame from hexadecimal digits; blanks, colons and a `0x` before them do not matter.

    Raises:
        Invalid: these are no digits, or no frame that is modelled.
    """
    digits = "".join(text.split()).removeprefix("0x").replace(":", "")
    try:
        return frame_of_bytes(bytes.fromhex(digits))
    except ValueError as error:
        raise Invalid("BadPacket", "a packet is given as hexadecimal digits, two for each byte") from error


def frame_of_bytes(content: bytes) -> Frame:
    """An Ethernet frame with at most one VLAN tag, and ARP, IPv4 or IPv6 in it.

    Raises:
        Invalid: it is cut off, or holds something else.
    """
    try:
        return _frame(content)
    except (struct.error, IndexError) as error:
        raise Invalid("BadPacket", f"the frame is cut off: it has {len(content)} bytes") from error


def _frame(content: bytes) -> Frame:
    ethertype, start, vlan = struct.unpack_from("!H", content, 12)[0], 14, 0
    if ethertype == 0x8100:
        tag, ethertype = struct.unpack_from("!HH", content, 14)
        start, vlan = 18, tag & 0xFFF
    body = content[start:]
    payload: Arp | IpPacket
    if ethertype == 0x0806:
        payload = _arp(body)
    elif ethertype == 0x0800:
        payload = _ipv4(body)
    elif ethertype == 0x86DD:
        payload = _ipv6(body)
    else:
        raise Invalid("BadPacket", f"a frame of Ethernet type {ethertype:#06x} is not modelled")
    return Frame(source=_mac(content[6:12]), destination=_mac(content[:6]), vlan=vlan, payload=payload)


def _mac(octets: bytes) -> str:
    return ":".join(f"{octet:02x}" for octet in octets)


def _arp(body: bytes) -> Arp:
    _, _, _, _, operation = struct.unpack_from("!HHBBH", body)
    if len(body) < 28:
        raise Invalid("BadPacket", "the ARP packet is cut off")
    return Arp(
        operation=operation,
        sender_mac=_mac(body[8:14]),
        sender_ip=str(IPv4Address(body[14:18])),
        target_mac=_mac(body[18:24]),
        target_ip=str(IPv4Address(body[24:28])),
    )


def _ipv4(body: bytes) -> IpPacket:
    header = (body[0] & 0xF) * 4
    (size,) = struct.unpack_from("!H", body, 2)
    source, destination = struct.unpack_from("!4s4s", body, 12)
    return _transport(
        body[header:],
        IpPacket(
            source=str(IPv4Address(source)), destination=str(IPv4Address(destination)), protocol=body[9], ttl=body[8],
            size_bytes=size,
        ),
    )  # fmt: skip


def _ipv6(body: bytes) -> IpPacket:
    size, protocol, ttl, source, destination = struct.unpack_from("!HBB16s16s", body, 4)
    return _transport(
        body[40:],
        IpPacket(
            source=str(IPv6Address(source)), destination=str(IPv6Address(destination)), protocol=protocol, ttl=ttl,
            size_bytes=40 + size,
        ),
    )  # fmt: skip


def _transport(body: bytes, packet: IpPacket) -> IpPacket:
    if packet.protocol in PORT_PROTOCOLS:
        source_port, destination_port = struct.unpack_from("!HH", body)
        bits = body[13] if packet.protocol == TCP else 0
        flags = frozenset(name for bit, name in enumerate(_FLAGS) if bits >> bit & 1)
        return replace(packet, source_port=source_port, destination_port=destination_port, tcp_flags=flags)
    if packet.protocol in (ICMP, ICMPV6):
        kind, code, _, identifier = struct.unpack_from("!BBHH", body)
        return replace(packet, icmp_type=kind, icmp_code=code, icmp_id=identifier)
    return packet
