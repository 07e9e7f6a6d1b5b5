"""By what resources are found, and how the indexes follow a change. Pure.

An index has, under each key, the ids of the resources of one kind that say so. One whose keys are pairs can be asked
for a half as well: which hosts stand with a network. That costs as much as there are, whatever else there is.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final, TypeAlias

from warren.core.state import OWNER_DHCP
from warren.server import model
from warren.server.model import Resource
from warren.server.persistent import PersistentMap

Found: TypeAlias = PersistentMap[Hashable, frozenset[str]]
Indexes: TypeAlias = Mapping[str, Found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Finds resources of one kind by something that they say."""

    kind: str
    keys: Callable[[Any], Iterable[Hashable]]


BLOCK_BITS: Final = 5
"""Numbers are looked for in blocks of 32, so that full ones are passed over at once."""


def block_of(number: int) -> int:
    return number >> BLOCK_BITS


INDEXES: Final[Mapping[str, Index]] = {
    "network.segment": Index(
        kind="network", keys=lambda n: [(n.network_type.value, n.physical_network, n.segmentation_id)]
    ),
    "network.segment_block": Index(
        kind="network",
        keys=lambda n: [(n.network_type.value, block_of(n.segmentation_id))] if n.segmentation_id else [],
    ),
    "subnet.network": Index(kind="subnet", keys=lambda s: [s.network_id]),
    "port.network": Index(kind="port", keys=lambda p: [p.network_id]),
    "port.host": Index(kind="port", keys=lambda p: [p.host] if p.host else []),
    "port.network_host": Index(kind="port", keys=lambda p: [(p.network_id, p.host)] if p.is_bound else []),
    "port.device": Index(kind="port", keys=lambda p: [p.device_id] if p.device_id else []),
    "port.dhcp": Index(kind="port", keys=lambda p: [p.network_id] if p.device_owner == OWNER_DHCP else []),
    "port.dhcp_host": Index(kind="port", keys=lambda p: [p.host] if p.device_owner == OWNER_DHCP else []),
    "port.group": Index(kind="port", keys=lambda p: p.security_groups),
    "port.group_host": Index(
        kind="port", keys=lambda p: [(group, p.host) for group in p.security_groups] if p.is_bound else []
    ),
    "port.subnet": Index(kind="port", keys=lambda p: {f.subnet_id for f in p.fixed_ips}),
    "port.address": Index(kind="port", keys=lambda p: [(f.subnet_id, f.ip_address) for f in p.fixed_ips]),
    "port.address_block": Index(
        kind="port", keys=lambda p: {(f.subnet_id, block_of(int(IPv4Address(f.ip_address)))) for f in p.fixed_ips}
    ),
    "port.mac": Index(kind="port", keys=lambda p: [(p.network_id, p.mac_address)]),
    "port.failed": Index(kind="port", keys=lambda p: [p.host] if p.vif_type == model.VIF_BINDING_FAILED else []),
    "router.host": Index(kind="router", keys=lambda r: [r.host] if r.host else []),
    "floatingip.router": Index(kind="floatingip", keys=lambda f: [f.router_id] if f.router_id else []),
    "floatingip.port": Index(kind="floatingip", keys=lambda f: [f.port_id] if f.port_id else []),
    "security_group.default": Index(
        kind="security_group", keys=lambda g: [g.project_id] if g.name == "default" else []
    ),
    "security_group_rule.group": Index(kind="security_group_rule", keys=lambda r: [r.security_group_id]),
    "security_group_rule.remote": Index(
        kind="security_group_rule", keys=lambda r: [r.remote_group_id] if r.remote_group_id else []
    ),
    "host.role": Index(kind="host", keys=lambda h: h.roles),
    "host.vtep": Index(kind="host", keys=lambda h: [h.vtep_ip] if h.vtep_ip else []),
    "agent.host": Index(kind="agent", keys=lambda a: [a.host]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Of an index whose keys are pairs: the other halves of the pairs that have a given one."""

    of: str
    half: int
    """Which half is given, 0 or 1."""


PAIRINGS: Final[Mapping[str, Pairing]] = {
    "network.hosts": Pairing(of="port.network_host", half=0),
    "host.networks": Pairing(of="port.network_host", half=1),
    "group.hosts": Pairing(of="port.group_host", half=0),
}

EMPTY: Final[Indexes] = {name: PersistentMap() for name in (*INDEXES, *PAIRINGS)}

_BY_KIND: Final = {
    kind: tuple((name, index.keys) for name, index in INDEXES.items() if index.kind == kind) for kind in model.KINDS
}
_BY_INDEX: Final = {
    index: tuple((name, pairing.half) for name, pairing in PAIRINGS.items() if pairing.of == index) for index in INDEXES
}

_Moves: TypeAlias = Mapping[Hashable, set[str]]
"""What comes or goes, by the key under which it is found."""


def reindexed(
    indexes: Indexes, kind: str, before: Mapping[str, Resource], values: Mapping[str, Resource | None]
) -> Iterator[tuple[str, Found]]:
    """The indexes that may stand otherwise when resources of a kind have new values, or None where they go."""
    for name, keys in _BY_KIND[kind]:
        old, (gone, come) = indexes[name], _moves(keys, before, values)
        yield name, (new := _moved(old, gone, come))
        for pairing, half in _BY_INDEX[name]:
            parted = _halved((pair for pair in gone if pair not in new), half)
            joined = _halved((pair for pair in come if pair not in old), half)
            yield pairing, _moved(indexes[pairing], parted, joined)


def in_open_blocks(index: Found, scope: str, first: int, last: int) -> Iterator[int]:
    """The numbers from `first` to `last`, lowest first, but for those whose (scope, block) is full in the index."""
    for block in range(block_of(first), block_of(last) + 1):
        if len(index.get((scope, block), ())) < 1 << BLOCK_BITS:
            start = block << BLOCK_BITS
            yield from range(max(first, start), min(last, start + (1 << BLOCK_BITS) - 1) + 1)


def _moves(
    keys: Callable[[Any], Iterable[Hashable]], before: Mapping[str, Resource], values: Mapping[str, Resource | None]
) -> tuple[_Moves, _Moves]:
    gone: dict[Hashable, set[str]] = {}
    come: dict[Hashable, set[str]] = {}
    for resource_id, value in values.items():
        old = before.get(resource_id)
        old_keys = set(keys(old)) if old is not None else set()
        new_keys = set(keys(value)) if value is not None else set()
        for key in old_keys - new_keys:
            gone.setdefault(key, set()).add(resource_id)
        for key in new_keys - old_keys:
            come.setdefault(key, set()).add(resource_id)
    return gone, come


def _halved(pairs: Iterable[Any], half: int) -> _Moves:
    found: dict[Hashable, set[str]] = {}
    for pair in pairs:
        found.setdefault(pair[half], set()).add(pair[1 - half])
    return found


def _moved(index: Found, gone: _Moves, come: _Moves) -> Found:
    changed: dict[Hashable, frozenset[str] | None] = {}
    for key in gone.keys() | come.keys():
        found = index.get(key, frozenset())
        found = found - gone[key] if key in gone else found
        changed[key] = (found | come[key] if key in come else found) or None
    return index.with_changes(changed)
