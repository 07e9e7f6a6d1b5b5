"""Recordings of frames, as tcpdump and Wireshark write them."""

import struct
from collections.abc import Iterable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warren.core.errors import Invalid
from warren.inspect.path.recording import recorded_frame

FRAMES = (b"\x01" * 60, b"\x02" * 61, b"\x03" * 62)
ETHERNET, COOKED = 1, 113


def pcap(frames: Iterable[bytes], *, order: str = "<", link_type: int = ETHERNET, magic: int = 0xA1B2C3D4) -> bytes:
    head = struct.pack(f"{order}IHHiIII", magic, 2, 4, 0, 0, 65535, link_type)
    return head + b"".join(struct.pack(f"{order}IIII", 0, 0, len(each), len(each)) + each for each in frames)


def block(order: str, kind: int, body: bytes) -> bytes:
    padded = body + bytes(-len(body) % 4)
    size = 12 + len(padded)
    return struct.pack(f"{order}II", kind, size) + padded + struct.pack(f"{order}I", size)


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(f"{order}IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, link_type: int) -> bytes:
    return block(order, 1, struct.pack(f"{order}HHI", link_type, 0, 262144))


def enhanced(order: str, number: int, frame: bytes) -> bytes:
    return block(order, 6, struct.pack(f"{order}IIIII", number, 0, 0, len(frame), len(frame)) + frame)


def simple(order: str, frame: bytes) -> bytes:
    return block(order, 3, struct.pack(f"{order}I", len(frame)) + frame)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("magic", [0xA1B2C3D4, 0xA1B23C4D])
def test_every_frame_of_a_pcap_file_is_found_by_its_number(order: str, magic: int) -> None:
    content = pcap(FRAMES, order=order, magic=magic)
    assert tuple(recorded_frame(content, number) for number in (1, 2, 3)) == FRAMES


@pytest.mark.parametrize("order", ["<", ">"])
def test_every_frame_of_a_pcapng_file_is_found_by_its_number(order: str) -> None:
    """Two sections of both byte orders; interfaces are numbered anew in each; unknown blocks are passed over."""
    other = {"<": ">", ">": "<"}[order]
    content = section(order) + interface(order, COOKED) + interface(order, ETHERNET) + block(order, 5, bytes(20))
    content += enhanced(order, 1, FRAMES[0])
    content += section(other) + interface(other, ETHERNET) + enhanced(other, 0, FRAMES[1]) + simple(other, FRAMES[2])
    assert tuple(recorded_frame(content, number) for number in (1, 2, 3)) == FRAMES


def test_a_frame_that_is_not_there_is_refused_with_how_many_there_are() -> None:
    with pytest.raises(Invalid, match="has 3 frames"):
        recorded_frame(pcap(FRAMES), 4)


@pytest.mark.parametrize(
    "content",
    [pcap(FRAMES, link_type=COOKED), section("<") + interface("<", COOKED) + enhanced("<", 0, FRAMES[0])],
)
def test_a_frame_of_another_kind_of_link_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid, match="Ethernet"):
        recorded_frame(content, 1)


@pytest.mark.parametrize("content", [b"", b"no recording", b"\x7fELF" * 20])
def test_what_is_no_recording_is_refused(content: bytes) -> None:
    with pytest.raises(Invalid, match="pcap"):
        recorded_frame(content, 1)


@given(cut=st.integers(4, 250), noise=st.binary(max_size=40), is_new=st.booleans())
def test_a_damaged_recording_is_read_or_refused(cut: int, noise: bytes, is_new: bool) -> None:  # noqa: FBT001
    whole = section("<") + interface("<", ETHERNET) + b"".join(enhanced("<", 0, each) for each in FRAMES)
    content = (whole if is_new else pcap(FRAMES))[:cut] + noise
    with suppress(Invalid):
        recorded_frame(content, 3)
