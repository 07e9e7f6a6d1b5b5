"""Reads and commits. One `Store` per process; several processes may share one database.

A write runs under the database's own write lock: catch up with what others committed, ask the rule, store its change,
its claims and its journal rows in one transaction, synchronously on disk before it returns. The snapshot that readers
hold is replaced only then. The only module that executes SQL.
"""

import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec
from sqlalchemy import Connection, Engine, bindparam, create_engine, delete, event, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError

from warren.core.errors import Conflict, Unmet, Unreachable
from warren.server.model import KINDS, Claim, Key, Resource
from warren.server.snapshot import Change, Snapshot
from warren.server.store.schema import CLAIMS, HEARTBEATS, JOURNAL, META, RESOURCES
from warren.server.store.upgrade import upgrade

JOURNAL_REVISIONS: Final = 20_000
"""How many revisions the journal keeps. A process further behind reads everything again."""

BUSY_S: Final = 30.0
"""How long a write waits for another process to finish its own."""

_encode = msgspec.json.Encoder().encode
_decoders: Final = {kind: msgspec.json.Decoder(cls) for kind, cls in KINDS.items()}

Answer = TypeVar("Answer")
Rule = Callable[[Snapshot], Change]
AnsweringRule = Callable[[Snapshot], tuple[Answer, Change]]


@dataclass(frozen=True, slots=True)
class Commit:
    """A change that is on disk. An empty one has no revision of its own."""

    before: Snapshot
    after: Snapshot
    change: Change


Listener = Callable[[Commit], None]
"""Told of every commit, of this process and of others on the database. Called with the commit lock held."""


_put = upsert(RESOURCES)
_PUT: Final = _put.on_conflict_do_update(index_elements=["kind", "id"], set_={"body": _put.excluded.body})
_DROP: Final = delete(RESOURCES).where(RESOURCES.c.kind == bindparam("k"), RESOURCES.c.id == bindparam("i"))
_CLAIM: Final = insert(CLAIMS)
_RELEASE: Final = delete(CLAIMS).where(CLAIMS.c.scope == bindparam("s"), CLAIMS.c.value == bindparam("v"))
_JOURNAL: Final = insert(JOURNAL)
_NEWEST: Final = select(func.max(JOURNAL.c.revision))
_OLDEST: Final = select(func.min(JOURNAL.c.revision))
_SINCE: Final = (
    select(JOURNAL.c.kind, JOURNAL.c.id, RESOURCES.c.body)
    .distinct()
    .join(RESOURCES, (RESOURCES.c.kind == JOURNAL.c.kind) & (RESOURCES.c.id == JOURNAL.c.id), isouter=True)
    .where(JOURNAL.c.revision > bindparam("r"))
)
_ALL: Final = select(RESOURCES.c.kind, RESOURCES.c.id, RESOURCES.c.body)


class Store:
    """The database and the newest snapshot of it."""

    def __init__(self, path: Path) -> None:
        self.engine = _engine(path)
        self._path = path
        self._lock = threading.RLock()
        self._listeners: list[Listener] = []
        self.snapshot = Snapshot()
        with ExitStack() as opened:
            opened.callback(self.engine.dispose)
            try:
                self._writer = opened.enter_context(self.engine.connect().execution_options(begin="IMMEDIATE"))
                with self._writer.begin():
                    upgrade(self._writer)
                    self.epoch = _epoch(self._writer)
                    self.snapshot = _everything(self._writer)
            except (DatabaseError, msgspec.MsgspecError) as error:
                raise Unmet(f"{path} cannot be used as the server's database: {_reason(error)}") from error
            self._opened = opened.pop_all()
        self._file = _file(path)

    def on_commit(self, listener: Listener) -> None:
        self._listeners.append(listener)

    def current(self) -> Snapshot:
        """The newest snapshot, other processes' commits included. One query when there are none.

        Raises:
            Unreachable: the database cannot be read now.
        """
        with self._asking("read"):
            held = self.snapshot.revision
            with self.engine.connect() as connection:
                newest = connection.execute(_NEWEST).scalar() or 0
            if newest < held or newest > self.snapshot.revision:
                with self._lock, self.engine.connect().execution_options(begin="DEFERRED") as connection:
                    self._catch_up(connection)
        return self.snapshot

    def commit(self, rule: Rule) -> Commit:
        """As `ask`, of a rule that has nothing to say beside its change."""
        return self.ask(lambda now: (None, rule(now)))[1]

    def ask(self, rule: AnsweringRule[Answer]) -> tuple[Answer, Commit]:
        """Ask the rule about the newest snapshot, store its change durably, and give its answer.

        Raises:
            Refused: what the rule raised; nothing changed.
            Conflict: a value that must be unique is held by another (409).
            Unreachable: the database cannot be written now (locked, disk full); nothing changed.
        """
        with self._lock:
            with self._writing() as connection:
                self._catch_up(connection)
                before = self.snapshot
                answer, wanted = rule(before)
                change = before.effective(wanted)
                if not change:
                    return answer, Commit(before, before, change)
                after = before.after(change, before.revision + 1)
                _write(connection, before, change, after.revision)
            self.snapshot = after
            return answer, self._tell(Commit(before, after, change))

    def heartbeats(self) -> dict[str, float]:
        """Host -> the Unix time of its last report, as far as it was written down.

        Raises:
            Unreachable: the database cannot be read now.
        """
        with self._asking("read"), self.engine.connect() as connection:
            return {row.host: row.at for row in connection.execute(select(HEARTBEATS))}

    def write_heartbeats(self, heartbeats: Mapping[str, float]) -> None:
        """Note when hosts last reported.

        Raises:
            Unreachable: the database cannot be written now; nothing changed.
        """
        put = upsert(HEARTBEATS)
        with self._writing() as connection:
            connection.execute(
                put.on_conflict_do_update(index_elements=["host"], set_={"at": put.excluded.at}),
                [{"host": host, "at": at} for host, at in heartbeats.items()],
            )

    def prune(self) -> None:
        """Forget journal rows that no process needs any more.

        Raises:
            Unreachable: the database cannot be written now; nothing changed.
        """
        oldest_kept = self.snapshot.revision - JOURNAL_REVISIONS
        with self._writing() as connection:
            connection.execute(delete(JOURNAL).where(JOURNAL.c.revision <= oldest_kept))

    def close(self) -> None:
        self._opened.close()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """The one connection that writes, in a transaction that holds the database's write lock."""
        with self._lock, self._asking("written"), self._writer.begin():
            yield self._writer

    @contextmanager
    def _asking(self, action: str) -> Iterator[None]:
        """Ask the database; what it says is said of the file that this process opened, and of no other in its place."""
        if _file(self._path) != self._file:
            raise Unreachable(f"the database {self._path} was {_REPLACED}")
        try:
            yield
        except DatabaseError as error:
            if type(error) not in {OperationalError, DatabaseError}:  # others are this program's mistakes
                raise
            raise Unreachable(f"the database cannot be {action}: {_reason(error)}") from error

    def _catch_up(self, connection: Connection) -> None:
        before = self.snapshot
        newest = connection.execute(_NEWEST).scalar() or 0
        if newest == before.revision:
            return
        if newest < before.revision:
            went_back = f"the database {self._path} went from revision {before.revision} to {newest}"
            raise Unreachable(f"{went_back}: it was {_REPLACED}")
        oldest = connection.execute(_OLDEST).scalar() or 0
        if before.revision + 1 < oldest:
            after = _everything(connection)
            change = _difference(before, after)
        else:
            rows = connection.execute(_SINCE, {"r": before.revision})
            change = Change({Key(kind, id_): _read(kind, body) for kind, id_, body in rows})
            after = before.after(change, newest)
        self.snapshot = after
        self._tell(Commit(before, after, change))

    def _tell(self, commit: Commit) -> Commit:
        for listener in self._listeners:
            listener(commit)
        return commit


_REPLACED: Final = "removed or replaced under the running server: put the right one there, and restart the server"


def _file(path: Path) -> tuple[int, int] | None:
    """Which file a path names now; None if none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _engine(path: Path) -> Engine:
    if not path.parent.is_dir():
        raise Unmet(f"the database's directory {path.parent} does not exist; create it or change `database`")
    try:
        path.touch(0o600)  # a new one is for its owner's eyes only, as are then the files that SQLite puts beside it
    except OSError as error:
        raise Unmet(f"{path} cannot be used as the server's database: {error.strerror}") from error
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_S, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _: object) -> None:
        # pysqlite's own transactions begin too late (at the first write); ours begin where the option `begin` says so,
        # and a read without it is one query, in a transaction of its own.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        if mode := connection.get_execution_options().get("begin"):
            connection.exec_driver_sql(f"BEGIN {mode}")

    return engine


def _epoch(connection: Connection) -> str:
    found = connection.execute(select(META.c.value).where(META.c.key == "epoch")).scalar()
    if found is None:
        found = uuid.uuid4().hex
        connection.execute(insert(META).values(key="epoch", value=found))
    return str(found)


def _everything(connection: Connection) -> Snapshot:
    revision = connection.execute(_NEWEST).scalar() or 0
    rows = connection.execute(_ALL)
    return Snapshot().after(Change({Key(kind, id_): _read(kind, body) for kind, id_, body in rows}), revision)


def _read(kind: str, body: str | None) -> Resource | None:
    return None if body is None else _decoders[kind].decode(body)


def _difference(before: Snapshot, after: Snapshot) -> Change:
    keys = before.all_keys() | after.all_keys()
    return Change({key: after.at(key) for key in keys if before.at(key) != after.at(key)})


def _write(connection: Connection, before: Snapshot, change: Change, revision: int) -> None:
    old_claims = {(claim, key.id) for key in change.values if (old := before.at(key)) for claim in old.claims()}
    new_claims = {(claim, key.id) for key, new in change.values.items() if new for claim in new.claims()}
    if released := old_claims - new_claims:
        connection.execute(_RELEASE, [{"s": claim.scope, "v": claim.value} for claim, _ in released])
    for claim, holder in sorted(new_claims - old_claims):
        _claim(connection, claim, holder)
    put = [
        {"kind": key.kind, "id": key.id, "body": _encode(value).decode()}
        for key, value in change.values.items()
        if value is not None
    ]
    if put:
        connection.execute(_PUT, put)
    if dropped := [{"k": key.kind, "i": key.id} for key, value in change.values.items() if value is None]:
        connection.execute(_DROP, dropped)
    connection.execute(_JOURNAL, [{"revision": revision, "kind": key.kind, "id": key.id} for key in change.values])


_CONFLICTS: Final = {
    "address": ("IpAddressInUse", "The IP address {value} is in use."),
    "mac": ("MacAddressInUse", "The MAC address {value} is in use on its network."),
    "segment": ("TunnelIdInUse", "The segmentation id {value} is in use."),
    "physical": ("FlatNetworkInUse", "The physical network is in use by another network ({value})."),
    "default-network": ("DefaultExternalNetworkExists", "There is a default {value} network already."),
    "cidr": ("InvalidInput", "The network has a subnet {value} already."),
    "floating": ("FloatingIPPortAlreadyAssociated", "The fixed address {value} has a floating IP already."),
}


def _claim(connection: Connection, claim: Claim, holder: str) -> None:
    try:
        connection.execute(_CLAIM, {"scope": claim.scope, "value": claim.value, "holder": holder})
    except IntegrityError as error:
        kind, sentence = _CONFLICTS.get(claim.scope.partition("/")[0], ("Conflict", "{value} is taken already."))
        raise Conflict(kind, sentence.format(value=claim.value)) from error


def _reason(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error)
