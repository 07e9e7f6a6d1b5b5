"""Which agent a host has: one, whoever else goes by the same name. Lives in the event loop's thread.

An agent has its host for as long as its state stream is open. Another that asks meanwhile may be its successor (a
machine that lost its power closes no connection) or a second one by mistake: a copied configuration, a cloned machine.
So the first one's stream is ended; whoever lives opens it anew at once. If it does, the second is refused, before it
was told anything, and for as long as the first lives. A killed agent's stream ends with it, so its successor waits for
nobody.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import structlog

from warren.core.errors import Conflict
from warren.core.ids import HostName

log: structlog.stdlib.BoundLogger = structlog.get_logger()

RETURNS_WITHIN_S: Final = 2.0
"""How long whoever lives takes to open a stream again that the server ended, at most: an agent tries after 0.1 s."""
REFUSED_KEPT_S: Final = 30.0
"""How long after its last attempt a second agent is spoken of. It tries again every five seconds."""


class Asker(NamedTuple):
    """Who wants to be a host's agent: one process."""

    agent: str
    """What each process says of itself, and no other: when it started."""
    address: str
    """Where it asks from; empty through a Unix socket."""

    @property
    def at_its_address(self) -> str:
        return f", at {self.address}," if self.address else ""


@dataclass(slots=True)
class Refusal:
    """A second agent, and when it last tried."""

    asker: Asker
    at_s: float


@dataclass(slots=True, kw_only=True)
class Tenure:
    """One agent's time as a host's agent. Its streams are counted by `with`."""

    holder: Asker
    streams: int = 0
    is_over: bool = False
    """Its streams are to end, so that it shows whether it lives."""
    returned: asyncio.Event = field(default_factory=asyncio.Event)

    def __enter__(self) -> None:
        self.streams += 1

    def __exit__(self, *_: object) -> None:
        self.streams -= 1


class Holders:
    """Every host's agent. `end` wakes a host's streams; `alive` are the hosts that were heard of lately."""

    def __init__(self, end: Callable[[HostName], None], alive: Callable[[], Collection[HostName]]) -> None:
        self._end = end
        self._alive = alive
        self._held: dict[HostName, Tenure] = {}
        self._refused: dict[HostName, dict[str, Refusal]] = {}

    async def take(self, host: HostName, asker: Asker) -> Tenure:
        """Let an agent have a host; whoever gives no name only looks, beside the one that has it.

        Raises:
            Conflict: another agent has it, and lives.
        """
        if not asker.agent:
            return Tenure(holder=asker)
        self.check(host, asker.agent)
        held = self._held.get(host)
        if held and held.holder.agent != asker.agent and held.streams and await self._lives(host, held):
            log.warning("agent.second", host=host, refused=asker.address, has_it=held.holder.address)
            self._refused.setdefault(host, {})[asker.agent] = Refusal(asker, time.monotonic())
            self.check(host, asker.agent)
        held = self._held.get(host)
        if held is None or held.holder.agent != asker.agent:
            held = self._held[host] = Tenure(holder=asker)
        held.is_over = False
        held.returned.set()
        return held

    def check(self, host: HostName, agent: str) -> None:
        """Refuse whoever was found to be a second agent of a host, as long as the first one lives.

        Raises:
            Conflict: it was.
        """
        refused = self._refused.get(host, {})
        if agent not in refused:
            return
        if host not in self._alive():
            del refused[agent]
            return
        refused[agent].at_s = time.monotonic()
        first = self._held[host].holder
        raise Conflict(
            "Conflict",
            f"host {host} has another agent{first.at_its_address} that is alive: stop one of the two, or give this "
            "host a name of its own",
        )

    def complaints(self, host: HostName) -> tuple[str, ...]:
        """What the agent that has a host should say is wrong: a sentence for each other that was refused lately."""
        since = time.monotonic() - REFUSED_KEPT_S
        return tuple(
            f"a second agent of host {host}{refusal.asker.at_its_address} is refused: stop it, or give its host a name "
            "of its own"
            for refusal in self._refused.get(host, {}).values()
            if refusal.at_s > since
        )

    async def _lives(self, host: HostName, held: Tenure) -> bool:
        held.is_over = True
        held.returned.clear()
        self._end(host)
        try:
            await asyncio.wait_for(held.returned.wait(), RETURNS_WITHIN_S)
        except asyncio.TimeoutError:
            return False
        return True
