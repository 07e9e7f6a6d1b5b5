"""What a host is told, from whatever point it resumes."""

import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warren.core.ids import GroupId, HostName, MacAddress, NetworkId, PortId, SubnetId
from warren.core.state import Dhcp, DhcpHost, Group, Peer, StateObject
from warren.sync import feed as module
from warren.sync.feed import HostFeed
from warren.sync.messages import Delta, Snapshot


def peer(name: str, vtep_ip: str = "10.0.0.1") -> Peer:
    return Peer(host=HostName(name), vtep_ip=vtep_ip)


def state(*peers: Peer) -> dict[str, Peer | None]:
    return {one.key: one for one in peers}


def test_a_host_that_knows_everything_is_told_nothing() -> None:
    feed = HostFeed.begin("e", 5, {"peer/a": peer("a")})
    assert feed.news("e", 5) is None
    feed.change(9, state(peer("a")))
    assert feed.news("e", 5) is None, "a revision that does not concern the host is no news"


def test_a_host_of_another_database_or_from_before_the_feed_or_ahead_of_it_is_told_everything() -> None:
    feed = HostFeed.begin("e", 5, {"peer/a": peer("a")})
    for epoch, revision in (("f", 5), ("e", 4), ("e", 6), ("", -1)):
        assert isinstance(feed.news(epoch, revision), Snapshot)


states = st.lists(st.sets(st.tuples(st.sampled_from("abcd"), st.sampled_from(["10.0.0.1", "10.0.0.2"]))), max_size=8)


@given(states, st.integers(0, 8))
def test_resuming_anywhere_leads_to_the_same_state(changes: list[set[tuple[str, str]]], start: int) -> None:
    feed = HostFeed.begin("e", 0, {})
    history = [dict(feed.objects)]
    for revision, peers in enumerate(changes, start=1):
        feed.change(revision, {**dict.fromkeys(feed.objects), **state(*(peer(name, ip) for name, ip in peers))})
        history.append(dict(feed.objects))
    start = min(start, len(changes))
    news = feed.news("e", start)
    held = history[start]
    if isinstance(news, Delta):
        held = {key: raw for key, raw in held.items() if key not in news.delete} | dict(news.set)
    assert {key: bytes(raw) for key, raw in held.items()} == {key: bytes(raw) for key, raw in feed.objects.items()}


def test_what_hosts_are_told_alike_is_held_once_for_all_of_them() -> None:
    feeds = [HostFeed.begin("e", 0, {"peer/a": peer("a")}) for _ in range(2)]
    for feed in feeds:
        feed.change(1, state(peer("b")))
    first, second = (feed.objects for feed in feeds)
    assert all(first[key] is second[key] for key in ("peer/a", "peer/b"))


ADDRESSES = tuple(f"10.0.{number // 256}.{number % 256}" for number in range(2000))
LEASES = tuple(
    DhcpHost(
        port_id=PortId("p"),
        mac_address=MacAddress("fa:16:3e:00:00:01"),
        ip_address=address,
        subnet_id=SubnetId("s"),
        hostname="h",
    )
    for address in ADDRESSES
)


@pytest.mark.parametrize(
    "after",
    [
        lambda gone: Group(id=GroupId("g"), members=ADDRESSES[gone:]),
        lambda gone: Dhcp(network_id=NetworkId("n"), port_id=PortId("p"), hosts=LEASES[gone:]),
    ],
    ids=["group", "dhcp"],
)
def test_a_long_list_that_changes_again_and_again_is_not_kept_as_it_was_each_time(
    after: Callable[[int], StateObject],
) -> None:
    key = after(0).key
    feed = HostFeed.begin("e", 0, {})
    tracemalloc.start()
    for revision in range(1, 601):
        feed.change(revision, {key: after(revision)})
    held_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert held_bytes < 600 * len(bytes(feed.objects[key])) / 2, "less than half of what was told"


def test_a_feed_forgets_what_went_long_ago_and_then_tells_everything() -> None:
    feed = HostFeed.begin("e", 0, {})
    for revision in range(1, 2 * module.GONE_KEPT + 20, 2):
        feed.change(revision, {**dict.fromkeys(feed.objects), **state(peer(str(revision)))})
    assert len(feed.gone_at) <= module.GONE_KEPT
    assert isinstance(feed.news("e", 1), Snapshot)
    recent = feed.news("e", feed.revision - 2)
    assert isinstance(recent, Delta)
    assert recent.delete == (f"peer/{feed.revision - 2}",)
