"""The agents' state streams: the one place of asynchronous code, since one process holds a thousand of them.

A commit (in any thread) marks the hosts that it touches; the streams of those hosts wake, compute their host's state
once for all commits until then, and send what is new.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from warren.core.ids import HostName
from warren.server.hostview import host_state, touched
from warren.server.store.store import Commit, Store
from warren.sync.feed import HostFeed
from warren.sync.messages import Keepalive, encode


@dataclass(slots=True)
class _Host:
    """What is known of one host that has, or had, a stream."""

    feed: HostFeed
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    is_stale: bool = False


class StateStreams:
    """Every host's feed, and the streams that wait for news. Lives in the event loop's thread."""

    def __init__(self, store: Store, keepalive_s: float) -> None:
        self._store = store
        self._keepalive_s = keepalive_s
        self._loop = asyncio.get_running_loop()
        self._hosts: dict[HostName, _Host] = {}
        self._is_stopping = False
        store.on_commit(self._committed)

    def stop(self) -> None:
        """End every stream; agents connect again when a server is there."""
        self._is_stopping = True
        for host in self._hosts.values():
            host.wake.set()

    def _committed(self, commit: Commit) -> None:
        hosts = touched(commit.before, commit.after, commit.change, tuple(self._hosts))
        if hosts and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake, hosts)

    def _wake(self, hosts: frozenset[HostName]) -> None:
        for name in hosts:
            if host := self._hosts.get(name):
                host.is_stale = True
                host.wake.set()

    async def lines(self, name: HostName, epoch: str, revision: int) -> AsyncIterator[bytes]:
        """The stream's lines for a host that knows the state as of (epoch, revision).

        The first comes at once, so that an agent with nothing new to hear knows that it is heard.
        """
        host, is_greeted = self._fresh(name), False
        while not self._is_stopping:
            news = host.feed.news(epoch, revision)
            if news is not None:
                epoch, revision = news.epoch, news.revision
                yield encode(news) + b"\n"
            elif not is_greeted or not await self._woken(host):
                yield encode(Keepalive(epoch=epoch, revision=revision)) + b"\n"
            is_greeted = True
            self._refresh(name, host)

    async def _woken(self, host: _Host) -> bool:
        host.wake.clear()
        if host.is_stale:
            return True
        try:
            await asyncio.wait_for(host.wake.wait(), self._keepalive_s)
        except asyncio.TimeoutError:
            return False
        return True

    def _fresh(self, name: HostName) -> _Host:
        host = self._hosts.get(name)
        if host is None:
            # Listed first, looked up then: what is committed after the look finds the host listed, and marks it.
            host = self._hosts[name] = _Host(HostFeed.begin(self._store.epoch, 0, {}))
            now = self._store.snapshot
            host.feed = HostFeed.begin(self._store.epoch, now.revision, host_state(now, name))
        self._refresh(name, host)
        return host

    def _refresh(self, name: HostName, host: _Host) -> None:
        if host.is_stale:
            host.is_stale = False
            now = self._store.snapshot
            host.feed.advance(now.revision, host_state(now, name))
