"""The database as one frozen value, with the indexes that rules and host views ask, and what a rule answers: a Change.

A snapshot is never changed; `after(change)` gives the next one. Knows no SQL and no clock. Pure.
"""

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, cast

from warren.server import model
from warren.server.indexes import EMPTY, Found, Half, Index, Indexes, Pairing, reindexed
from warren.server.model import Key, Resource, T, key_of
from warren.server.persistent import K, PersistentMap, V


@dataclass(frozen=True, slots=True)
class Change:
    """What a rule wants stored: each key with its new value, or None where the resource is to go. Later wins."""

    values: Mapping[Key, Resource | None] = field(default_factory=dict)

    @classmethod
    def put(cls, *resources: Resource) -> "Change":
        return cls({key_of(resource): resource for resource in resources})

    @classmethod
    def delete(cls, *resources: Resource) -> "Change":
        return cls({key_of(resource): None for resource in resources})

    def then(self, *others: "Change") -> "Change":
        values = dict(self.values)
        for other in others:
            values.update(other.values)
        return Change(values)

    def __bool__(self) -> bool:
        return bool(self.values)


class Snapshot:
    """Every stored resource as of one revision."""

    __slots__ = ("_indexes", "_resources", "reckoned", "revision")

    def __init__(
        self,
        revision: int = 0,
        resources: Mapping[str, PersistentMap[str, Resource]] | None = None,
        indexes: Indexes | None = None,
    ) -> None:
        self.revision = revision
        self._resources: Mapping[str, PersistentMap[str, Resource]] = resources or {
            kind: PersistentMap() for kind in model.KINDS
        }
        self._indexes = indexes or EMPTY
        self.reckoned: Final[dict[Hashable, Any]] = {}
        """What `once` keeps."""

    def get(self, cls: type[T], resource_id: str | None) -> T | None:
        return self._each(cls).get(resource_id or "")

    def of(self, cls: type[T], resource_id: str) -> T:
        """The resource that another one names; it is there.

        Raises:
            KeyError: it is not, which is a broken invariant.
        """
        return self._each(cls)[resource_id]

    def all(self, cls: type[T]) -> Iterator[T]:
        return iter(self._each(cls).values())

    def index(self, index: Index[Any] | Pairing[Any]) -> Found:
        return self._indexes[index]

    def ids(self, index: Index[Any], key: Hashable) -> frozenset[str]:
        """The ids of the resources that the index has under a key."""
        return self._indexes[index].get(key, frozenset())

    def others(self, pairing: Pairing[Half], half: str) -> frozenset[Half]:
        """The other halves of the pairs that have this one."""
        return self._indexes[pairing].get(half, frozenset())

    def find(self, index: Index[T], key: Hashable) -> list[T]:
        """Every resource that the index has under a key, in the order of their ids."""
        resources = self._each(index.cls)
        return [resources[resource_id] for resource_id in sorted(self.ids(index, key))]

    def find_one(self, index: Index[T], key: Hashable) -> T | None:
        return next(iter(self.find(index, key)), None)

    def at(self, key: Key) -> Resource | None:
        return self._resources[key.kind].get(key.id)

    def all_keys(self) -> set[Key]:
        return {Key(kind, resource_id) for kind, resources in self._resources.items() for resource_id in resources}

    def effective(self, change: Change) -> Change:
        """The part of a change that changes something."""
        return Change({key: value for key, value in change.values.items() if self.at(key) != value})

    def after(self, change: Change, revision: int | None = None) -> "Snapshot":
        """The snapshot with a change. Without a revision it keeps this one's: a rule in the midst of its work."""
        if not change:
            return self if revision is None else Snapshot(revision, self._resources, self._indexes)
        resources = dict(self._resources)
        indexes = dict(self._indexes)
        by_kind: dict[str, dict[str, Resource | None]] = {}
        for key, value in change.values.items():
            by_kind.setdefault(key.kind, {})[key.id] = value
        for kind, values in by_kind.items():
            indexes.update(reindexed(self._indexes, kind, resources[kind], values))
            resources[kind] = resources[kind].with_changes(values)
        return Snapshot(self.revision if revision is None else revision, resources, indexes)

    def _each(self, cls: type[T]) -> PersistentMap[str, T]:
        """The resources of one class by id. Under a kind stands nothing but what is of its class."""
        return cast("PersistentMap[str, T]", self._resources[cls.kind])


def once(reckon: Callable[[Snapshot, K], V]) -> Callable[[Snapshot, K], V]:
    """A function of a snapshot that is asked once for all; its answers live as long as the snapshot, and no longer."""

    def known(now: Snapshot, asked: K) -> V:
        key = (reckon, asked)
        if key not in now.reckoned:
            now.reckoned[key] = reckon(now, asked)
        answer: V = now.reckoned[key]
        return answer

    return known
