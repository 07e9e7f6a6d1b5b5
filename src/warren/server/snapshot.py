"""The database as one frozen value, with the indexes that rules and host views ask, and what a rule answers: a Change.

A snapshot is never changed; `after(change)` gives the next one. Knows no SQL and no clock. Pure.
"""

from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from warren.server import model
from warren.server.indexes import EMPTY, Found, Indexes, reindexed
from warren.server.model import Key, Resource, key_of
from warren.server.persistent import PersistentMap

T = TypeVar(
    "T",
    model.Network,
    model.Subnet,
    model.Port,
    model.Router,
    model.FloatingIp,
    model.SecurityGroup,
    model.SecurityGroupRule,
    model.Host,
    model.Agent,
    model.Settings,
)


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

    __slots__ = ("_indexes", "_resources", "revision")

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

    def get(self, cls: type[T], resource_id: str | None) -> T | None:
        found = self._resources[cls.kind].get(resource_id or "")
        return found if isinstance(found, cls) else None

    def of(self, cls: type[T], resource_id: str) -> T:
        """The resource that another one names; it is there.

        Raises:
            KeyError: it is not, which is a broken invariant.
        """
        found = self._resources[cls.kind][resource_id]
        assert isinstance(found, cls)
        return found

    def all(self, cls: type[T]) -> Iterator[T]:
        return iter(self._resources[cls.kind].values())  # type: ignore[arg-type]

    def size(self, cls: type[T]) -> int:
        return len(self._resources[cls.kind])

    def index(self, name: str) -> Found:
        return self._indexes[name]

    def ids(self, index: str, key: Hashable) -> frozenset[Any]:
        """What the index has under a key: ids of resources, which a host's name is as well."""
        return self._indexes[index].get(key, frozenset())

    def find(self, cls: type[T], index: str, key: Hashable) -> list[T]:
        """Every resource of `cls` that the index has under `key`, in the order of their ids."""
        resources = self._resources[cls.kind]
        return [resources[resource_id] for resource_id in sorted(self.ids(index, key))]  # type: ignore[misc]

    def find_one(self, cls: type[T], index: str, key: Hashable) -> T | None:
        return next(iter(self.find(cls, index, key)), None)

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
