"""Connection tracking entries that must not outlive the rule that made them, listed and deleted by ctnetlink.

A tenant can have a hundred thousand entries; a process for each that goes would keep the agent busy for minutes. What
is deleted is named by the bytes that the kernel listed it with (linux/netfilter/nfnetlink_conntrack.h), so nothing is
translated on the way, and an entry made anew meanwhile under the same addresses is another one and stays.
"""

import errno
import os
import socket
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from itertools import islice
from typing import Final

from warren.agent.drivers import netlink
from warren.core.errors import Rejected
from warren.namespaces.allowed import Connection

NETLINK_NETFILTER: Final = 12
NEW, GET, DELETE = 0x100, 0x101, 0x102
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_ID, CTA_ZONE = 1, 2, 3, 12, 18
CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2
V4_SRC, V4_DST, V6_SRC, V6_DST = 1, 2, 3, 4
PROTO_NUM, SRC_PORT, DST_PORT, ICMP_ID, ICMP_TYPE, ICMP_CODE, ICMP6_ID, ICMP6_TYPE, ICMP6_CODE = range(1, 10)
SEEN_REPLY: Final = 1 << 1
NESTED: Final = 0x8000
AT_ONCE: Final = 500
"""Deletions in one message; the kernel's answers to the ones that failed fit its socket's buffer."""
_family = struct.Struct("=BxH")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tracked:
    """What the kernel says of a connection."""

    connection: Connection
    reply_destination: str
    """Where answers go: the address outside, where the sender was translated."""
    is_answered: bool
    deletion: bytes
    """Body of the message that deletes it."""


def tracked() -> list[Tracked]:
    """Every connection of the calling thread's network namespace."""
    with netlink.opened(NETLINK_NETFILTER) as kernel:
        return [_read(message) for message in netlink.dump(kernel, GET, NEW, _family.pack(socket.AF_UNSPEC, 0))]


def forget(entries: Iterable[Tracked]) -> None:
    """Forget connections: the next packet of each is a new one, and meets the rules as they are now.

    Raises:
        Rejected: the kernel refused; one that ended by itself is no error.
    """
    messages = (netlink.request(DELETE, each.deletion) for each in entries)
    with netlink.opened(NETLINK_NETFILTER) as kernel:
        while several := b"".join(islice(messages, AT_ONCE)):
            kernel.send(several)
            _check(kernel)


def forget_stale(addresses: Iterable[str], *, unanswered: bool) -> None:
    """Forget connections that a change of translation rules leaves wrong.

    Args:
        addresses: those outside that are translated otherwise now: every connection to or from them goes.
        unanswered: also those without an answer yet. A sender that began before its translation was there would keep
            the untranslated entry for as long as it goes on.
    """
    gone = frozenset(addresses)
    if gone or unanswered:
        forget(
            each
            for each in tracked()
            if (unanswered and not each.is_answered)
            or each.connection.destination in gone
            or each.reply_destination in gone
        )


def _check(kernel: socket.socket) -> None:
    """Read what the kernel says of deletions; it answers only to those that failed, before send(2) returns."""
    while True:
        try:
            received = kernel.recv(1 << 18, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        for error in netlink.errors(received):
            if error != errno.ENOENT:
                raise Rejected(f"the kernel did not forget a connection: {os.strerror(error)}")


def _read(message: bytes) -> Tracked:
    family, _ = _family.unpack_from(message)
    found = netlink.attributes(message, _family.size)
    original = netlink.attributes(found[CTA_TUPLE_ORIG])
    protocol = netlink.attributes(original[CTA_TUPLE_PROTO])
    source, destination = _addresses(original[CTA_TUPLE_IP])
    kind, code = (
        protocol.get(ICMP_TYPE) or protocol.get(ICMP6_TYPE),
        protocol.get(ICMP_CODE) or protocol.get(ICMP6_CODE),
    )
    identity = protocol.get(ICMP_ID) or protocol.get(ICMP6_ID)
    connection = Connection(
        zone=_number(found.get(CTA_ZONE)),
        protocol=_number(protocol.get(PROTO_NUM)),
        source=source,
        destination=destination,
        source_port=_number(kind or protocol.get(SRC_PORT)),
        destination_port=_number(code or protocol.get(DST_PORT)),
        icmp_id=_number(identity) if identity else None,
    )
    name = (CTA_TUPLE_ORIG | NESTED, CTA_TUPLE_ORIG), (CTA_ZONE, CTA_ZONE), (CTA_ID, CTA_ID)
    return Tracked(
        connection=connection,
        reply_destination=_addresses(netlink.attributes(found[CTA_TUPLE_REPLY])[CTA_TUPLE_IP])[1],
        is_answered=bool(_number(found.get(CTA_STATUS)) & SEEN_REPLY),
        deletion=_family.pack(family, 0) + b"".join(netlink.attribute(k, found[at]) for k, at in name if at in found),
    )


def _addresses(tuple_ip: bytes) -> tuple[str, str]:
    found = netlink.attributes(tuple_ip)
    source, destination = found.get(V4_SRC) or found[V6_SRC], found.get(V4_DST) or found[V6_DST]
    return str(ip_address(source)), str(ip_address(destination))


def _number(raw: bytes | None) -> int:
    """Ctnetlink's numbers are in network byte order."""
    return int.from_bytes(raw, "big") if raw else 0
