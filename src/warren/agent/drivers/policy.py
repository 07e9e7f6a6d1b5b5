"""Routing policy rules of the calling thread's network namespace: read by rtnetlink(7), changed by ip-rule(8)."""

import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Final

from warren.agent.drivers import netlink
from warren.agent.drivers.command import run
from warren.core.errors import Rejected

RTM_NEWRULE, RTM_GETRULE = 32, 34
FRA_DST, FRA_SRC, FRA_GOTO, FRA_PRIORITY, FRA_FWMARK, FRA_FWMASK = 1, 2, 4, 6, 10, 16
FRA_SUPPRESS_PREFIXLEN, FRA_TABLE, FRA_L3MDEV = 14, 15, 19
FIB_RULE_INVERT: Final = 0x2
LOOKUP: Final = 1
GOTO: Final = 2
ACTIONS: Final = {3: "nop", 6: "blackhole", 7: "unreachable", 8: "prohibit"}
TABLES: Final = {255: "local", 254: "main", 253: "default"}
FAMILIES: Final = {"ipv4": ("-4", socket.AF_INET), "ipv6": ("-6", socket.AF_INET6)}


def installed(family: str) -> str | None:
    """The rules of `ipv4` or `ipv6` in their order, one a line, each as ip-rule(8) takes it.

    None: this kernel knows none (of that family); packets are looked up as by the usual ones.
    """
    _, number = FAMILIES[family]
    with netlink.opened() as kernel:
        try:
            dumped = list(netlink.dump(kernel, RTM_GETRULE, RTM_NEWRULE, bytes([number, *bytes(11)])))
        except Rejected:
            return None
        return "\n".join(_spelled(message) for message in dumped if message[0] == number)


def apply(family: str, desired: str) -> None:
    """Make rules others: what is missing first, so that no packet meets fewer.

    Raises:
        Rejected: one could not be added or deleted.
    """
    option, _ = FAMILIES[family]
    present, wanted = (installed(family) or "").splitlines(), desired.splitlines()
    for action, rules, others in (("add", wanted, present), ("delete", present, wanted)):
        for rule in rules:
            if rule not in others:
                run(["ip", option, "rule", action, *rule.split()])


def _spelled(message: bytes) -> str:
    _, to_bits, from_bits, tos, table, _, _, action, flags = struct.unpack_from("=8BI", message)
    found = netlink.attributes(message, 12)
    words = [f"pref {netlink.number(found.get(FRA_PRIORITY))}"]
    words += ["not"] if flags & FIB_RULE_INVERT else []
    words += [f"from {ip_address(found[FRA_SRC])}/{from_bits}"] if FRA_SRC in found else []
    words += [f"to {ip_address(found[FRA_DST])}/{to_bits}"] if FRA_DST in found else []
    words += [f"tos {tos:#x}"] if tos else []
    words += _selectors(found)
    words.append(_action(action, netlink.number(found.get(FRA_TABLE)) or table, found))
    return " ".join(words)


def _selectors(found: Mapping[int, bytes]) -> Iterator[str]:
    if mark := netlink.number(found.get(FRA_FWMARK)):
        yield f"fwmark {mark:#x}/{netlink.number(found.get(FRA_FWMASK)):#x}"
    for kind, (name, text) in SELECTORS.items():
        if kind in found:
            yield f"{name} {text(found[kind])}"


def _action(action: int, table: int, found: Mapping[int, bytes]) -> str:
    if FRA_L3MDEV in found and found[FRA_L3MDEV] != b"\0":
        return "l3mdev"
    if action == GOTO:
        return f"goto {netlink.number(found.get(FRA_GOTO))}"
    if action != LOOKUP:
        return ACTIONS.get(action, f"action {action}")
    ignored = netlink.number(found.get(FRA_SUPPRESS_PREFIXLEN, b"\xff" * 4))
    less = "" if ignored == 0xFFFFFFFF else f" suppress_prefixlength {ignored}"
    return f"lookup {TABLES.get(table, table)}{less}"


def _name(raw: bytes) -> str:
    return raw.rstrip(b"\0").decode()


def _range(pair: str) -> Callable[[bytes], str]:
    return lambda raw: "-".join(map(str, struct.unpack(pair, raw)))


SELECTORS: Final[Mapping[int, tuple[str, Callable[[bytes], str]]]] = {
    3: ("iif", _name),
    17: ("oif", _name),
    20: ("uidrange", _range("=II")),
    22: ("ipproto", lambda raw: str(raw[0])),
    23: ("sport", _range("=HH")),
    24: ("dport", _range("=HH")),
}
"""FRA_IIFNAME, FRA_OIFNAME, FRA_UID_RANGE, FRA_IP_PROTO, FRA_SPORT_RANGE, FRA_DPORT_RANGE of linux/fib_rules.h."""
