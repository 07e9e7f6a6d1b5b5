"""Field values between text and integers, by format: how `ovs-ofctl` writes them, and all that it accepts.

Formats are those of ovs-fields(7), "Format". Every reader raises `ValueError`; the caller knows the place.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Final

Reader = Callable[[str], int]
Writer = Callable[[int], str]

CT_STATE: Final = {"new": 1, "est": 2, "rel": 4, "rpl": 8, "inv": 16, "trk": 32, "snat": 64, "dnat": 128}
TCP_FLAGS: Final = {
    "fin": 1,
    "syn": 2,
    "rst": 4,
    "psh": 8,
    "ack": 16,
    "urg": 32,
    "ece": 64,
    "cwr": 128,
    "ns": 256,
    "[200]": 512,
    "[400]": 1024,
    "[800]": 2048,
}
TUNNEL_FLAGS: Final = {"oam": 1, "df": 2, "csum": 4, "key": 8}
FRAGMENT: Final = {"no": (0, 3), "yes": (1, 1), "first": (1, 3), "later": (3, 3), "not_later": (0, 2)}
"""Name -> (value, mask): bit 0 says "a fragment", bit 1 "not the first" (lib/meta-flow.c)."""
PORTS: Final = {
    "IN_PORT": 0xFFF8,
    "TABLE": 0xFFF9,
    "NORMAL": 0xFFFA,
    "FLOOD": 0xFFFB,
    "ALL": 0xFFFC,
    "CONTROLLER": 0xFFFD,
    "LOCAL": 0xFFFE,
    "ANY": 0xFFFF,
    "NONE": 0xFFFF,
    "UNSET": 0xFFF7,
}
"""Reserved OpenFlow 1.0 port numbers (OpenFlow 1.1+ sets the upper 16 bits as well)."""
PORT_NAMES: Final = {number: name for name, number in PORTS.items() if name != "NONE"}

_NUMBER: Final = re.compile(r"0[xX][0-9a-fA-F]{1,256}|[0-9]{1,40}")
_ETHERNET: Final = re.compile(r"[0-9a-fA-F]{1,2}(?::[0-9a-fA-F]{1,2}){5}")


def number(text: str) -> int:
    """An integer in decimal or with `0x`, as Open vSwitch writes it: no sign, no spaces, no underscores."""
    if _NUMBER.fullmatch(text) is None:
        raise ValueError("not a number")
    return int(text, 16) if text[:2] in ("0x", "0X") else int(text)


def ethernet(text: str) -> int:
    """`fa:16:3e:00:00:01` as 48 bits."""
    if _ETHERNET.fullmatch(text) is None:
        raise ValueError("not an Ethernet address")
    if len(text) == 17:
        return int(text.replace(":", ""), 16)
    return int("".join(f"{int(octet, 16):02x}" for octet in text.split(":")), 16)


def ethernet_text(value: int) -> str:
    """48 bits as `fa:16:3e:00:00:01`."""
    text = f"{value:012x}"
    return f"{text[:2]}:{text[2:4]}:{text[4:6]}:{text[6:8]}:{text[8:10]}:{text[10:]}"


def ipv4(text: str) -> int:
    """`192.168.1.1` as 32 bits."""
    return int(IPv4Address(text))


def ipv4_text(value: int) -> str:
    """32 bits as `192.168.1.1`."""
    return f"{value >> 24}.{value >> 16 & 255}.{value >> 8 & 255}.{value & 255}"


def ipv6(text: str) -> int:
    """An IPv6 address as 128 bits."""
    return int(IPv6Address(text))


def ipv6_text(value: int) -> str:
    """128 bits as RFC 5952 writes them."""
    return str(IPv6Address(value))


def prefix_mask(length: int, bits: int) -> int:
    """`24, 32` -> `0xffffff00`."""
    if not 0 <= length <= bits:
        raise ValueError(f"a prefix has 0 to {bits} bits")
    return ((1 << length) - 1) << (bits - length)


def prefix_length(mask: int, bits: int) -> int | None:
    """The inverse of `prefix_mask`; `None` where the mask has a hole."""
    length = mask.bit_count()
    return length if prefix_mask(length, bits) == mask else None


def flags(text: str, names: Mapping[str, int]) -> tuple[int, int]:
    """`+est-rel` as (value, mask); `est|rel` and numbers are the caller's."""
    value = mask = position = 0
    for found in re.finditer(r"([+-])([a-z]+|\[[0-9]+\])", text):
        if found.start() != position or found[2] not in names:
            break
        position = found.end()
        bit = names[found[2]]
        mask |= bit
        value |= bit if found[1] == "+" else 0
    if position != len(text) or not text:
        raise ValueError(f"flags are written as {'+'.join(('', *list(names)[:2]))}")
    return value, mask


def flags_text(value: int, mask: int, names: Mapping[str, int]) -> str:
    """(value, mask) as `+est-rel`."""
    return "".join(f"{'+' if value & bit else '-'}{name}" for name, bit in names.items() if mask & bit)


def port_text(value: int) -> str:
    """An OpenFlow port number as ovs-ofctl prints it."""
    return PORT_NAMES.get(value, str(value))


def hexadecimal_text(value: int) -> str:
    """As C's `%#x`, which writes zero without its prefix."""
    return hex(value) if value else "0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How the values of a field are written."""

    read: Reader
    write: Writer
    write_masked: Writer
    """For both halves of `value/mask`, where that differs."""
    names: Mapping[str, int] | None = None
    """The flags of a `+flag-flag` format."""


DECIMAL: Final = Format(read=number, write=str, write_masked=hexadecimal_text)
HEXADECIMAL: Final = Format(read=number, write=hexadecimal_text, write_masked=hexadecimal_text)
ETHERNET: Final = Format(read=ethernet, write=ethernet_text, write_masked=ethernet_text)
IPV4: Final = Format(read=ipv4, write=ipv4_text, write_masked=ipv4_text)
IPV6: Final = Format(read=ipv6, write=ipv6_text, write_masked=ipv6_text)
PORT: Final = Format(read=number, write=port_text, write_masked=hex)
CT_STATE_FLAGS: Final = Format(read=number, write=hex, write_masked=hex, names=CT_STATE)
TCP_FLAG_BITS: Final = Format(read=number, write=hex, write_masked=hex, names=TCP_FLAGS)
TUNNEL_FLAG_BITS: Final = Format(read=number, write=hex, write_masked=hex, names=TUNNEL_FLAGS)


def _packet_type(text: str) -> int:
    """`(namespace,type)` as 32 bits (OpenFlow 1.5, 7.2.3.11)."""
    if text.startswith("(") and text.endswith(")"):
        namespace, _, ethertype = text[1:-1].partition(",")
        return number(namespace.strip()) << 16 | number(ethertype.strip())
    return number(text)


PACKET_TYPE: Final = Format(
    read=_packet_type, write=lambda value: f"({value >> 16},{value & 0xFFFF:#x})", write_masked=hex
)
