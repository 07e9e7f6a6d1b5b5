"""Recorded frames: pcap, as tcpdump writes it, and pcapng, as Wireshark does.

Formats: draft-ietf-opsawg-pcap and draft-ietf-opsawg-pcapng (blocks: section header, interface description, enhanced
and simple packet).
"""

import struct
from collections.abc import Iterator
from itertools import islice
from typing import Final

from warren.core.errors import Invalid

_PCAP: Final = {b"\xa1\xb2\xc3\xd4": ">", b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\x3c\x4d": ">", b"\x4d\x3c\xb2\xa1": "<"}
_PCAPNG: Final = b"\x0a\x0d\x0d\x0a"
_BYTE_ORDER: Final = {b"\x1a\x2b\x3c\x4d": ">", b"\x4d\x3c\x2b\x1a": "<"}
_SECTION, _INTERFACE, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 3, 6
_ETHERNET: Final = 1


def recorded_frame(content: bytes, number: int) -> bytes:
    """Frame `number` of a recording, the first is 1.

    Raises:
        Invalid: it is no recording, has fewer frames, or that one is none of Ethernet.
    """
    try:
        frames = list(islice(_frames(content), number))
    except (struct.error, KeyError, IndexError) as error:
        raise Invalid("BadPacket", "the recording is damaged: what its lengths say is not there") from error
    if len(frames) < number:
        raise Invalid("NoSuchFrame", f"the recording has {len(frames)} frames")
    link_type, frame = frames[-1]
    if link_type != _ETHERNET:
        raise Invalid("BadPacket", "this is no frame of Ethernet; record on one interface, not on any")
    return frame


def _frames(content: bytes) -> Iterator[tuple[int, bytes]]:
    """(link type, frame) each."""
    if content[:4] == _PCAPNG:
        return _pcapng(content)
    if content[:4] in _PCAP:
        return _pcap(content, _PCAP[content[:4]])
    raise Invalid("BadPacket", "this is no pcap or pcapng file; tcpdump -w writes one")


def _pcap(content: bytes, order: str) -> Iterator[tuple[int, bytes]]:
    (link_type,) = struct.unpack_from(f"{order}I", content, 20)
    at = 24
    while at < len(content):
        (size,) = struct.unpack_from(f"{order}8xI", content, at)
        yield link_type & 0xFFFF, _piece(content, at + 16, size)
        at += 16 + size


def _pcapng(content: bytes) -> Iterator[tuple[int, bytes]]:
    order, at, link_types = "", 0, list[int]()
    while at < len(content):
        if content[at : at + 4] == _PCAPNG:
            order, link_types = _BYTE_ORDER[content[at + 8 : at + 12]], []
        kind, size = struct.unpack_from(f"{order}II", content, at)
        if size < 12:
            raise struct.error
        if kind == _INTERFACE:
            link_types += struct.unpack_from(f"{order}H", content, at + 8)
        elif kind == _ENHANCED:
            interface, captured = struct.unpack_from(f"{order}I8xI", content, at + 8)
            yield link_types[interface], _piece(content, at + 28, captured)
        elif kind == _SIMPLE:
            (original,) = struct.unpack_from(f"{order}I", content, at + 8)
            yield link_types[0], _piece(content, at + 12, min(original, size - 16))
        at += size


def _piece(content: bytes, start: int, size: int) -> bytes:
    if start + size > len(content):
        raise struct.error
    return content[start : start + size]
