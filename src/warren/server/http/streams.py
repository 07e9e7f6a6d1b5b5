"""The agents' state streams: the one place of asynchronous code, since one process holds a thousand of them.

A commit (in any thread) is handed to the event loop, in order. There it marks, for each host, the keys that it touches,
and wakes the host's streams; they look those keys up once for all commits until then, and send what is new.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from warren.core.ids import HostName
from warren.server.hostview import host_state, object_at
from warren.server.http.holders import Tenure
from warren.server.store.store import Commit, Store
from warren.server.touch import touched
from warren.sync.feed import HostFeed
from warren.sync.messages import Keepalive, encode


@dataclass(slots=True)
class _Host:
    """What is known of one host that has, or had, a stream."""

    feed: HostFeed
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    stale: set[str] = field(default_factory=set)
    """Keys that may stand otherwise than in the feed."""


class StateStreams:
    """Every host's feed, and the streams that wait for news. Lives in the event loop's thread.

    `_now` is the snapshot up to which commits have marked what they touch. It may lag behind the store's: what a feed
    holds and the revision that it says are of one snapshot, or a change could fall between two messages.
    """

    def __init__(self, store: Store, keepalive_s: float) -> None:
        self._epoch = store.epoch
        self._keepalive_s = keepalive_s
        self._loop = asyncio.get_running_loop()
        self._hosts: dict[HostName, _Host] = {}
        self._is_stopping = False
        store.on_commit(self._committed)
        self._now = store.snapshot

    def stop(self) -> None:
        """End every stream; agents connect again when a server is there."""
        self._is_stopping = True
        for host in self._hosts.values():
            host.wake.set()

    def end(self, name: HostName) -> None:
        """Have a host's streams look whether they are to end."""
        if host := self._hosts.get(name):
            host.wake.set()

    def _committed(self, commit: Commit) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._mark, commit)

    def _mark(self, commit: Commit) -> None:
        if commit.after.revision <= self._now.revision:
            return
        self._now = commit.after
        for name, keys in touched(commit.before, commit.after, commit.change, self._hosts.keys()).items():
            if host := self._hosts.get(name):
                host.stale |= keys
                host.wake.set()

    async def lines(self, name: HostName, epoch: str, revision: int, tenure: Tenure) -> AsyncIterator[bytes]:
        """The stream's lines for a host that knows the state as of (epoch, revision); the first comes at once."""
        with tenure:
            async for line in self._lines(name, epoch, revision, tenure):
                yield line

    async def _lines(self, name: HostName, epoch: str, revision: int, tenure: Tenure) -> AsyncIterator[bytes]:
        if name not in self._hosts:
            feed = HostFeed.begin(self._epoch, self._now.revision, host_state(self._now, name))
            self._hosts[name] = _Host(feed)
        host, has_answered = self._hosts[name], False
        while not (self._is_stopping or tenure.is_over):
            self._look_up(name, host)
            news = host.feed.news(epoch, revision)
            if news is not None:
                epoch, revision = news.epoch, news.revision
                yield encode(news) + b"\n"
            elif not has_answered or not await self._woken(host):
                yield encode(Keepalive(epoch=epoch, revision=revision)) + b"\n"
            has_answered = True

    def _look_up(self, name: HostName, host: _Host) -> None:
        if host.stale:
            keys, host.stale = host.stale, set()
            host.feed.change(self._now.revision, {key: object_at(self._now, name, key) for key in keys})

    async def _woken(self, host: _Host) -> bool:
        host.wake.clear()
        try:
            await asyncio.wait_for(host.wake.wait(), self._keepalive_s)
        except asyncio.TimeoutError:
            return False
        return True
