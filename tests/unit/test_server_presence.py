"""Who is there: judged by the time that the server listened, whatever the wall clock does and whoever was stopped."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from warren.core.ids import HostName
from warren.server.config import Config
from warren.server.hosts import Hosts
from warren.server.presence import Presence, alive_when_last_heard
from warren.server.store.store import Store
from warren.sync.messages import Report

ONE, OTHER = HostName("network1"), HostName("network2")
BOTH = frozenset({ONE, OTHER})
REPORT = Report(revision=0, version="1", started_at=1.0, roles=("network",))
HOUR_S = 3600.0


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path / "warren.db")
    yield opened
    opened.close()


def hosts(store: Store) -> Hosts:
    return Hosts(store, Config(database=Path("warren.db"), secret_file=Path("secret")))


def ticked(presence: Presence, start: float, seconds: int, *hosts: HostName) -> frozenset[HostName]:
    """Who is there after so many seconds of a server that runs, with these hosts reporting in each."""
    for second in range(1, seconds + 1):
        presence.heard(start + second, hosts)
    return presence.alive(start + seconds)


def test_who_says_nothing_for_too_long_is_not_there_and_is_back_with_a_word() -> None:
    presence = Presence.begin(100.0, 30.0, [])
    presence.heard(100.0, BOTH)
    assert ticked(presence, 100.0, 29, ONE) == BOTH
    assert ticked(presence, 129.0, 1, ONE) == {ONE}
    presence.heard(131.0, [OTHER])
    assert presence.alive(131.0) == BOTH


def test_nobody_dies_of_time_in_which_nobody_listened() -> None:
    presence = Presence.begin(100.0, 30.0, BOTH)
    assert presence.alive(100.0 + HOUR_S) == BOTH, "the process was stopped"
    presence.heard(100.0 + HOUR_S, [ONE])
    assert presence.alive(100.5 + HOUR_S) == BOTH, "one was quicker with its report"
    assert ticked(presence, 100.5 + HOUR_S, 30, ONE) == {ONE}, "and the other never came"


@pytest.mark.parametrize("step_s", [HOUR_S, -HOUR_S])
def test_a_wall_clock_that_is_set_makes_nobody_look_dead_and_none_of_the_dead_alive(
    store: Store, monkeypatch: pytest.MonkeyPatch, step_s: float
) -> None:
    here, elsewhere, real = hosts(store), hosts(store), time.time
    here.report(ONE, REPORT)
    elsewhere.report(OTHER, REPORT)
    elsewhere.exchange_heartbeats()
    here.exchange_heartbeats()
    monkeypatch.setattr(time, "time", lambda: real() + step_s)
    assert here.alive() == BOTH
    here.exchange_heartbeats()
    assert here.alive() == BOTH
    here.report(ONE, REPORT)
    here.exchange_heartbeats()
    elsewhere.exchange_heartbeats()
    assert elsewhere.alive() == BOTH
    assert abs(elsewhere.heartbeats()[ONE] - time.time()) < HOUR_S / 2, "people are told the clock's time"
    assert hosts(store).alive() >= {ONE}, "whoever was heard of last is there for one that starts now"


def test_another_servers_heartbeats_count_from_when_they_were_seen_whatever_its_clock_says(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, elsewhere, real = hosts(store), hosts(store), time.time
    for skew_s in (-HOUR_S, HOUR_S, 0.0):
        monkeypatch.setattr(time, "time", lambda skew_s=skew_s: real() + skew_s)
        elsewhere.report(OTHER, REPORT)
        elsewhere.exchange_heartbeats()
        monkeypatch.setattr(time, "time", real)
        here.exchange_heartbeats()
        assert here.alive() == {OTHER}


@pytest.mark.parametrize(
    ("heard_at", "alive"),
    [
        ({ONE: 1000.0, OTHER: 995.0}, BOTH),
        ({ONE: 1000.0, OTHER: 970.0}, {ONE}),
        ({ONE: 1000.0, OTHER: 1000.0 + HOUR_S}, BOTH),
        ({ONE: 1000.0 + HOUR_S}, {ONE}),
        ({}, set()),
    ],
)
def test_a_server_that_starts_knows_who_was_there_when_the_last_one_was_heard(
    heard_at: dict[HostName, float], alive: set[HostName]
) -> None:
    for stopped_for_s in (0.0, HOUR_S - 1):
        assert alive_when_last_heard(heard_at, 1000.0 + stopped_for_s, 30.0) == alive
