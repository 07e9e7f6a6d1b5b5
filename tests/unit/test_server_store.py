"""The store: what is committed is on disk and seen by every process; readers ask it a constant number of queries."""

import sqlite3
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import event

from warren.core.errors import Conflict, Unmet, Unreachable
from warren.core.ids import MacAddress, NetworkId, PortId, SegmentationId
from warren.core.state import FixedIp, NetworkType
from warren.server import model
from warren.server.config import Config
from warren.server.identity.directory import Directory
from warren.server.policy import Caller
from warren.server.resources import RESOURCES
from warren.server.service import Service
from warren.server.snapshot import Change, Snapshot
from warren.server.store.schema import METADATA
from warren.server.store.store import Store

ADMIN = Caller(user_id="u", project_id="p", roles=frozenset({"admin"}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warren.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    opened = Store(path)
    yield opened
    opened.close()


def network(number: int, segmentation_id: int | None = None) -> model.Network:
    return model.Network(
        id=NetworkId(f"n{number}"),
        project_id="p",
        network_type=NetworkType.VXLAN,
        segmentation_id=SegmentationId(segmentation_id or number),
        mtu=1450,
    )


def put(store: Store, *resources: model.Resource) -> None:
    store.commit(lambda _: Change.put(*resources))


def port(number: int, address: str) -> model.Port:
    return model.Port(
        id=PortId(f"p{number}"),
        project_id="p",
        network_id=NetworkId("n1"),
        mac_address=MacAddress(f"fa:16:3e:00:00:{number:02x}"),
        fixed_ips=(FixedIp(subnet_id="s", ip_address=address),),  # type: ignore[arg-type]
    )


def test_what_was_committed_is_there_after_a_restart(store: Store, path: Path) -> None:
    put(store, network(1))
    put(store, port(1, "10.0.0.5"))
    again = Store(path)
    assert again.epoch == store.epoch
    assert again.snapshot.revision == 2
    assert again.snapshot.get(model.Port, "p1") == port(1, "10.0.0.5")
    again.close()


def test_the_database_and_nothing_else_decides_who_gets_an_address(store: Store) -> None:
    put(store, network(1), port(1, "10.0.0.5"))
    with pytest.raises(Conflict, match=r"10\.0\.0\.5 is in use"):
        put(store, port(2, "10.0.0.5"))
    with pytest.raises(Conflict, match="segmentation id 1 is in use"):
        put(store, network(2, segmentation_id=1))
    assert store.snapshot.revision == 1, "a refused change leaves no trace"
    assert store.snapshot.get(model.Port, "p2") is None
    put(store, port(1, "10.0.0.6"))
    put(store, port(2, "10.0.0.5"))


def test_two_processes_on_one_database_see_each_others_commits(store: Store, path: Path) -> None:
    other = Store(path)
    heard: list[set[model.Key]] = []
    other.on_commit(lambda commit: heard.append(set(commit.change.values)))
    put(store, network(1))
    put(store, network(2))
    store.commit(lambda now: Change.delete(now.of(model.Network, "n1")))
    assert [one.id for one in other.current().all(model.Network)] == ["n2"]
    assert heard == [{model.Key("network", "n1"), model.Key("network", "n2")}]
    put(other, network(3))
    assert store.current().get(model.Network, "n3") == network(3)
    other.close()


def test_one_that_fell_behind_the_journal_reads_everything_again(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warren.server.store.store.JOURNAL_REVISIONS", 2)
    other = Store(path)
    for number in range(1, 6):
        put(store, network(number))
    store.commit(lambda now: Change.delete(now.of(model.Network, "n1")))
    store.prune()
    assert sorted(one.id for one in other.current().all(model.Network)) == ["n2", "n3", "n4", "n5"]
    assert other.snapshot.revision == store.snapshot.revision
    other.close()


def test_a_rule_is_asked_about_the_newest_snapshot_however_many_write(path: Path) -> None:
    stores = [Store(path) for _ in range(3)]

    def count_up(store: Store) -> None:
        for _ in range(20):
            store.commit(lambda now: Change.put(network(len(list(now.all(model.Network))) + 1)))

    threads = [threading.Thread(target=count_up, args=(store,)) for store in stores for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {one.id for one in stores[0].current().all(model.Network)} == {f"n{n}" for n in range(1, 121)}
    assert stores[0].snapshot.revision == 120
    for store in stores:
        store.close()


def test_a_change_that_changes_nothing_is_no_revision(store: Store) -> None:
    put(store, network(1))
    put(store, network(1))
    store.commit(lambda _: Change({model.Key("network", "gone"): None}))
    assert store.snapshot.revision == 1


def test_every_list_asks_the_database_the_same_number_of_queries_however_much_there_is(
    store: Store, tmp_path: Path
) -> None:
    config = Config(database=tmp_path / "warren.db", secret_file=tmp_path / "secret", directory=Directory())
    service = Service(config, store, b"s" * 32)
    put(store, network(1))
    queries: list[str] = []
    event.listen(store.engine, "before_cursor_execute", lambda *args: queries.append(args[2]))

    def asked() -> dict[str, int]:
        counts = {}
        for resource in RESOURCES:
            service.listed(ADMIN, resource, [])
            queries.clear()
            service.listed(ADMIN, resource, [("sort_key", "id"), ("limit", "500")])
            counts[resource.name] = len(queries)
        return counts

    few = asked()
    put(store, *(port(number, f"10.0.0.{number}") for number in range(1, 200)))
    put(store, *(network(number) for number in range(2, 200)))
    assert asked() == few == dict.fromkeys(few, 1)


@pytest.mark.parametrize("content", [b"this is no database at all, but a letter to a friend" * 40, b""])
def test_a_file_that_is_no_database_is_said_in_one_sentence(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    if content:
        with pytest.raises(Unmet, match="cannot be used as the server's database"):
            Store(path)
    else:
        Store(path).close()


def test_a_missing_directory_is_said_with_the_mend(tmp_path: Path) -> None:
    with pytest.raises(Unmet, match="create it or change `database`"):
        Store(tmp_path / "nowhere" / "warren.db")


def test_nobody_but_its_owner_reads_the_database(store: Store, path: Path) -> None:
    """It holds every tenant's names. What is there already keeps the mode that it was given."""
    put(store, network(1))
    beside = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    assert beside == dict.fromkeys(("warren.db", "warren.db-wal", "warren.db-shm"), 0o600)


def test_every_commit_waits_for_the_disk(store: Store) -> None:
    put(store, network(1))
    with store.engine.connect() as connection:
        assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == 2
        assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_a_database_that_cannot_be_written_now_is_said_and_changes_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("warren.server.store.store.BUSY_S", 0.05)
    store = Store(path)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unreachable, match="locked"):
        put(store, network(1))
    holder.execute("ROLLBACK")
    holder.close()
    put(store, network(1))
    assert store.snapshot.revision == 1
    store.close()


def _remove(path: Path) -> None:
    path.unlink()


def _exchange(path: Path) -> None:
    other = Store(path.with_name("other.db"))
    put(other, network(7))
    other.close()
    path.with_name("other.db").rename(path)


def _restore(path: Path) -> None:
    """An older state of it, written over it as `sqlite3 warren.db ".restore backup"` does."""
    with sqlite3.connect(path) as connection:
        connection.execute("delete from journal where revision > 1")
    connection.close()


@pytest.mark.parametrize("replace", [_remove, _exchange, _restore])
def test_a_database_that_is_removed_or_replaced_under_the_server_is_said_at_once(
    store: Store, path: Path, replace: Callable[[Path], None]
) -> None:
    """What is written into a file that nobody finds again would be answered 201, and be gone."""
    put(store, network(1))
    put(store, network(2))
    replace(path)
    for ask in (store.current, lambda: put(store, network(3))):
        with pytest.raises(Unreachable, match="removed or replaced under the running server"):
            ask()
    assert store.snapshot.get(model.Network, "n3") is None


def test_a_database_that_was_spoilt_is_said(store: Store, path: Path) -> None:
    put(store, network(1))
    with sqlite3.connect(path) as connection:
        connection.execute("pragma wal_checkpoint(truncate)")
    connection.close()
    path.write_bytes(b"a letter to a friend" * 4000)
    store.engine.pool.dispose()  # idle connections, which know the file as it was; the writer's is not idle
    with pytest.raises(Unreachable, match="not a database"):
        store.current()


def test_migrations_make_exactly_the_tables_that_the_code_knows(store: Store) -> None:
    with store.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []


def test_a_database_of_a_newer_version_is_refused(path: Path) -> None:
    Store(path).close()
    connection = sqlite3.connect(path)
    connection.execute("update alembic_version set version_num = '9999'")
    connection.commit()
    connection.close()
    with pytest.raises(Unmet, match="schema 9999, newer than this version's"):
        Store(path)


def test_claims_are_exactly_those_of_the_resources(store: Store, path: Path) -> None:
    put(store, network(1), port(1, "10.0.0.5"), port(2, "10.0.0.6"))
    store.commit(lambda now: Change.delete(now.of(model.Port, "p1")))
    put(store, port(2, "10.0.0.7"))
    now: Snapshot = store.snapshot
    stated = {claim for key in now.all_keys() if (one := now.at(key)) for claim in one.claims()}
    connection = sqlite3.connect(path)
    assert set(connection.execute("select scope, value from claims")) == stated
    connection.close()
