"""What one host was told and what it is to be told next, without sockets. Pure.

A feed remembers, for each key, the revision at which it last changed, and for each key that went, the revision at which
it went. So it can say what changed since any revision that it has seen; to a host that knows an older one, or another
database's, it gives everything.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import takewhile
from typing import Final

import msgspec

from warren.core.state import Dhcp, Group, StateObject
from warren.sync.messages import Delta, Snapshot, encode

GONE_KEPT: Final = 4096
"""How many removed keys a feed remembers before it forgets the older half, and what came before them."""


@dataclass(slots=True)
class HostFeed:
    """The history of one host's state since the feed began."""

    epoch: str
    since: int
    """The first revision that the feed can resume from."""
    revision: int
    objects: dict[str, msgspec.Raw]
    changed_at: dict[str, int] = field(default_factory=dict)
    """In the order of the revisions, as `gone_at`: what is new is at the end, however long the history is."""
    gone_at: dict[str, int] = field(default_factory=dict)

    @classmethod
    def begin(cls, epoch: str, revision: int, objects: Mapping[str, StateObject]) -> "HostFeed":
        return cls(epoch, revision, revision, dict(map(_written, objects.values())))

    def change(self, revision: int, objects: Mapping[str, StateObject | None]) -> None:
        """Take what stands under some keys as of a revision; None where nothing does. The others stand as before."""
        for key, obj in objects.items():
            if obj is None:
                self._drop(key, revision)
            else:
                self._put(*_written(obj), revision)
        self.revision = revision
        self._forget()

    def news(self, epoch: str, revision: int) -> Snapshot | Delta | None:
        """What a host that knows the state as of (epoch, revision) is to be told; None if nothing."""
        if epoch != self.epoch or not self.since <= revision <= self.revision:
            return Snapshot(epoch=self.epoch, revision=self.revision, objects=dict(self.objects))
        changed = {key: self.objects[key] for key in _since(revision, self.changed_at)}
        gone = tuple(sorted(_since(revision, self.gone_at)))
        if not changed and not gone:
            return None
        return Delta(epoch=self.epoch, since=revision, revision=self.revision, set=changed, delete=gone)

    def _drop(self, key: str, revision: int) -> None:
        if self.objects.pop(key, None) is not None:
            _note(key, revision, self.gone_at, self.changed_at)

    def _put(self, key: str, raw: msgspec.Raw, revision: int) -> None:
        held = self.objects.get(key)
        if held is None or (held is not raw and bytes(held) != bytes(raw)):
            self.objects[key] = raw
            _note(key, revision, self.changed_at, self.gone_at)

    def _forget(self) -> None:
        if len(self.gone_at) > GONE_KEPT:
            self.since = sorted(self.gone_at.values())[-GONE_KEPT // 2]
            self.gone_at = {key: at for key, at in self.gone_at.items() if at > self.since}


def _written(obj: StateObject) -> tuple[str, msgspec.Raw]:
    """An object's key, and it as JSON. All feeds hold the same one: most objects are told to many hosts alike.

    But for what is as long as it has members, and is another with each port that comes or goes: of groups only the
    newest are kept, and of DHCP servers, each of which one host is told, none.
    """
    match obj:
        case Dhcp():
            return _as_json(obj)
        case Group():
            return _group_as_json(obj)
        case _:
            return _kept_as_json(obj)


def _as_json(obj: StateObject) -> tuple[str, msgspec.Raw]:
    return obj.key, msgspec.Raw(encode(obj))


_kept_as_json: Final = lru_cache(maxsize=2**14)(_as_json)
_group_as_json: Final = lru_cache(maxsize=2**7)(_as_json)


def _note(key: str, revision: int, at: dict[str, int], no_more_at: dict[str, int]) -> None:
    """Note a key last, where it belongs."""
    at.pop(key, None)
    at[key] = revision
    no_more_at.pop(key, None)


def _since(revision: int, noted: dict[str, int]) -> Iterator[str]:
    """The keys that were noted after the revision."""
    newest_first = reversed(noted.items())
    return (key for key, _ in takewhile(lambda one: one[1] > revision, newest_first))
