"""ARP of an address that appeared: telling where it is now (RFC 5227 section 3), and asking (RFC 826). Raw frames."""

import socket
import struct
from collections.abc import Iterable
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
    _send(interface, mac_address, address, ((1, bytes(6), address), (2, BROADCAST, address)))


def ask(interface: str, mac_address: str, address: str, sought: Iterable[str]) -> None:
    """Ask for neighbours on behalf of the kernel, which takes the answers for what it waits for.

    Raises:
        Rejected: as `announce`.
    """
    _send(interface, mac_address, address, ((1, bytes(6), neighbour) for neighbour in sought))


def _send(interface: str, mac_address: str, address: str, messages: Iterable[tuple[int, bytes, str]]) -> None:
    """Broadcast each (operation, target's MAC address, target's address)."""
    mac, ip = bytes.fromhex(mac_address.replace(":", "")), IPv4Address(address).packed
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC) as wire:
            wire.bind((interface, ETH_P_ARP))
            for operation, target_mac, target in messages:
                body = _arp.pack(1, 0x0800, 6, 4, operation, mac, ip, target_mac, IPv4Address(target).packed)
                wire.send(BROADCAST + mac + struct.pack("!H", ETH_P_ARP) + body)
    except OSError as error:
        raise Rejected(f"{address} could not be announced on {interface}: {error.strerror}") from error
