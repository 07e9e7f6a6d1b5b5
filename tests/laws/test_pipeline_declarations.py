"""A wrong pipeline cannot be declared, and a flow that its table does not declare cannot be made."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warren.core.errors import Impossible
from warren.pipeline.cookies import Concern, decode, encode, object_digits
from warren.pipeline.flow import Why, flow
from warren.pipeline.table import RegisterField, Table, check_pipeline

WHY = Why(concern=Concern.FRAME, reason="a test")
FIRST = Table(id=0, name="FIRST", purpose="", matches=frozenset({"in_port", "arp"}), goes_to=frozenset({7}))
SEVENTH = Table(id=7, name="SEVENTH", purpose="")


def test_a_match_on_a_field_that_the_table_does_not_declare_is_refused() -> None:
    assert flow(FIRST, 1, "arp,in_port=3", "resubmit(,7)", WHY).match == "arp,in_port=3"
    with pytest.raises(Impossible, match="does not declare the match field dl_src"):
        flow(FIRST, 1, "in_port=3,dl_src=00:00:00:00:00:01", "drop", WHY)


@pytest.mark.parametrize(
    "actions", ["resubmit(,9)", "mod_vlan_vid:1,resubmit(,9)", "learn(table=9,priority=1),output:1"]
)
def test_a_way_to_a_table_that_is_not_declared_is_refused(actions: str) -> None:
    with pytest.raises(Impossible, match="does not declare that it goes to 9"):
        flow(FIRST, 1, "in_port=3", actions, WHY)


@pytest.mark.parametrize(
    ("tables", "fields", "message"),
    [
        ((FIRST,), (), "goes to"),
        ((FIRST, SEVENTH, Table(id=7, name="OTHER", purpose="")), (), "same number or name"),
        ((SEVENTH, Table(id=8, name="SEVENTH", purpose="")), (), "same number or name"),
        ((Table(id=255, name="LAST", purpose=""),), (), "0..254"),
        ((), (RegisterField(name="a", register=0, purpose="", first_bit=25, last_bit=32),), "does not fit"),
        (
            (),
            (
                RegisterField(name="a", register=5, purpose="", last_bit=15),
                RegisterField(name="b", register=5, purpose="", first_bit=15),
            ),
            "share bit 15 of reg5",
        ),
    ],
)
def test_a_wrong_declaration_raises(tables: tuple[Table, ...], fields: tuple[RegisterField, ...], message: str) -> None:
    with pytest.raises(Impossible, match=message):
        check_pipeline(tables, fields)


@given(concern=st.sampled_from(Concern), obj=st.uuids())
def test_a_cookie_says_its_concern_and_object(concern: Concern, obj: object) -> None:
    cookie = encode(concern, str(obj))
    meaning = decode(cookie)
    assert meaning is not None
    assert (meaning.concern, meaning.object_digits) == (concern, str(obj).replace("-", "")[:12])
    assert cookie not in (0, 2**64 - 1), "OpenFlow gives these a meaning of its own"


def test_a_peer_is_found_by_its_address_and_a_bridge_has_no_object() -> None:
    assert f"{encode(Concern.PEER, '10.9.0.2'):#018x}" == "0x001000000a090002"
    assert object_digits("") == "000000000000"


@pytest.mark.parametrize("nonsense", ["not a uuid", "10.9.0", "10.9.0.300"])
def test_what_is_no_identity_has_no_cookie(nonsense: str) -> None:
    with pytest.raises(Impossible):
        encode(Concern.PEER, nonsense)


def test_a_cookie_of_somebody_else_means_nothing() -> None:
    assert decode(0) is None
    assert decode(0xC77D1C6CB2E9392A) is None
