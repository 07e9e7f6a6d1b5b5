"""What br-tun held at one moment, with ports by name, and what changed between two moments. Pure.

A flow is compared by what it does (table, priority, match, actions), never by counters or ages.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from warren.core.errors import Rejected
from warren.inspect.parse.dump import Flow, read_dump
from warren.pipeline.cookies import Concern, decode

FlowKey = tuple[int, int, str, str]
"""Table, priority, match, actions: what a flow does."""
LEARNED_TABLE: Final = 20
_PORT_LINE: Final = re.compile(r"^ +(\d+|LOCAL)\(([^)]+)\): addr:(\S+)", re.MULTILINE)
_PORT_USE: Final = re.compile(r"\b(in_port=|output:)(\d+|LOCAL)\b")
_PORT_STATS: Final = re.compile(r"port +\"?([^\s:\"]+)\"?: rx pkts=(\d+),.*?\n\s+tx pkts=(\d+),", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A flow as the lab compares and shows it; ports are names. What is not compared says how it fared."""

    table: int
    priority: int
    match: str
    actions: str
    cookie: int
    n_packets: int = 0
    remaining_s: float | None = None

    @property
    def key(self) -> FlowKey:
        return self.table, self.priority, self.match, self.actions

    @property
    def is_learned(self) -> bool:
        meaning = decode(self.cookie)
        return meaning is not None and meaning.concern is Concern.LEARNED

    @property
    def text(self) -> str:
        """As one would type it."""
        matched = f"priority={self.priority}" + (f",{self.match}" if self.match else "")
        return f"table={self.table}, {matched} actions={self.actions}"

    @property
    def mac(self) -> str:
        """The MAC address that it matches as destination, if any."""
        found = re.search(r"dl_dst=([0-9a-f:]{17})(?:,|$)", self.match)
        return found[1] if found else ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the ports that it sends to."""
        return tuple(re.findall(r"output:([^,\s)]+)", self.actions))


def port_names(ofctl_show: str) -> dict[str, str]:
    """Port number -> name, from `ovs-ofctl show`."""
    return {number: name for number, name, _ in _PORT_LINE.findall(ofctl_show)}


def port_packets(dump_ports: str, names: Mapping[str, str]) -> dict[str, tuple[int, int]]:
    """Port name -> (received, sent) packets, from `ovs-ofctl dump-ports`, which gives numbers or names."""
    return {
        names.get(port, port): (int(received), int(sent)) for port, received, sent in _PORT_STATS.findall(dump_ports)
    }


def entries(dump_flows: str, names: Mapping[str, str], file: str) -> tuple[Entry, ...]:
    """Every flow of a dump, in the order of table, priority (highest first) and match.

    Raises:
        Rejected: a line could not be read; nothing is guessed.
    """
    dump = read_dump(dump_flows, file)
    if dump.problems:
        raise Rejected(f"a flow of {file} cannot be read: {dump.problems[0]}")
    found = [entry(flow, names) for flow in dump.flows]
    return tuple(sorted(found, key=lambda each: (each.table, -each.priority, each.match)))


def entry(flow: Flow, names: Mapping[str, str]) -> Entry:
    """One flow, with ports by name."""

    def named(found: re.Match[str]) -> str:
        return found[1] + names.get(found[2], found[2])

    return Entry(
        table=int(flow.table),
        priority=flow.priority,
        match=_PORT_USE.sub(named, flow.match_text),
        actions=_PORT_USE.sub(named, flow.actions_text),
        cookie=flow.cookie,
        n_packets=flow.n_packets or 0,
        remaining_s=flow.remaining_s,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Between two moments: flows that came, that went, and of those that stayed, the packets that they counted."""

    added: tuple[Entry, ...]
    removed: tuple[Entry, ...]
    counted: tuple[tuple[Entry, int], ...]

    @property
    def is_only_learning(self) -> bool:
        """Nothing came or went but learned entries."""
        return all(entry.is_learned for entry in (*self.added, *self.removed))


def difference(before: Iterable[Entry], after: Iterable[Entry]) -> Difference:
    """What changed. A learned entry that was learned anew in between counts as having stayed."""
    old = {entry.key: entry for entry in before}
    new = {entry.key: entry for entry in after}
    return Difference(
        added=tuple(entry for key, entry in new.items() if key not in old),
        removed=tuple(entry for key, entry in old.items() if key not in new),
        counted=tuple(_counted(old, new)),
    )


def _counted(old: Mapping[FlowKey, Entry], new: Mapping[FlowKey, Entry]) -> Iterator[tuple[Entry, int]]:
    for key, entry in new.items():
        before = old[key].n_packets if key in old else 0
        # An entry that expired and was learned again counts from zero.
        counted = entry.n_packets - before if entry.n_packets >= before else entry.n_packets
        if counted:
            yield entry, counted
