"""Which hosts' agents are there, by the time that this process listened since it heard of them. Pure.

Dead is who said nothing while somebody listened for long enough. So neither a clock that is set counts (the times given
are a monotonic clock's), nor time in which nobody listened: before the start, while the process or its machine was
stopped, or was too busy to take reports.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from warren.core.ids import HostName

LONGEST_STEP_S: Final = 2.0
"""What counts between two looks at the clock at most. The server looks every second, and with every report."""


@dataclass(slots=True)
class Presence:
    """Who was heard of when, in seconds that this process listened. All times given are those of a monotonic clock."""

    down_time_s: float
    """Who says nothing for so long is not there."""
    _seen_at: float
    _listened_s: float = 0.0
    _heard_at: dict[HostName, float] = field(default_factory=dict)

    @classmethod
    def begin(cls, now: float, down_time_s: float, hosts: Iterable[HostName]) -> "Presence":
        """Somebody begins to listen; `hosts` are taken to be there until they had the time to say so."""
        return cls(down_time_s, now, 0.0, dict.fromkeys(hosts, 0.0))

    def heard(self, now: float, hosts: Iterable[HostName]) -> None:
        """Agents said something, just now."""
        self._listen(now)
        self._heard_at.update(dict.fromkeys(hosts, self._listened_s))

    def alive(self, now: float) -> frozenset[HostName]:
        """Who is there."""
        self._listen(now)
        since = self._listened_s - self.down_time_s
        return frozenset(host for host, heard in self._heard_at.items() if heard > since)

    def _listen(self, now: float) -> None:
        self._listened_s += min(now - self._seen_at, LONGEST_STEP_S)
        self._seen_at = now


def alive_when_last_heard(heard_at: Mapping[HostName, float], now: float, down_time_s: float) -> frozenset[HostName]:
    """Who was there when the last of all reports was written down, by the wall clock as it stood with each of them.

    A report of the future is of a clock that was put back since: it says nothing of when, and its host is counted in.
    """
    last = max((at for at in heard_at.values() if at <= now), default=now)
    return frozenset(host for host, at in heard_at.items() if at > last - down_time_s)
