"""`ovs-ofctl dump-groups` text -> groups with their buckets."""

import re
from dataclasses import dataclass
from typing import Final

from warren.inspect.parse.actions import Action
from warren.inspect.parse.problem import Problem, Unreadable
from warren.inspect.parse.read_actions import NO_NAMES, Names, read_actions
from warren.inspect.parse.text import printable, without_colour

_GROUP: Final = re.compile(r"\s*group_id=([0-9]{1,10}),type=(all|select|indirect|ff|fast_failover)\b(.*)")
_BUCKET: Final = re.compile(r",bucket=")
_HEADING: Final = re.compile(r"\s*(?:#.*|(?:NXST|OFPST)_GROUP\w* reply.*)?$")
_ACTIONS: Final = re.compile(r"actions=")
_WATCH: Final = re.compile(r"watch_port:([^,]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """One way of a group. `watch_port` is the port whose liveness decides, as written."""

    actions: tuple[Action, ...]
    watch_port: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group; `type` is `all`, `select`, `indirect` or `ff`."""

    id: int
    type: str
    buckets: tuple[Bucket, ...]


def read_groups(text: str, file: str = "-", names: Names = NO_NAMES) -> tuple[tuple[Group, ...], tuple[Problem, ...]]:
    """Every group of a text, and what in it could not be read."""
    groups: list[Group] = []
    problems: list[Problem] = []
    for number, raw in enumerate(text.split("\n"), 1):
        line = without_colour(raw).rstrip()
        if _HEADING.match(line):
            continue
        try:
            groups.append(_group(line, names))
        except Unreadable as error:
            problems.append(Problem(file=file, line=number, column=error.offset + 1, message=error.message))
    return tuple(groups), tuple(problems)


def _group(line: str, names: Names) -> Group:
    found = _GROUP.match(line)
    if found is None or not line.isprintable():
        raise Unreadable(f"this is no group: {printable(line.strip(), 60)}")
    kind = "ff" if found[2] == "fast_failover" else found[2]
    return Group(
        id=int(found[1]), type=kind, buckets=tuple(_bucket(part, names) for part in _BUCKET.split(found[3])[1:])
    )


def _bucket(text: str, names: Names) -> Bucket:
    """`weight:10,watch_port:1,actions=output:1`; before Open vSwitch 2.4 the actions stand without `actions=`."""
    watch = _WATCH.search(text.partition("actions=")[0])
    start = _ACTIONS.search(text)
    actions = text[start.end() :] if start else text
    return Bucket(actions=read_actions(actions, names), watch_port=watch[1] if watch else "")
