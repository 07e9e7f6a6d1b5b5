"""By what resources are found, and how the indexes follow a change. Pure.

An index has, under each key, the ids of the resources of one kind that say so. One whose keys are pairs can be asked
for a half as well: which hosts stand with a network. That costs as much as there are, whatever else there is.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any, Final, Generic, TypeAlias, TypeVar

from warren.core.ids import HostName, NetworkId
from warren.core.state import OWNER_DHCP
from warren.server import model
from warren.server.model import Resource, T
from warren.server.persistent import PersistentMap

Half = TypeVar("Half", bound=str)


@dataclass(frozen=True, slots=True, eq=False)
class Index(Generic[T]):
    """Finds resources of one class by something that they say."""

    cls: type[T]
    keys: Callable[[T], Iterable[Hashable]]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pairing(Generic[Half]):
    """Of an index whose keys are pairs: the other halves of the pairs that have a given one."""

    of: Index[Any]
    half: int
    """Which half is given, 0 or 1."""


Found: TypeAlias = PersistentMap[Hashable, frozenset[Any]]
"""Key -> ids of resources, or halves of pairs."""
Indexes: TypeAlias = Mapping[Index[Any] | Pairing[Any], Found]

BLOCK_BITS: Final = 5
"""Numbers are looked for in blocks of 32, so that full ones are passed over at once."""


def block_of(number: int) -> int:
    return number >> BLOCK_BITS


NETWORKS_BY_SEGMENT: Final = Index(
    model.Network, lambda n: [(n.network_type.value, n.physical_network, n.segmentation_id)]
)
NETWORKS_BY_SEGMENT_BLOCK: Final = Index(
    model.Network, lambda n: [(n.network_type.value, block_of(n.segmentation_id))] if n.segmentation_id else []
)
SUBNETS_BY_NETWORK: Final = Index(model.Subnet, lambda s: [s.network_id])
PORTS_BY_NETWORK: Final = Index(model.Port, lambda p: [p.network_id])
PORTS_BY_HOST: Final = Index(model.Port, lambda p: [p.host] if p.host else [])
PORTS_BY_DEVICE: Final = Index(model.Port, lambda p: [p.device_id] if p.device_id else [])
PORTS_BY_GROUP: Final = Index(model.Port, lambda p: p.security_groups)
PORTS_BY_SUBNET: Final = Index(model.Port, lambda p: {f.subnet_id for f in p.fixed_ips})
PORTS_BY_ADDRESS: Final = Index(model.Port, lambda p: [(f.subnet_id, f.ip_address) for f in p.fixed_ips])
PORTS_BY_ADDRESS_BLOCK: Final = Index(
    model.Port, lambda p: {(f.subnet_id, block_of(int(IPv4Address(f.ip_address)))) for f in p.fixed_ips}
)
PORTS_BY_MAC: Final = Index(model.Port, lambda p: [(p.network_id, p.mac_address)])
BOUND_PORTS_BY_NETWORK_AND_HOST: Final = Index(model.Port, lambda p: [(p.network_id, p.host)] if p.is_bound else [])
BOUND_PORTS_BY_GROUP_AND_HOST: Final = Index(
    model.Port, lambda p: [(group, p.host) for group in p.security_groups] if p.is_bound else []
)
FAILED_PORTS_BY_HOST: Final = Index(model.Port, lambda p: [p.host] if p.vif_type == model.VIF_BINDING_FAILED else [])
DHCP_PORTS_BY_NETWORK: Final = Index(model.Port, lambda p: [p.network_id] if p.device_owner == OWNER_DHCP else [])
DHCP_PORTS_BY_HOST: Final = Index(model.Port, lambda p: [p.host] if p.device_owner == OWNER_DHCP else [])
ROUTERS_BY_HOST: Final = Index(model.Router, lambda r: [r.host] if r.host else [])
FLOATING_IPS_BY_ROUTER: Final = Index(model.FloatingIp, lambda f: [f.router_id] if f.router_id else [])
FLOATING_IPS_BY_PORT: Final = Index(model.FloatingIp, lambda f: [f.port_id] if f.port_id else [])
DEFAULT_GROUPS_BY_PROJECT: Final = Index(model.SecurityGroup, lambda g: [g.project_id] if g.name == "default" else [])
RULES_BY_GROUP: Final = Index(model.SecurityGroupRule, lambda r: [r.security_group_id])
RULES_BY_REMOTE_GROUP: Final = Index(
    model.SecurityGroupRule, lambda r: [r.remote_group_id] if r.remote_group_id else []
)
HOSTS_BY_ROLE: Final = Index(model.Host, lambda h: h.roles)
HOSTS_BY_VTEP: Final = Index(model.Host, lambda h: [h.vtep_ip] if h.vtep_ip else [])
AGENTS_BY_HOST: Final = Index(model.Agent, lambda a: [a.host])

HOSTS_OF_NETWORK: Final[Pairing[HostName]] = Pairing(of=BOUND_PORTS_BY_NETWORK_AND_HOST, half=0)
NETWORKS_OF_HOST: Final[Pairing[NetworkId]] = Pairing(of=BOUND_PORTS_BY_NETWORK_AND_HOST, half=1)
HOSTS_OF_GROUP: Final[Pairing[HostName]] = Pairing(of=BOUND_PORTS_BY_GROUP_AND_HOST, half=0)

INDEXES: Final[tuple[Index[Any], ...]] = tuple(one for one in tuple(globals().values()) if isinstance(one, Index))
PAIRINGS: Final[tuple[Pairing[Any], ...]] = tuple(one for one in tuple(globals().values()) if isinstance(one, Pairing))
"""All that are declared above, so that none can be forgotten."""

EMPTY: Final[Indexes] = dict.fromkeys((*INDEXES, *PAIRINGS), PersistentMap())

_BY_KIND: Final = {kind: tuple(one for one in INDEXES if one.cls is cls) for kind, cls in model.KINDS.items()}
_BY_INDEX: Final = {one: tuple(pairing for pairing in PAIRINGS if pairing.of is one) for one in INDEXES}

_Moves: TypeAlias = Mapping[Hashable, set[str]]
"""What comes or goes, by the key under which it is found."""


def reindexed(
    indexes: Indexes, kind: str, before: Mapping[str, Resource], values: Mapping[str, Resource | None]
) -> Iterator[tuple[Index[Any] | Pairing[Any], Found]]:
    """The indexes that may stand otherwise when resources of a kind have new values, or None where they go."""
    for index in _BY_KIND[kind]:
        old, (gone, come) = indexes[index], _moves(index.keys, before, values)
        yield index, (new := _moved(old, gone, come))
        for pairing in _BY_INDEX[index]:
            parted = _halved((pair for pair in gone if pair not in new), pairing.half)
            joined = _halved((pair for pair in come if pair not in old), pairing.half)
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
