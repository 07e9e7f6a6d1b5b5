"""Connection tracking entries that must not outlive the rule that made them. The only module that starts conntrack."""

import socket
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from warren.agent.drivers.command import run
from warren.core.errors import Rejected
from warren.namespaces.allowed import ICMP, ICMP6, Connection

NOTHING_FOUND: Final = "0 flow entries have been deleted"
FAMILIES: Final = ("ipv4", "ipv6")


def connections() -> list[Connection]:
    """Every connection of the calling thread's network namespace."""
    return [
        _read(line)
        for family in FAMILIES
        for line in run(["conntrack", "-L", "-f", family]).splitlines()
        if " src=" in line
    ]


def cut(ended: Iterable[Connection]) -> None:
    """Forget connections: their next packet is a new one, and meets the rules as they are now."""
    for each in ended:
        delete(*_selection(each))


def forget_address(address: str) -> None:
    """Forget every connection that was translated to or from an address outside."""
    for side in ("--orig-dst", "--reply-dst"):
        delete(side, address)


def forget_unanswered() -> None:
    """Forget connections without an answer yet.

    A sender that began before its translation was there would keep the untranslated entry for as long as it goes on.
    """
    cut(_read(line) for line in run(["conntrack", "-L"]).splitlines() if "[UNREPLIED]" in line)


def delete(*arguments: str) -> None:
    """`conntrack -D`; that nothing matches is no error."""
    try:
        run(["conntrack", "-D", *arguments])
    except Rejected as error:
        if NOTHING_FOUND not in str(error):
            raise


def _read(line: str) -> Connection:
    """A line of `conntrack -L`: its first `src=`, `dst=`, … are the direction of the packet that began it."""
    words = line.split()
    fields = dict(word.split("=", 1) for word in reversed(words) if "=" in word)
    protocol = int(words[1])
    is_icmp = protocol in (ICMP, ICMP6)
    return Connection(
        zone=int(fields.get("zone", 0)),
        protocol=protocol,
        source=fields["src"],
        destination=fields["dst"],
        source_port=int(fields.get("type" if is_icmp else "sport", 0)),
        destination_port=int(fields.get("code" if is_icmp else "dport", 0)),
        icmp_id=int(fields["id"]) if "id" in fields and is_icmp else None,
    )


def _selection(each: Connection) -> list[str]:
    family = "ipv6" if ":" in each.source else "ipv4"
    words = ["-f", family, "-p", _protocol(each.protocol), "-s", each.source, "-d", each.destination]
    if each.zone:
        words += ["-w", str(each.zone)]
    if each.icmp_id is not None:
        names, numbers = (
            ("--icmp-type", "--icmp-code", "--icmp-id"),
            (each.source_port, each.destination_port, each.icmp_id),
        )
        if family == "ipv6":
            names = ("--icmpv6-type", "--icmpv6-code", "--icmpv6-id")
        return words + [word for name, number in zip(names, numbers, strict=True) for word in (name, str(number))]
    if each.source_port or each.destination_port:
        words += ["--sport", str(each.source_port), "--dport", str(each.destination_port)]
    return words


@lru_cache(maxsize=256)
def _protocol(number: int) -> str:
    known = {
        socket.IPPROTO_TCP: "tcp",
        socket.IPPROTO_UDP: "udp",
        ICMP: "icmp",
        ICMP6: "icmpv6",
        132: "sctp",
        33: "dccp",
    }
    return known.get(number, str(number))
