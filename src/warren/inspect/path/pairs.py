"""Veth pairs between namespaces: ip(8) tells the index of the other end, and of its namespace often only a number."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Final, TypeAlias

from warren.inspect.snapshot.model import Host, Link, Namespace

End: TypeAlias = tuple[Namespace, Link]
_Key: TypeAlias = tuple[str, str]
"""(namespace, interface)."""
_CANDIDATES: Final = 64
"""Ends looked at as the other one; so many with the same two indexes are no host's."""
_Candidates: TypeAlias = Mapping[_Key, frozenset[_Key]]


def veth_pairs(host: Host) -> Mapping[_Key, End]:
    """Each end -> the other, where only one can be it: indexes of different namespaces are often the same."""
    ends = {(ns.name, link.name): (ns, link) for ns in host.namespaces for link in ns.links if link.peer_index}
    by_indexes: dict[tuple[int, int], list[_Key]] = defaultdict(list)
    for key, (_, link) in ends.items():
        by_indexes[link.index, link.peer_index].append(key)
    candidates = {
        key: frozenset(
            other
            for other in by_indexes[link.peer_index, link.index][:_CANDIDATES]
            if other != key and _may_be(ends[key], ends[other]) and _may_be(ends[other], ends[key])
        )
        for key, (_, link) in ends.items()
    }
    paired = _paired(candidates)
    return {key: ends[other] for key, other in paired.items() if _reached(candidates, key) <= paired.keys()}


def _may_be(end: End, other: End) -> bool:
    """Whether what ip(8) says of the namespace of an end's other end lets it be this one."""
    (namespace, link), (there, _) = end, other
    if link.peer_namespace:
        return there.name == link.peer_namespace
    return link.peer_namespace_id is None or there.name != namespace.name


def _paired(candidates: _Candidates) -> Mapping[_Key, _Key]:
    """Ends with one candidate, then those that have one left without these, until none has just one."""
    found: dict[_Key, _Key] = {}
    left = {key: set(others) for key, others in candidates.items()}
    decided = [key for key, others in left.items() if len(others) == 1]
    while decided:
        key = decided.pop()
        if len(left[key]) == 1:
            (other,) = left[key]
            found |= {key: other, other: key}
            touched = (left[key] | left[other]) - {key, other}
            for third in touched:
                left[third] -= {key, other}
            left[key] = left[other] = set()
            decided += touched
    return found


def _reached(candidates: _Candidates, start: _Key) -> set[_Key]:
    """All ends that one choice depends on: where one of them is left over, any of the others may be wrong."""
    reached, waiting = {start}, [start]
    while waiting:
        new = candidates[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached
