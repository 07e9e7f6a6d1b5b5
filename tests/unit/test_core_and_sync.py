"""The smallest parts, asked directly: names of interfaces, a state cut down, bytes that are no message."""

from collections.abc import Callable

import msgspec
import pytest

from warren.core import names
from warren.core.errors import Rejected
from warren.core.ids import PortId
from warren.core.state import HostState
from warren.sync.messages import decode_message, decode_objects, decode_report
from warren.testing.sites import Site, state_of

PORT = PortId("0123456789abcdef")


def test_interfaces_are_named_as_neutron_names_them() -> None:
    plugged = [name(PORT) for name in (names.tap, names.qbr, names.qvb, names.qvo)]
    assert plugged == ["tap0123456789a", "qbr0123456789a", "qvb0123456789a", "qvo0123456789a"]
    assert [name(PORT) for name in (names.router_interface, names.router_gateway)] == [
        "qr-0123456789a",
        "qg-0123456789a",
    ]


def test_a_state_without_some_objects_keeps_the_others_and_its_revision() -> None:
    site = Site()
    whole = state_of(site.red, site.port(site.red, 7), site.port(site.red, 8))
    whole = HostState(objects=whole.objects, revision=5)
    gone = site.port(site.red, 7).key
    left = whole.without({gone, "port/unknown"})
    assert left.objects.keys() == whole.objects.keys() - {gone}
    assert left.revision == 5
    assert whole.without(()) is whole


@pytest.mark.parametrize("decode", [decode_message, decode_report])
@pytest.mark.parametrize(
    "garbage", [b"", b"{", b"[]", b"{}", b'{"type": "\xff"}', b'{"version": "\xff"}', b'{"x": ' + b"[" * 100_000]
)
def test_bytes_that_are_no_message_are_rejected(decode: Callable[[bytes], object], garbage: bytes) -> None:
    with pytest.raises(Rejected, match="not a"):
        decode(garbage)


@pytest.mark.parametrize("garbage", [b"[]", b'{"id": 5}', b'{"id": "\xff"}'])
def test_an_object_of_a_known_kind_in_another_shape_is_rejected(garbage: bytes) -> None:
    with pytest.raises(Rejected, match="an object that this agent cannot read"):
        decode_objects({"port/1": msgspec.Raw(garbage)})


def test_objects_of_a_kind_that_a_newer_server_knows_are_left_out() -> None:
    assert decode_objects({"hovercraft/1": msgspec.Raw(b"[]")}) == {}
