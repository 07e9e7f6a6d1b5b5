"""A mapping that is never changed: a new one shares all but the touched parts with the old.

The server's read model is made of these, so that any number of readers keep the snapshot they started with while a
writer makes the next one. Cost of a change: the shard that it touches, a 256th of the mapping. Owns no meaning.
"""

from collections.abc import Hashable, Iterator, Mapping
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

SHARDS: Final = 256


class PersistentMap(Mapping[K, V], Generic[K, V]):
    """Immutable mapping in 256 shards by hash. Iterates in no order that means anything."""

    __slots__ = ("_shards", "_size")

    def __init__(self, shards: tuple[dict[K, V], ...] | None = None, size: int = 0) -> None:
        self._shards: tuple[dict[K, V], ...] = shards or ({},) * SHARDS
        self._size = size

    def __getitem__(self, key: K) -> V:
        return self._shards[hash(key) % SHARDS][key]

    def get(self, key: K, default: V | D = None) -> V | D:  # type: ignore[assignment]
        return self._shards[hash(key) % SHARDS].get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self._shards[hash(key) % SHARDS]

    def __iter__(self) -> Iterator[K]:
        return (key for shard in self._shards for key in shard)

    def __len__(self) -> int:
        return self._size

    def with_changes(self, changes: Mapping[K, V | None]) -> "PersistentMap[K, V]":
        """This mapping with each key set to its value, or removed where the value is None."""
        if not changes:
            return self
        shards = list(self._shards)
        own: set[int] = set()
        size = self._size
        for key, value in changes.items():
            number = hash(key) % SHARDS
            if number not in own:
                shards[number] = dict(shards[number])
                own.add(number)
            shard = shards[number]
            size -= key in shard
            if value is None:
                shard.pop(key, None)
            else:
                shard[key] = value
                size += 1
        return PersistentMap(tuple(shards), size)
