"""Links, addresses, routes and neighbours of a network namespace, read from the kernel by rtnetlink(7).

Reads only; links are changed by ip(8) in `namespaces.py`. Written on plain sockets because reading is all that is
needed, of every namespace at each audit: 800 links take some milliseconds, and nothing has to be imported.
"""

import fcntl
import os
import socket
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from typing import Final

from warren.core.errors import Rejected

NLMSG_ERROR: Final = 2
NLMSG_DONE: Final = 3
RTM_NEWLINK, RTM_GETLINK = 16, 18
RTM_NEWADDR, RTM_GETADDR = 20, 22
RTM_NEWROUTE, RTM_GETROUTE = 24, 26
RTM_NEWNEIGH, RTM_GETNEIGH = 28, 30
NLM_F_REQUEST, NLM_F_DUMP = 0x1, 0x300
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO = 1, 3, 4, 10, 18
IFLA_INFO_KIND: Final = 1
IFA_ADDRESS, IFA_LOCAL = 1, 2
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_MULTIPATH, RTA_TABLE = 1, 4, 5, 6, 9, 15
NDA_DST: Final = 1
NUD_INCOMPLETE, NUD_FAILED = 0x01, 0x20
OPTION_OF_TABLE: Final = {254: (), 255: ("table local",), 253: ("table default",)}
"""The tables that packets are looked up in where nobody adds rules, and how a route in one is spelled."""
RTPROT_KERNEL: Final = 2
RTN_UNICAST: Final = 1
LEADS_NOWHERE: Final = {2: "local", 6: "blackhole", 7: "unreachable", 8: "prohibit", 9: "throw"}
"""Types of routes by which no packet goes on, as ip-route(8) names them."""
USUAL_METRIC: Final = {socket.AF_INET: 0, socket.AF_INET6: 1024}
"""Of a route that somebody adds without one."""
IFF_UP: Final = 0x1
IFF_NOARP: Final = 0x80
SIOCGIFFLAGS, SIOCGIFADDR = 0x8913, 0x8915
SCOPE_LINK: Final = 253

_header = struct.Struct("=IHHII")
_attribute = struct.Struct("=HH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A network interface; `kind` is rtnetlink's (`veth`, `bridge`, `tun`, `openvswitch`; empty for a physical one)."""

    name: str
    mac_address: str
    mtu_bytes: int
    is_up: bool
    asks_arp: bool
    index: int
    master: int
    kind: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InterfaceAddress:
    """An address on an interface, `10.0.0.1/24`. IPv6 link-local ones are left out."""

    interface: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InstalledRoute:
    """A route of a table that is looked up. Several may have one prefix, each with other options."""

    prefix: str
    """`default`, or `::/0` for IPv6's default, where it is for everything."""
    options: str
    """`table <name>`, `metric <number>` and `tos <number>`, as far as they are not the usual ones."""
    by: str
    """`via <address>`, `dev <interface>`, `nexthops` for several, or a word of `LEADS_NOWHERE`."""
    interface: str
    """Of the first next hop; empty for a route that leads nowhere."""
    is_connected: bool
    """The kernel made it with an address of the interface."""

    @property
    def destination(self) -> str:
        """Prefix and options: what makes it another route than any other."""
        return f"{self.prefix} {self.options}".strip()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What a namespace holds."""

    links: tuple[Link, ...]
    addresses: tuple[InterfaceAddress, ...]
    routes: tuple[InstalledRoute, ...]


def is_there(interface: str) -> bool:
    """Whether the calling thread's namespace has an interface of that name: one system call, whatever else it has."""
    try:
        return socket.if_nametoindex(interface) > 0
    except OSError:
        return False


def is_up(interface: str) -> bool:
    """Whether an interface of that name is up, by netdevice(7)."""
    answer = _asked(SIOCGIFFLAGS, interface)
    return answer is not None and bool(struct.unpack_from("=16xh", answer)[0] & IFF_UP)


def has(interface: str, cidr: str) -> bool:
    """Whether an interface's first IPv4 address is that one, by netdevice(7)."""
    answer = _asked(SIOCGIFADDR, interface)
    return answer is not None and answer[20:24] == ip_interface(cidr).ip.packed


def is_local(cidr: str) -> bool:
    """Whether an IPv4 address is one of this namespace's own, on whichever interface."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as probe:
        try:
            probe.bind((str(ip_interface(cidr).ip), 0))
        except OSError:
            return False
        return True


def _asked(question: int, interface: str) -> bytes | None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as kernel:
        try:
            return fcntl.ioctl(kernel, question, struct.pack("40s", interface.encode()))
        except OSError:
            return None


def read_links() -> dict[str, Link]:
    """Every link of the calling thread's namespace, by name."""
    with opened() as kernel:
        return {link.name: link for link in _links(kernel)}


def read() -> Tables:
    """Everything of the calling thread's namespace."""
    with opened() as kernel:
        links = tuple(_links(kernel))
        by_index = {link.index: link.name for link in links}
        return Tables(
            links=links, addresses=tuple(_addresses(kernel, by_index)), routes=tuple(_routes(kernel, by_index))
        )


def read_unresolved(interface: str) -> tuple[str, ...]:
    """IPv4 neighbours that the kernel asked for on an interface and got no answer of, yet or at all."""
    with opened() as kernel:
        indexes = {link.name: link.index for link in _links(kernel)}
        return tuple(_unresolved(kernel, indexes[interface])) if interface in indexes else ()


def _links(kernel: socket.socket) -> Iterator[Link]:
    for message in dump(kernel, RTM_GETLINK, RTM_NEWLINK):
        _, _, index, flags, _ = struct.unpack_from("=BxHiII", message)
        found = attributes(message, 16)
        info = attributes(found.get(IFLA_LINKINFO, b""), 0)
        yield Link(
            name=found[IFLA_IFNAME].rstrip(b"\0").decode(),
            mac_address=found.get(IFLA_ADDRESS, b"").hex(":"),
            mtu_bytes=number(found.get(IFLA_MTU)),
            is_up=bool(flags & IFF_UP),
            asks_arp=not flags & IFF_NOARP,
            index=index,
            master=number(found.get(IFLA_MASTER)),
            kind=info.get(IFLA_INFO_KIND, b"").rstrip(b"\0").decode(),
        )


def _addresses(kernel: socket.socket, links: dict[int, str]) -> Iterator[InterfaceAddress]:
    for message in dump(kernel, RTM_GETADDR, RTM_NEWADDR):
        _, length, _, scope, index = struct.unpack_from("=BBBBi", message)
        found = attributes(message, 8)
        raw = found.get(IFA_LOCAL) or found.get(IFA_ADDRESS)
        if raw is not None and not (len(raw) == 16 and scope == SCOPE_LINK):
            yield InterfaceAddress(interface=links.get(index, ""), address=f"{ip_address(raw)}/{length}")


def _routes(kernel: socket.socket, links: dict[int, str]) -> Iterator[InstalledRoute]:
    for message in dump(kernel, RTM_GETROUTE, RTM_NEWROUTE):
        family, length, _, tos, table, protocol, _, kind = struct.unpack_from("=BBBBBBBB", message)
        found = attributes(message, 12)
        table = number(found.get(RTA_TABLE)) or table
        if table not in OPTION_OF_TABLE or not (kind == RTN_UNICAST or kind in LEADS_NOWHERE):
            continue
        everything = "default" if family == socket.AF_INET else "::/0"
        metric = number(found.get(RTA_PRIORITY))
        options = [*OPTION_OF_TABLE[table], *([f"tos {tos:#x}"] if tos else [])]
        options += [f"metric {metric}"] if metric != USUAL_METRIC.get(socket.AddressFamily(family)) else []
        interface, by = _way(found, links)
        yield InstalledRoute(
            prefix=f"{ip_address(found[RTA_DST])}/{length}" if length else everything,
            options=" ".join(options),
            by=LEADS_NOWHERE.get(kind, by),
            interface=interface,
            is_connected=protocol == RTPROT_KERNEL,
        )


def _way(found: dict[int, bytes], links: dict[int, str]) -> tuple[str, str]:
    """(interface, by what) of a route; `struct rtnexthop` of linux/rtnetlink.h for several next hops."""
    if several := found.get(RTA_MULTIPATH):
        return links.get(struct.unpack_from("=HBBi", several)[3], ""), "nexthops"
    interface, gateway = links.get(number(found.get(RTA_OIF)), ""), found.get(RTA_GATEWAY)
    return interface, f"via {ip_address(gateway)}" if gateway else f"dev {interface}"


def _unresolved(kernel: socket.socket, link: int) -> Iterator[str]:
    for message in dump(kernel, RTM_GETNEIGH, RTM_NEWNEIGH):
        family, index, state = struct.unpack_from("=BxxxiH", message)
        if family == socket.AF_INET and index == link and state & (NUD_INCOMPLETE | NUD_FAILED):
            yield str(ip_address(attributes(message, 12)[NDA_DST]))


def opened(protocol: int = socket.NETLINK_ROUTE) -> socket.socket:
    """A netlink socket to the kernel, in the calling thread's namespace."""
    kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol)
    kernel.bind((0, 0))
    return kernel


def request(kind: int, body: bytes, flags: int = NLM_F_REQUEST) -> bytes:
    """A message to the kernel (netlink(7)), padded so that another may follow."""
    size = _header.size + len(body)
    return _header.pack(size, kind, flags, 1, 0) + body + bytes(-size % 4)


def dump(kernel: socket.socket, ask: int, answer: int, body: bytes = bytes(16)) -> Iterator[bytes]:
    """Bodies of every message of one kind that answers a dump request (netlink(7))."""
    kernel.send(request(ask, body, NLM_F_REQUEST | NLM_F_DUMP))
    while True:
        for kind, message in _messages(kernel.recv(1 << 18)):
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                raise Rejected(f"the kernel refused to list its tables: {os.strerror(_error(message))}")
            if kind == answer:
                yield message


def errors(received: bytes) -> Iterator[int]:
    """Numbers (errno(3)) of the errors in what a socket received."""
    return (_error(message) for kind, message in _messages(received) if kind == NLMSG_ERROR and _error(message))


def _error(message: bytes) -> int:
    (error,) = struct.unpack_from("=i", message)
    return -int(error)


def _messages(received: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(received):
        size, kind, _, _, _ = _header.unpack_from(received, at)
        yield kind, received[at + _header.size : at + size]
        at += (size + 3) & ~3


def attributes(message: bytes, at: int = 0) -> dict[int, bytes]:
    """Attributes of a message from an offset on: type, without its flags, -> payload (netlink(7))."""
    found, end, unpack = {}, len(message) - _attribute.size, _attribute.unpack_from
    while at <= end:
        size, kind = unpack(message, at)
        if size < _attribute.size:
            break
        found[kind & 0x3FFF] = message[at + 4 : at + size]
        at += (size + 3) & ~3
    return found


def attribute(kind: int, payload: bytes) -> bytes:
    """One attribute, padded so that another may follow."""
    size = _attribute.size + len(payload)
    return _attribute.pack(size, kind) + payload + bytes(-size % 4)


def number(raw: bytes | None) -> int:
    """The number that an attribute holds, in this machine's order; 0 where there is none."""
    return int.from_bytes(raw, sys.byteorder) if raw else 0
