"""The database as one host must see it: which keys its state has, and what stands under each. Pure.

`object_at` is the definition, key by key; a host's whole state is that of all its keys. `touch` says which keys a
change may have altered, so that nothing else is looked at again.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from warren.core import state
from warren.core.ids import GroupId, HostName, MacAddress, NetworkId
from warren.core.state import StateObject, TunnelMode
from warren.server import model
from warren.server.indexes import (
    BOUND_PORTS_BY_GROUP_AND_HOST,
    BOUND_PORTS_BY_NETWORK_AND_HOST,
    DHCP_PORTS_BY_NETWORK,
    FLOATING_IPS_BY_ROUTER,
    HOSTS_OF_NETWORK,
    NETWORKS_OF_HOST,
    PORTS_BY_DEVICE,
    PORTS_BY_GROUP,
    PORTS_BY_HOST,
    PORTS_BY_MAC,
    PORTS_BY_NETWORK,
    ROUTERS_BY_HOST,
    RULES_BY_GROUP,
    RULES_BY_REMOTE_GROUP,
    SUBNETS_BY_NETWORK,
)
from warren.server.snapshot import Snapshot, once


def host_state(now: Snapshot, host: HostName) -> dict[str, StateObject]:
    """Every object that the host is told of, by key."""
    objects = {key: object_at(now, host, key) for key in host_keys(now, host)}
    return {key: found for key, found in objects.items() if found is not None}


def host_keys(now: Snapshot, host: HostName) -> set[str]:
    """The keys of the host's state, and perhaps some under which nothing stands."""
    peers = (other.id for other in now.all(model.Host)) if are_all_peers(now) else sharing_with(now, host)
    keys = {state.DEPLOYMENT_KEY, *(f"peer/{other}" for other in peers)}
    for port in now.find(PORTS_BY_HOST, host):
        if port.is_bound:
            keys.add(f"port/{port.id}")
            for group_id in port.security_groups:
                keys |= group_keys(now, group_id)
    for network_id in networks_of(now, host):
        keys |= network_keys(now, network_id)
    keys.update(f"router/{router_id}" for router_id in now.ids(ROUTERS_BY_HOST, host))
    return keys


def network_keys(now: Snapshot, network_id: str) -> set[str]:
    """What a host is told of a network because it has a port there; its own ports are not among it."""
    neighbours = (neighbour_key(port) for port in now.find(PORTS_BY_NETWORK, network_id))
    return {f"network/{network_id}", f"dhcp/{network_id}", *neighbours}


def neighbour_key(port: model.Port) -> str:
    return f"neighbour/{port.network_id}/{port.mac_address}"


def group_keys(now: Snapshot, group_id: GroupId) -> set[str]:
    """The group and those that its rules name."""
    rules = now.find(RULES_BY_GROUP, group_id)
    return {f"group/{group_id}", *(f"group/{rule.remote_group_id}" for rule in rules if rule.remote_group_id)}


def object_at(now: Snapshot, host: HostName, key: str) -> StateObject | None:
    """What the host is told under a key; None if nothing."""
    kind, _, name = key.partition("/")
    return _LOOKUPS[kind](now, host, name)


def networks_of(now: Snapshot, host: HostName) -> frozenset[NetworkId]:
    """The networks that have a port on the host."""
    return now.others(NETWORKS_OF_HOST, host)


def hosts_on(now: Snapshot, network_id: str) -> frozenset[HostName]:
    """The hosts that have a port on the network."""
    return now.others(HOSTS_OF_NETWORK, network_id)


def sharing_with(now: Snapshot, host: HostName) -> set[HostName]:
    """The hosts that have a port on one of the host's networks, itself among them."""
    return {other for network_id in networks_of(now, host) for other in hosts_on(now, network_id)}


def are_all_peers(now: Snapshot) -> bool:
    """Whether a host is told of every other, and not only of those with which it shares a network."""
    return _deployment(now, model.NO_HOST, "").tunnel_mode is not TunnelMode.L2POP


def is_on(now: Snapshot, host: HostName, network_id: str) -> bool:
    """Whether the host has a port on the network."""
    return bool(now.ids(BOUND_PORTS_BY_NETWORK_AND_HOST, (network_id, host)))


def _deployment(now: Snapshot, _host: HostName, _name: str) -> state.Deployment:
    settings = now.get(model.Settings, "deployment")
    return settings.deployment if settings else state.Deployment()


def _network(now: Snapshot, host: HostName, name: str) -> state.Network | None:
    network = now.get(model.Network, name)
    if network is None or not is_on(now, host, name):
        return None
    return state.Network(
        id=network.id,
        network_type=network.network_type,
        mtu=network.mtu,
        name=network.name,
        project_id=network.project_id,
        physical_network=network.physical_network,
        segmentation_id=network.segmentation_id,
        admin_state_up=network.admin_state_up,
        is_external=network.is_external,
        subnets=tuple(_subnet(subnet) for subnet in now.find(SUBNETS_BY_NETWORK, name)),
    )


def _subnet(subnet: model.Subnet) -> state.Subnet:
    return state.Subnet(
        id=subnet.id,
        cidr=subnet.cidr,
        name=subnet.name,
        gateway_ip=subnet.gateway_ip,
        dns_nameservers=subnet.dns_nameservers,
        host_routes=subnet.host_routes,
        enable_dhcp=subnet.enable_dhcp,
    )


def _port(now: Snapshot, host: HostName, name: str) -> state.Port | None:
    port = now.get(model.Port, name)
    return told_port(port) if port and port.is_bound and port.host == host else None


def told_port(port: model.Port) -> state.Port:
    """What a port's own host is told of it."""
    return state.Port(
        id=port.id,
        network_id=port.network_id,
        mac_address=port.mac_address,
        name=port.name,
        project_id=port.project_id,
        fixed_ips=port.fixed_ips,
        device_owner=port.device_owner,
        device_id=port.device_id,
        admin_state_up=port.admin_state_up,
        plug=port.plug,
        port_security_enabled=port.port_security_enabled,
        security_groups=port.security_groups,
        allowed_address_pairs=tuple(
            state.AddressPair(mac_address=MacAddress(pair.mac_address or port.mac_address), ip_address=pair.ip_address)
            for pair in port.allowed_address_pairs
        ),
    )


def _neighbour(now: Snapshot, host: HostName, name: str) -> state.Neighbour | None:
    network_id, _, mac = name.partition("/")
    port = now.find_one(PORTS_BY_MAC, (network_id, mac))
    if port is None or not port.is_bound or port.host == host or not is_on(now, host, network_id):
        return None
    return state.Neighbour(
        network_id=port.network_id,
        mac_address=port.mac_address,
        host=port.host,
        port_id=port.id,
        name=port.name,
        device_owner=port.device_owner,
        ip_addresses=tuple(fixed.ip_address for fixed in port.fixed_ips),
    )


def _peer(now: Snapshot, host: HostName, name: str) -> state.Peer | None:
    other = now.get(model.Host, name)
    if other is None or other.id == host or not other.vtep_ip:
        return None
    shared: tuple[NetworkId, ...] = ()
    if not are_all_peers(now):
        shared = tuple(sorted(networks_of(now, host) & networks_of(now, other.id)))
        if not shared:
            return None
    return state.Peer(host=other.id, vtep_ip=other.vtep_ip, tunnel_types=other.tunnel_types, network_ids=shared)


def _group(now: Snapshot, host: HostName, name: str) -> state.Group | None:
    group = now.get(model.SecurityGroup, name)
    if group is None:
        return None
    is_own = bool(now.ids(BOUND_PORTS_BY_GROUP_AND_HOST, (group.id, host)))
    naming = now.find(RULES_BY_REMOTE_GROUP, group.id)
    is_remote = any(now.ids(BOUND_PORTS_BY_GROUP_AND_HOST, (rule.security_group_id, host)) for rule in naming)
    if not is_own and not is_remote:
        return None
    return state.Group(
        id=group.id,
        name=group.name,
        rules=_rules(now, group.id) if is_own else (),
        members=_members(now, group.id) if is_remote else (),
    )


@once
def _rules(now: Snapshot, group_id: GroupId) -> tuple[state.GroupRule, ...]:
    return tuple(
        state.GroupRule(
            id=rule.id,
            direction=rule.direction,
            ethertype=rule.ethertype,
            protocol=rule.protocol,
            port_range_min=rule.port_range_min,
            port_range_max=rule.port_range_max,
            remote_ip_prefix=rule.remote_ip_prefix,
            remote_group_id=rule.remote_group_id,
        )
        for rule in now.find(RULES_BY_GROUP, group_id)
    )


@once
def _members(now: Snapshot, group_id: GroupId) -> tuple[str, ...]:
    """As the rules, the same for every host; and a change of one port tells every host of its groups."""
    found: set[str] = set()
    for port in now.find(PORTS_BY_GROUP, group_id):
        found.update(fixed.ip_address for fixed in port.fixed_ips)
        found.update(pair.ip_address for pair in port.allowed_address_pairs)
    return tuple(sorted(found))


def _router(now: Snapshot, host: HostName, name: str) -> state.Router | None:
    router = now.get(model.Router, name)
    if router is None or router.host != host:
        return None
    ports = now.find(PORTS_BY_DEVICE, router.id)
    floating_ips = tuple(
        state.FloatingIp(
            id=floating_ip.id,
            floating_ip_address=floating_ip.floating_ip_address,
            fixed_ip_address=floating_ip.fixed_ip_address,
        )
        for floating_ip in now.find(FLOATING_IPS_BY_ROUTER, router.id)
        if floating_ip.fixed_ip_address
    )
    return state.Router(
        id=router.id,
        name=router.name,
        project_id=router.project_id,
        admin_state_up=router.admin_state_up,
        gateway_port_id=router.gateway_port_id,
        enable_snat=router.enable_snat,
        interface_port_ids=tuple(port.id for port in ports if port.device_owner == state.OWNER_ROUTER_INTERFACE),
        floating_ips=floating_ips,
        routes=router.routes,
    )


def _dhcp(now: Snapshot, host: HostName, name: str) -> state.Dhcp | None:
    server = now.find_one(DHCP_PORTS_BY_NETWORK, name)
    if server is None or server.host != host or not server.is_bound:
        return None
    subnets = {subnet.id for subnet in now.find(SUBNETS_BY_NETWORK, name) if subnet.enable_dhcp}
    hosts = tuple(
        state.DhcpHost(
            port_id=port.id,
            mac_address=port.mac_address,
            ip_address=fixed.ip_address,
            subnet_id=fixed.subnet_id,
            hostname=f"host-{fixed.ip_address.replace('.', '-')}",
        )
        for port in now.find(PORTS_BY_NETWORK, server.network_id)
        if port.device_owner not in (state.OWNER_DHCP, state.OWNER_FLOATING_IP)
        for fixed in port.fixed_ips
        if fixed.subnet_id in subnets
    )
    return state.Dhcp(network_id=server.network_id, port_id=server.id, hosts=hosts)


class _Lookup(Protocol):
    def __call__(self, now: Snapshot, host: HostName, name: str, /) -> StateObject | None: ...


_LOOKUPS: Final[Mapping[str, _Lookup]] = {
    "deployment": _deployment,
    "network": _network,
    "port": _port,
    "neighbour": _neighbour,
    "peer": _peer,
    "group": _group,
    "router": _router,
    "dhcp": _dhcp,
}
