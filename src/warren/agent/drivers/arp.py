"""Gratuitous ARP: telling a link where an address is now (RFC 5227 section 3, RFC 826). One raw frame, no process."""

import socket
import struct
from ipaddress import IPv4Address

from warren.core.errors import Rejected

ETH_P_ARP = 0x0806
BROADCAST = b"\xff" * 6
_arp = struct.Struct("!HHBBH6s4s6s4s")


def announce(interface: str, mac_address: str, address: str) -> None:
    """Send a request and a reply for an interface's own address: some listeners take one, some the other.

    Raises:
        Rejected: the interface is not there or not up.
    """
    mac, ip = bytes.fromhex(mac_address.replace(":", "")), IPv4Address(address).packed
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC) as wire:
            wire.bind((interface, ETH_P_ARP))
            for operation, target in ((1, bytes(6)), (2, BROADCAST)):
                body = _arp.pack(1, 0x0800, 6, 4, operation, mac, ip, target, ip)
                wire.send(BROADCAST + mac + struct.pack("!H", ETH_P_ARP) + body)
    except OSError as error:
        raise Rejected(f"{address} could not be announced on {interface}: {error.strerror}") from error
