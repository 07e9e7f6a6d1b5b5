"""Frames that the experiments send by hand, as hexadecimal text for `ovs-ofctl packet-out`. Pure."""

import struct
from typing import Final

BROADCAST: Final = "ff:ff:ff:ff:ff:ff"
PROBE_SOURCE: Final = "fa:16:3e:ff:ff:01"
PROBE_TARGET: Final = "fa:16:3e:ff:ff:02"


def _mac(text: str) -> bytes:
    return bytes.fromhex(text.replace(":", ""))


def broadcast() -> str:
    """An ARP request (RFC 826) for an address that nobody has."""
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1)
    arp += _mac(PROBE_SOURCE) + bytes([192, 0, 2, 1]) + bytes(6) + bytes([192, 0, 2, 2])
    return (_mac(BROADCAST) + _mac(PROBE_SOURCE) + b"\x08\x06" + arp + bytes(18)).hex()


def unicast() -> str:
    """A frame of the experimental EtherType (IEEE 802, 0x88b5) to an address that nobody has."""
    return (_mac(PROBE_TARGET) + _mac(PROBE_SOURCE) + b"\x88\xb5" + bytes(46)).hex()
