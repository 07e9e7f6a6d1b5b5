"""Which keys of which hosts' states a change may have altered. Pure.

Only a saving, never a meaning: the law that keeps it honest is that the touched keys looked up again, change after
change, add up to what `hostview.host_state` says afresh.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import TypeAlias

from warren.core.ids import GroupId, HostName
from warren.core.state import DEPLOYMENT_KEY
from warren.server import model
from warren.server.hostview import group_keys, host_keys, is_on, neighbour_key, told_port
from warren.server.snapshot import Change, Snapshot

Touched: TypeAlias = dict[HostName, set[str]]


def touched(before: Snapshot, after: Snapshot, change: Change, hosts: Collection[HostName]) -> Touched:
    """For those of `hosts` that the change concerns, the keys that may stand otherwise in `after` than in `before`."""
    found: Touched = {}
    networks: set[str] = set()
    for key in change.values:
        old, new = before.at(key), after.at(key)
        if _seen(old) == _seen(new):
            continue
        networks |= {port.network_id for port in (old, new) if isinstance(port, model.Port)}
        for now, resource in ((before, old), (after, new)):
            if resource is not None:
                for host, keys in _concerned(now, resource, hosts):
                    found.setdefault(host, set()).update(keys)
    for host in found:
        if any(is_on(before, host, network) != is_on(after, host, network) for network in networks):
            # What it shares with whom has changed, and who its neighbours are.
            found[host] |= host_keys(before, host) | host_keys(after, host)
    return found


def _seen(resource: model.Resource | None) -> object:
    """What hosts see of a resource, as far as it is cheap to say: statuses change often and concern nobody."""
    if isinstance(resource, model.Port):
        return told_port(resource), resource.host, resource.is_bound
    if isinstance(resource, model.Router):
        return replace(resource, status="", reason="", reported="", wanted_at=0, updated_at="", revision_number=0)
    if isinstance(resource, model.FloatingIp):
        return resource.router_id, resource.floating_ip_address, resource.fixed_ip_address
    return resource


def _concerned(
    now: Snapshot, resource: model.Resource, hosts: Collection[HostName]
) -> Iterator[tuple[HostName, Iterable[str]]]:
    match resource:
        case model.Network(id=network_id) | model.Subnet(network_id=network_id):
            keys = (f"network/{network_id}", f"dhcp/{network_id}")
            yield from ((host, keys) for host in hosts if is_on(now, host, network_id))
        case model.Port():
            yield from _by_port(now, resource, hosts)
        case model.SecurityGroup(id=group_id) | model.SecurityGroupRule(security_group_id=group_id):
            yield from _by_group(now, group_id, hosts)
        case model.Router(id=router_id, host=host):
            yield host, (f"router/{router_id}",)
        case model.FloatingIp(router_id=router_id):
            router = now.get(model.Router, router_id)
            yield from [(router.host, (f"router/{router.id}",))] if router else []
        case model.Host(id=name):
            yield from ((host, (f"peer/{name}",)) for host in hosts)
        case model.Settings():
            yield from ((host, {DEPLOYMENT_KEY, *(f"peer/{one.id}" for one in now.all(model.Host))}) for host in hosts)


def _by_port(now: Snapshot, port: model.Port, hosts: Collection[HostName]) -> Iterator[tuple[HostName, Iterable[str]]]:
    """Its own host, those on its network (as a neighbour, for DHCP), its router's, those that filter by its groups."""
    keys = {neighbour_key(port), f"dhcp/{port.network_id}", f"peer/{port.host}"}
    yield from ((host, keys) for host in hosts if is_on(now, host, port.network_id))
    if port.host:
        yield port.host, (f"port/{port.id}", f"network/{port.network_id}")
    if router := now.get(model.Router, port.device_id):
        yield router.host, (f"router/{router.id}",)
    for group_id in port.security_groups:
        yield from _by_group(now, group_id, hosts)


def _by_group(
    now: Snapshot, group_id: GroupId, hosts: Collection[HostName]
) -> Iterator[tuple[HostName, Iterable[str]]]:
    """Hosts with a port in the group, or in one whose rules name it."""
    naming = now.find(model.SecurityGroupRule, "security_group_rule.remote", group_id)
    keys = group_keys(now, group_id)
    groups = {group_id, *(rule.security_group_id for rule in naming)}
    yield from ((host, keys) for host in hosts if any(now.ids("port.group_host", (group, host)) for group in groups))
