"""The database as one frozen value, with the indexes that rules and host views ask, and what a rule answers: a Change.

A snapshot is never changed; `after(change)` gives the next one. Knows no SQL and no clock. Pure.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from typing import Any, Final, TypeVar

from warren.server import model
from warren.server.model import Key, Resource, key_of
from warren.server.persistent import PersistentMap

T = TypeVar(
    "T",
    model.Network,
    model.Subnet,
    model.Port,
    model.Router,
    model.FloatingIp,
    model.SecurityGroup,
    model.SecurityGroupRule,
    model.Host,
    model.Agent,
    model.Settings,
)


@dataclass(frozen=True, slots=True)
class Change:
    """What a rule wants stored: each key with its new value, or None where the resource is to go. Later wins."""

    values: Mapping[Key, Resource | None] = field(default_factory=dict)

    @classmethod
    def put(cls, *resources: Resource) -> "Change":
        return cls({key_of(resource): resource for resource in resources})

    @classmethod
    def delete(cls, *resources: Resource) -> "Change":
        return cls({key_of(resource): None for resource in resources})

    def then(self, *others: "Change") -> "Change":
        values = dict(self.values)
        for other in others:
            values.update(other.values)
        return Change(values)

    def __bool__(self) -> bool:
        return bool(self.values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """Finds resources of one kind by something that they say."""

    kind: str
    keys: Callable[[Any], Iterable[Hashable]]


BLOCK_BITS: Final = 5
"""Addresses are looked for in blocks of 32, so that full ones are passed over at once."""


def address_block(number: int) -> int:
    return number >> BLOCK_BITS


INDEXES: Final[Mapping[str, Index]] = {
    "network.segment": Index(
        kind="network", keys=lambda n: [(n.network_type.value, n.physical_network, n.segmentation_id)]
    ),
    "subnet.network": Index(kind="subnet", keys=lambda s: [s.network_id]),
    "port.network": Index(kind="port", keys=lambda p: [p.network_id]),
    "port.host": Index(kind="port", keys=lambda p: [p.host] if p.host else []),
    "port.network_host": Index(kind="port", keys=lambda p: [(p.network_id, p.host)] if p.is_bound else []),
    "port.device": Index(kind="port", keys=lambda p: [p.device_id] if p.device_id else []),
    "port.dhcp": Index(kind="port", keys=lambda p: [p.network_id] if p.device_owner == "network:dhcp" else []),
    "port.dhcp_host": Index(kind="port", keys=lambda p: [p.host] if p.device_owner == "network:dhcp" else []),
    "port.group": Index(kind="port", keys=lambda p: p.security_groups),
    "port.group_host": Index(
        kind="port", keys=lambda p: [(group, p.host) for group in p.security_groups] if p.is_bound else []
    ),
    "port.subnet": Index(kind="port", keys=lambda p: {f.subnet_id for f in p.fixed_ips}),
    "port.address": Index(kind="port", keys=lambda p: [(f.subnet_id, f.ip_address) for f in p.fixed_ips]),
    "port.address_block": Index(
        kind="port", keys=lambda p: {(f.subnet_id, address_block(int(IPv4Address(f.ip_address)))) for f in p.fixed_ips}
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
    "host.vtep": Index(kind="host", keys=lambda h: [h.vtep_ip] if h.vtep_ip else []),
    "agent.host": Index(kind="agent", keys=lambda a: [a.host]),
}

_BY_KIND: Final = {
    kind: tuple((name, index.keys) for name, index in INDEXES.items() if index.kind == kind) for kind in model.KINDS
}

_Found = PersistentMap[Hashable, frozenset[str]]


class Snapshot:
    """Every stored resource as of one revision."""

    __slots__ = ("_indexes", "_resources", "revision")

    def __init__(
        self,
        revision: int = 0,
        resources: Mapping[str, PersistentMap[str, Resource]] | None = None,
        indexes: Mapping[str, _Found] | None = None,
    ) -> None:
        self.revision = revision
        self._resources: Mapping[str, PersistentMap[str, Resource]] = resources or {
            kind: PersistentMap() for kind in model.KINDS
        }
        self._indexes: Mapping[str, _Found] = indexes or {name: PersistentMap() for name in INDEXES}

    def get(self, cls: type[T], resource_id: str | None) -> T | None:
        found = self._resources[cls.kind].get(resource_id or "")
        return found if isinstance(found, cls) else None

    def of(self, cls: type[T], resource_id: str) -> T:
        """The resource that another one names; it is there.

        Raises:
            KeyError: it is not, which is a broken invariant.
        """
        found = self._resources[cls.kind][resource_id]
        assert isinstance(found, cls)
        return found

    def all(self, cls: type[T]) -> Iterator[T]:
        return iter(self._resources[cls.kind].values())  # type: ignore[arg-type]

    def size(self, cls: type[T]) -> int:
        return len(self._resources[cls.kind])

    def index(self, name: str) -> Mapping[Hashable, frozenset[str]]:
        return self._indexes[name]

    def ids(self, index: str, key: Hashable) -> frozenset[str]:
        return self._indexes[index].get(key, frozenset())

    def find(self, cls: type[T], index: str, key: Hashable) -> list[T]:
        """Every resource of `cls` that the index has under `key`, in the order of their ids."""
        resources = self._resources[cls.kind]
        return [resources[resource_id] for resource_id in sorted(self.ids(index, key))]  # type: ignore[misc]

    def find_one(self, cls: type[T], index: str, key: Hashable) -> T | None:
        return next(iter(self.find(cls, index, key)), None)

    def at(self, key: Key) -> Resource | None:
        return self._resources[key.kind].get(key.id)

    def all_keys(self) -> set[Key]:
        return {Key(kind, resource_id) for kind, resources in self._resources.items() for resource_id in resources}

    def effective(self, change: Change) -> Change:
        """The part of a change that changes something."""
        return Change({key: value for key, value in change.values.items() if self.at(key) != value})

    def after(self, change: Change, revision: int | None = None) -> "Snapshot":
        """The snapshot with a change. Without a revision it keeps this one's: a rule in the midst of its work."""
        if not change:
            return self if revision is None else Snapshot(revision, self._resources, self._indexes)
        resources = dict(self._resources)
        indexes = dict(self._indexes)
        by_kind: dict[str, dict[str, Resource | None]] = {}
        for key, value in change.values.items():
            by_kind.setdefault(key.kind, {})[key.id] = value
        for kind, values in by_kind.items():
            for name, keys in _BY_KIND[kind]:
                indexes[name] = _reindexed(indexes[name], keys, resources[kind], values)
            resources[kind] = resources[kind].with_changes(values)
        return Snapshot(self.revision if revision is None else revision, resources, indexes)


def _reindexed(
    index: _Found,
    keys: Callable[[Any], Iterable[Hashable]],
    before: Mapping[str, Resource],
    values: Mapping[str, Resource | None],
) -> _Found:
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
    changed: dict[Hashable, frozenset[str] | None] = {}
    for key in gone.keys() | come.keys():
        found = index.get(key, frozenset())
        found = found - gone[key] if key in gone else found
        changed[key] = (found | come[key] if key in come else found) or None
    return index.with_changes(changed)
