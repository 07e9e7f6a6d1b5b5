"""What a cookie says: the concern that wrote the flow (16 bits) and the object it serves (48 bits).

The object part is the first 12 hexadecimal digits of the object's UUID without dashes, or a peer's IPv4 address, or
zero for what belongs to the bridge itself. So `ovs-ofctl dump-flows br-int cookie=0x0003<12 digits>/-1` finds an
object's flows of one concern.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, unique
from ipaddress import AddressValueError, IPv4Address
from typing import Final

from warren.core.errors import Impossible

OBJECT_DIGITS: Final = 12
OBJECT_BITS: Final = 4 * OBJECT_DIGITS


@unique
class Concern(IntEnum):
    """Who wrote a flow, and so what its object part names."""

    FRAME = 0x0001
    ADMISSION = 0x0002
    SPOOFING = 0x0003
    FORWARDING = 0x0004
    FLOOD = 0x0005
    PHYSICAL = 0x0006
    PEER = 0x0010
    SEGMENT = 0x0011
    TUNNEL_FLOOD = 0x0012
    NEIGHBOUR = 0x0013
    RESPONDER = 0x0014
    LEARNED = 0x00FF


MEANINGS: Final[Mapping[Concern, str]] = {
    Concern.FRAME: "the bridge itself: misses, the sort by kind of port, learn(); no object",
    Concern.ADMISSION: "a port's or uplink's frames come in, with their network; object: port or network",
    Concern.SPOOFING: "a port's frames carry only its own addresses; object: port",
    Concern.FORWARDING: "frames to an address of this host; object: port, or network where several ports share it",
    Concern.FLOOD: "broadcast, multicast and unknown unicast of a network; object: network",
    Concern.PHYSICAL: "between local VLAN and the wire; object: network",
    Concern.PEER: "frames come in from a tunnel; object: the peer's address in hexadecimal",
    Concern.SEGMENT: "segmentation id to local VLAN; object: network",
    Concern.TUNNEL_FLOOD: "flood list of a network; object: network",
    Concern.NEIGHBOUR: "a far port's address, known ahead; object: port",
    Concern.RESPONDER: "ARP answered for a far port; object: port",
    Concern.LEARNED: "an entry that learn() wrote; no object",
}
"""Each concern in words, and what the object part of its cookies names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """A cookie, read: its concern and the 12 hexadecimal digits of its object (all zero: none)."""

    concern: Concern
    object_digits: str


def encode(concern: Concern, obj: str = "") -> int:
    """The cookie of a concern for an object: a UUID, an IPv4 address or nothing.

    Raises:
        Impossible: `obj` is none of these.
    """
    return concern << OBJECT_BITS | int(object_digits(obj), 16)


def object_digits(obj: str) -> str:
    """The 12 hexadecimal digits that stand for an object in its cookies."""
    if not obj:
        return "0" * OBJECT_DIGITS
    try:
        if "." in obj:
            return f"{int(IPv4Address(obj)):0{OBJECT_DIGITS}x}"
        digits = obj.replace("-", "")[:OBJECT_DIGITS].lower()
        return f"{int(digits, 16):0{OBJECT_DIGITS}x}"
    except (AddressValueError, ValueError) as error:
        raise Impossible(f"{obj!r} is neither a UUID nor an IPv4 address: it has no cookie") from error


def decode(cookie: int) -> Meaning | None:
    """What a cookie says, or None: no concern of ours wrote it."""
    try:
        concern = Concern(cookie >> OBJECT_BITS)
    except ValueError:
        return None
    return Meaning(concern=concern, object_digits=f"{cookie & (1 << OBJECT_BITS) - 1:0{OBJECT_DIGITS}x}")


LEARNED: Final = encode(Concern.LEARNED)
"""The cookie that learn() gives to the entries of table 20."""
