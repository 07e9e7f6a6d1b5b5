"""The agent's half of the sync protocol, on whatever a network and a server can do to a conversation."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warren.core.errors import Rejected
from warren.core.ids import MacAddress, NetworkId, PortId
from warren.core.state import HostState, Port, StateObject
from warren.sync.messages import Delta, Keepalive, Snapshot, StateMessage, encode_objects
from warren.sync.session import AgentSession, Heard

EPOCH = "d1"


def port(number: int, version: int) -> Port:
    return Port(
        id=PortId(f"{number:08x}-0000-4000-8000-000000000000"),
        network_id=NetworkId("n"),
        mac_address=MacAddress(f"fa:16:3e:00:00:{number:02x}"),
        name=f"v{version}",
    )


Objects = dict[str, StateObject]
revisions_of_objects = st.lists(
    st.dictionaries(st.integers(0, 4), st.integers(0, 3), max_size=5), min_size=1, max_size=8
).map(lambda versions: [{port(n, v).key: port(n, v) for n, v in of.items()} for of in versions])


def history(states: list[Objects]) -> list[HostState]:
    """What the server held, revision by revision; revisions have gaps as a real database's have for one host."""
    return [HostState(objects=objects, revision=3 * index + 1) for index, objects in enumerate(states)]


def snapshot(state: HostState, epoch: str = EPOCH) -> Snapshot:
    return Snapshot(epoch=epoch, revision=state.revision, objects=encode_objects(state.objects))


def delta(old: HostState, new: HostState) -> Delta:
    changed = {key: obj for key, obj in new.objects.items() if old.objects.get(key) != obj}
    return Delta(
        epoch=EPOCH,
        since=old.revision,
        revision=new.revision,
        set=encode_objects(changed),
        delete=tuple(key for key in old.objects if key not in new.objects),
    )


def conversation(states: list[HostState]) -> list[StateMessage]:
    return [snapshot(states[0]), *(delta(old, new) for old, new in pairwise(states))]


@given(revisions_of_objects)
def test_every_delta_applied_is_a_fresh_snapshot(objects: list[Objects]) -> None:
    states = history(objects)
    session = AgentSession()
    for message, state in zip(conversation(states), states, strict=True):
        session.received(message)
        assert session.state == state


@given(revisions_of_objects, st.data())
def test_whatever_is_lost_repeated_or_reordered_the_state_is_one_that_the_server_had(
    objects: list[Objects], data: st.DataObject
) -> None:
    states = history(objects)
    messages = conversation(states)
    had = {state.revision: state for state in states}
    session = AgentSession()
    for message in data.draw(st.lists(st.sampled_from(messages), max_size=20)):
        session.received(message)
        assert session.state is None or session.state == had[session.state.revision]


@given(revisions_of_objects, st.data())
def test_a_conversation_cut_anywhere_and_resumed_ends_at_the_last_state(
    objects: list[Objects], data: st.DataObject
) -> None:
    states = history(objects)
    session = AgentSession()
    cut = data.draw(st.integers(0, len(states)))
    for message in conversation(states)[:cut]:
        session.received(message)
    resume_point = session.resume_point()
    if resume_point is None:
        session.received(snapshot(states[-1]))
    else:
        assert resume_point == (EPOCH, states[cut - 1].revision)
        if states[cut - 1].revision < states[-1].revision:
            session.received(delta(states[cut - 1], states[-1]))
    assert session.state == states[-1]


def test_a_delta_that_skips_a_revision_asks_for_a_snapshot() -> None:
    first, second, third = history([{}, {port(1, 1).key: port(1, 1)}, {}])
    session = AgentSession()
    session.received(snapshot(first))
    assert session.received(delta(second, third)) is Heard.OUT_OF_STEP
    assert session.state == first
    assert session.resume_point() is None


def test_a_restored_database_has_another_epoch_and_its_older_snapshot_is_adopted() -> None:
    old, new = history([{port(1, 1).key: port(1, 1)}, {port(2, 1).key: port(2, 1)}])
    session = AgentSession()
    session.received(snapshot(new))
    assert session.received(snapshot(old, epoch="restored")) is Heard.ADOPTED
    assert session.resume_point() == ("restored", old.revision)


def test_a_message_of_another_epoch_changes_nothing_and_asks_for_a_snapshot() -> None:
    first, second = history([{}, {port(1, 1).key: port(1, 1)}])
    session = AgentSession()
    session.received(snapshot(first, epoch="other"))
    assert session.received(delta(first, second)) is Heard.OUT_OF_STEP
    assert session.received(Keepalive(epoch=EPOCH, revision=first.revision)) is Heard.OUT_OF_STEP
    assert session.state == first


def test_a_late_snapshot_is_passed_over_but_one_that_was_asked_for_is_believed() -> None:
    """A server that stays with an older revision, asked again, was set back: its word is the desired state."""
    old, new = history([{port(1, 1).key: port(1, 1)}, {}])
    session = AgentSession()
    session.received(snapshot(new))
    assert session.received(snapshot(old)) is Heard.OUT_OF_STEP
    assert session.resume_point() is None
    assert session.received(snapshot(old)) is Heard.ADOPTED
    assert session.state == old


def test_a_keepalive_ahead_of_what_is_held_reveals_a_lost_delta() -> None:
    first, second = history([{}, {}])
    session = AgentSession()
    session.received(snapshot(first))
    assert session.received(Keepalive(epoch=EPOCH, revision=first.revision)) is Heard.UNCHANGED
    assert session.received(Keepalive(epoch=EPOCH, revision=second.revision)) is Heard.OUT_OF_STEP


def test_what_is_remembered_starts_a_later_session_at_the_same_point() -> None:
    (state,) = history([{port(1, 1).key: port(1, 1)}])
    session = AgentSession()
    session.received(snapshot(state))
    later = AgentSession()
    later.received(session.remembered())
    assert later == session


def test_nothing_is_remembered_before_anything_was_heard() -> None:
    with pytest.raises(Rejected, match="no state to remember yet"):
        AgentSession().remembered()
