"""ipset sets: the addresses of a remote group, as one value per family."""

from collections.abc import Iterable, Iterator
from typing import Final

from warren.core.ids import GroupId
from warren.core.state import Group, HostState
from warren.namespaces.allowed import prefix_of
from warren.namespaces.settings import Key, Kind, Setting

PREFIX: Final = "warren"
FAMILIES: Final = {4: "inet", 6: "inet6"}


def set_name(group_id: GroupId, version: int) -> str:
    """`warren4-<id>`, cut to 31 characters (ipset(8))."""
    return f"{PREFIX}{version}-{group_id[:23]}"


def sets(state: HostState, groups: Iterable[Group]) -> Iterator[tuple[Key, Setting]]:
    """A set per family for each group that some rule names as remote."""
    remote = sorted({rule.remote_group_id for group in groups for rule in group.rules if rule.remote_group_id})
    for group_id in remote:
        group = state.group(group_id)
        if group is None:
            continue
        for version, family in FAMILIES.items():
            value = "\n".join([family, *sorted(_members(group, version))])
            reason = f"addresses of {group.key}"
            yield Key("", Kind.SET, set_name(group_id, version)), Setting(value=value, owner=group.key, reason=reason)


def _members(group: Group, version: int) -> set[str]:
    """Addresses and prefixes in ipset's spelling. It knows no prefix of length 0: two halves stand for it."""
    prefixes = {prefix for each in group.members if (prefix := prefix_of(each))}
    found = set()
    for prefix in prefixes:
        if prefix.version == version:
            halves = prefix.subnets() if prefix.prefixlen == 0 else (prefix,)
            found |= {
                str(each.network_address) if each.prefixlen == each.max_prefixlen else str(each) for each in halves
            }
    return found
