"""Leases that dnsmasq remembers, and making it forget one by a DHCPRELEASE (RFC 2131 section 4.4.6).

dnsmasq does not give an address to a new port while it remembers it leased to another MAC. It forgets at once when
it is told what a leaving client would have told it. Spoken on a plain socket inside the server's namespace.
"""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import Final

from warren.agent.drivers import netlink
from warren.core.errors import Rejected

FILE: Final = "leases"
MAGIC: Final = b"\x63\x82\x53\x63"
DHCP_RELEASE: Final = 7
OPTION_TYPE, OPTION_SERVER, OPTION_CLIENT, OPTION_END = 53, 54, 61, 255
_bootp = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A line of dnsmasq's lease file; `client_id` is `*` for a client without one."""

    mac_address: str
    address: str
    client_id: str


def stale(folder: Path, hosts_file: str) -> Iterator[Lease]:
    """Leases whose MAC and address no line of the hosts file has."""
    known = {tuple(line.split(",")[:2]) for line in _lines(folder / hosts_file)}
    for line in _lines(folder / FILE):
        words = line.split()
        if len(words) == 5 and "." in words[2] and (words[1], words[2]) not in known:
            yield Lease(mac_address=words[1], address=words[2], client_id=words[4])


def release(lease: Lease) -> None:
    """Tell the dnsmasq of the calling thread's namespace that a client gives its address back.

    Raises:
        Rejected: no interface here has an address on the lease's subnet.
    """
    address = ip_address(lease.address)
    for each in netlink.read().addresses:
        server = ip_interface(each.address)
        if address in server.network and each.interface != "lo":
            _send(each.interface, str(server.ip), _message(lease, str(server.ip)))
            return
    raise Rejected(f"no DHCP server has an address on the subnet of {lease.address}; its lease cannot be released")


def _send(interface: str, server: str, message: bytes) -> None:
    """Bound to the interface, so that dnsmasq takes it for a packet of that interface and not of the loopback."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as out:
            out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
            out.sendto(message, (server, 67))
    except OSError as error:
        raise Rejected(f"a lease could not be released on {interface}: {error.strerror}") from error


def _message(lease: Lease, server: str) -> bytes:
    mac = bytes.fromhex(lease.mac_address.replace(":", ""))
    client, none = socket.inet_aton(lease.address), bytes(4)
    fixed = _bootp.pack(1, 1, 6, 0, 0, 0, 0, client, none, none, none, mac, b"", b"", MAGIC)
    options = bytes([OPTION_TYPE, 1, DHCP_RELEASE, OPTION_SERVER, 4]) + socket.inet_aton(server)
    if lease.client_id != "*":
        client_id = bytes.fromhex(lease.client_id.replace(":", ""))
        options += bytes([OPTION_CLIENT, len(client_id)]) + client_id
    return fixed + options + bytes([OPTION_END])


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(errors="replace").splitlines()
    except OSError:
        return []
