"""Which keys of which hosts' states a change may have altered. Pure.

Only a saving, never a meaning: the law that keeps it honest is that the touched keys looked up again, change after
change, add up to what `hostview.host_state` says afresh.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

from warren.core.ids import GroupId, HostName, NetworkId
from warren.core.state import DEPLOYMENT_KEY
from warren.server import model
from warren.server.hostview import (
    are_all_peers,
    group_keys,
    hosts_on,
    is_on,
    neighbour_key,
    network_keys,
    sharing_with,
    told_port,
)
from warren.server.indexes import DHCP_PORTS_BY_NETWORK, HOSTS_OF_GROUP, RULES_BY_REMOTE_GROUP
from warren.server.snapshot import Change, Snapshot

Touched: TypeAlias = dict[HostName, set[str]]
Concerned: TypeAlias = Iterator[tuple[HostName, Iterable[str]]]
"""Hosts, and the keys that concern them; a host may come several times."""


def touched(before: Snapshot, after: Snapshot, change: Change, hosts: Collection[HostName]) -> Touched:
    """For the hosts that the change concerns, the keys that may stand otherwise in `after` than in `before`.

    `hosts` are all that want to know, for what concerns everybody; others may be in the answer.
    """
    found: Touched = {}
    places: set[tuple[HostName, NetworkId]] = set()
    for key in change.values:
        old, new = before.at(key), after.at(key)
        if _seen(old) == _seen(new):
            continue
        places |= {(port.host, port.network_id) for port in (old, new) if isinstance(port, model.Port)}
        for now, resource in ((before, old), (after, new)):
            if resource is not None:
                _add(found, _concerned(now, resource, hosts))
    for host, network_id in places:
        if is_on(before, host, network_id) != is_on(after, host, network_id):
            _add(found, _by_presence(before, host, network_id))
            _add(found, _by_presence(after, host, network_id))
    return found


def _add(found: Touched, concerned: Concerned) -> None:
    for host, keys in concerned:
        found.setdefault(host, set()).update(keys)


def _seen(resource: model.Resource | None) -> object:
    """What hosts see of a resource, as far as it is cheap to say: statuses change often and concern nobody."""
    if isinstance(resource, model.Port):
        return told_port(resource), resource.host, resource.is_bound
    if isinstance(resource, model.Router):
        return replace(resource, status="", reason="", reported="", wanted_at=0, updated_at="", revision_number=0)
    if isinstance(resource, model.FloatingIp):
        return resource.router_id, resource.floating_ip_address, resource.fixed_ip_address
    if isinstance(resource, model.Host):
        return resource.vtep_ip, resource.tunnel_types
    return resource


def _concerned(now: Snapshot, resource: model.Resource, hosts: Collection[HostName]) -> Concerned:
    match resource:
        case model.Network(id=network_id) | model.Subnet(network_id=network_id):
            yield from ((host, (f"network/{network_id}",)) for host in hosts_on(now, network_id))
            yield from _by_dhcp(now, network_id)
        case model.Port():
            yield from _by_port(now, resource)
        case model.SecurityGroup(id=group_id) | model.SecurityGroupRule(security_group_id=group_id):
            yield from _by_group(now, group_id)
        case model.Router(id=router_id, host=host):
            yield host, (f"router/{router_id}",)
        case model.FloatingIp(router_id=router_id):
            router = now.get(model.Router, router_id)
            yield from [(router.host, (f"router/{router.id}",))] if router else []
        case model.Host(id=name):
            told = hosts if are_all_peers(now) else sharing_with(now, name)
            yield from ((host, (f"peer/{name}",)) for host in told)
        case model.Settings():
            keys = {DEPLOYMENT_KEY, *(f"peer/{one.id}" for one in now.all(model.Host))}
            yield from ((host, keys) for host in hosts)


def _by_port(now: Snapshot, port: model.Port) -> Concerned:
    """Its own host, those on its network (as a neighbour, for DHCP), its router's, those that filter by its groups."""
    key = neighbour_key(port)
    yield from ((host, (key,)) for host in hosts_on(now, port.network_id))
    yield from _by_dhcp(now, port.network_id)
    if port.host:
        yield port.host, (f"port/{port.id}",)
    if router := now.get(model.Router, port.device_id):
        yield router.host, (f"router/{router.id}",)
    for group_id in port.security_groups:
        yield from _by_group(now, group_id)


def _by_dhcp(now: Snapshot, network_id: NetworkId) -> Concerned:
    """The host of the network's DHCP server."""
    yield from ((port.host, (f"dhcp/{network_id}",)) for port in now.find(DHCP_PORTS_BY_NETWORK, network_id))


def _by_presence(now: Snapshot, host: HostName, network_id: NetworkId) -> Concerned:
    """A host that comes to a network or leaves it: what it is told of the network, and who are its peers there."""
    there = hosts_on(now, network_id)
    yield host, network_keys(now, network_id)
    yield host, (f"peer/{other}" for other in there)
    yield from ((other, (f"peer/{host}",)) for other in there)


def _by_group(now: Snapshot, group_id: GroupId) -> Concerned:
    """Hosts with a port in the group, or in one whose rules name it."""
    naming = now.find(RULES_BY_REMOTE_GROUP, group_id)
    keys = group_keys(now, group_id)
    groups = {group_id, *(rule.security_group_id for rule in naming)}
    yield from ((host, keys) for host in set().union(*(now.others(HOSTS_OF_GROUP, group) for group in groups)))
