"""The database as one host must see it, and which hosts a change concerns. Pure.

`host_state` is the definition. `touched` only says whose state may have changed, so that nobody else's is computed;
the law that keeps it honest: for every host, deltas computed for touched hosts only add up to a fresh `host_state`.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

from warren.core import state
from warren.core.ids import GroupId, HostName, MacAddress, NetworkId
from warren.core.state import StateObject, TunnelMode
from warren.server import model
from warren.server.snapshot import Change, Snapshot


def host_state(now: Snapshot, host: HostName) -> dict[str, StateObject]:
    """Every object that the host is told of, by key."""
    ports = [port for port in now.find(model.Port, "port.host", host) if port.is_bound]
    deployment = deployment_of(now)
    networks = sorted({port.network_id for port in ports})
    objects: list[StateObject] = [deployment]
    objects += (_network(now, network_id) for network_id in networks)
    objects += (_port(port) for port in ports)
    objects += _neighbours(now, host, networks)
    objects += _peers(now, host, networks, deployment.tunnel_mode)
    objects += _groups(now, ports)
    objects += (_router(now, router) for router in now.find(model.Router, "router.host", host))
    objects += (_dhcp(now, port) for port in ports if port.device_owner == state.OWNER_DHCP)
    return {obj.key: obj for obj in objects}


def deployment_of(now: Snapshot) -> state.Deployment:
    settings = now.get(model.Settings, "deployment")
    return settings.deployment if settings else state.Deployment()


def _subnets(now: Snapshot, network_id: str) -> list[model.Subnet]:
    return now.find(model.Subnet, "subnet.network", network_id)


def _network(now: Snapshot, network_id: NetworkId) -> state.Network:
    network = now.of(model.Network, network_id)
    subnets = tuple(
        state.Subnet(
            id=subnet.id,
            cidr=subnet.cidr,
            name=subnet.name,
            gateway_ip=subnet.gateway_ip,
            dns_nameservers=subnet.dns_nameservers,
            host_routes=subnet.host_routes,
            enable_dhcp=subnet.enable_dhcp,
        )
        for subnet in _subnets(now, network_id)
    )
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
        subnets=subnets,
    )


def _port(port: model.Port) -> state.Port:
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


def _neighbours(now: Snapshot, host: HostName, networks: Iterable[NetworkId]) -> Iterator[state.Neighbour]:
    for network_id in networks:
        for port in now.find(model.Port, "port.network", network_id):
            if port.is_bound and port.host != host:
                yield state.Neighbour(
                    network_id=network_id,
                    mac_address=port.mac_address,
                    host=port.host,
                    port_id=port.id,
                    name=port.name,
                    device_owner=port.device_owner,
                    ip_addresses=tuple(fixed.ip_address for fixed in port.fixed_ips),
                )


def _peers(now: Snapshot, host: HostName, networks: list[NetworkId], mode: TunnelMode) -> Iterator[state.Peer]:
    for other in now.all(model.Host):
        if other.id == host or not other.vtep_ip:
            continue
        shared: tuple[NetworkId, ...] = ()
        if mode is TunnelMode.L2POP:
            shared = tuple(network for network in networks if now.ids("port.network_host", (network, other.id)))
            if not shared:
                continue
        yield state.Peer(host=other.id, vtep_ip=other.vtep_ip, tunnel_types=other.tunnel_types, network_ids=shared)


def _groups(now: Snapshot, ports: Iterable[model.Port]) -> Iterator[state.Group]:
    own = {group_id for port in ports for group_id in port.security_groups}
    rules = {group_id: _rules(now, group_id) for group_id in own}
    remote = {rule.remote_group_id for found in rules.values() for rule in found if rule.remote_group_id}
    for group_id in sorted(own | remote):
        group = now.of(model.SecurityGroup, group_id)
        yield state.Group(
            id=group.id,
            name=group.name,
            rules=rules.get(group_id, ()),
            members=_members(now, group_id) if group_id in remote else (),
        )


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
        for rule in now.find(model.SecurityGroupRule, "security_group_rule.group", group_id)
    )


def _members(now: Snapshot, group_id: GroupId) -> tuple[str, ...]:
    found: set[str] = set()
    for port in now.find(model.Port, "port.group", group_id):
        found.update(fixed.ip_address for fixed in port.fixed_ips)
        found.update(pair.ip_address for pair in port.allowed_address_pairs)
    return tuple(sorted(found))


def _router(now: Snapshot, router: model.Router) -> state.Router:
    ports = now.find(model.Port, "port.device", router.id)
    floating_ips = tuple(
        state.FloatingIp(
            id=floating_ip.id,
            floating_ip_address=floating_ip.floating_ip_address,
            fixed_ip_address=floating_ip.fixed_ip_address,
        )
        for floating_ip in now.find(model.FloatingIp, "floatingip.router", router.id)
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


def _dhcp(now: Snapshot, server: model.Port) -> state.Dhcp:
    subnets = {subnet.id for subnet in _subnets(now, server.network_id) if subnet.enable_dhcp}
    hosts = tuple(
        state.DhcpHost(
            port_id=port.id,
            mac_address=port.mac_address,
            ip_address=fixed.ip_address,
            subnet_id=fixed.subnet_id,
            hostname=f"host-{fixed.ip_address.replace('.', '-')}",
        )
        for port in now.find(model.Port, "port.network", server.network_id)
        if port.device_owner not in (state.OWNER_DHCP, state.OWNER_FLOATING_IP)
        for fixed in port.fixed_ips
        if fixed.subnet_id in subnets
    )
    return state.Dhcp(network_id=server.network_id, port_id=server.id, hosts=hosts)


def touched(before: Snapshot, after: Snapshot, change: Change, hosts: Collection[HostName]) -> frozenset[HostName]:
    """Those of `hosts` whose state may differ between the two snapshots that the change lies between."""
    found: set[HostName] = set()
    for key in change.values:
        if _seen(before.at(key)) == _seen(after.at(key)):
            continue
        for now in (before, after):
            if resource := now.at(key):
                found.update(_concerned(now, resource, hosts))
    return frozenset(found)


def _seen(resource: model.Resource | None) -> object:
    """What hosts see of a resource, as far as it is cheap to say: statuses change often and concern nobody."""
    if isinstance(resource, model.Port):
        return _port(resource), resource.host, resource.is_bound
    if isinstance(resource, model.Router):
        return replace(resource, status="", reason="", reported="", wanted_at=0, updated_at="", revision_number=0)
    if isinstance(resource, model.FloatingIp):
        return resource.router_id, resource.floating_ip_address, resource.fixed_ip_address
    return resource


def _concerned(now: Snapshot, resource: model.Resource, hosts: Collection[HostName]) -> Iterable[HostName]:
    found: Iterable[HostName] = ()
    match resource:
        case model.Network(id=network_id) | model.Subnet(network_id=network_id):
            found = _on_network(now, network_id, hosts)
        case model.Port():
            found = {resource.host, *_on_network(now, resource.network_id, hosts)}
            found = found.union(*(_with_group(now, group_id, hosts) for group_id in resource.security_groups))
        case model.SecurityGroup(id=group_id) | model.SecurityGroupRule(security_group_id=group_id):
            found = _with_group(now, group_id, hosts)
        case model.Router(host=host):
            found = [host]
        case model.FloatingIp(router_id=router_id):
            router = now.get(model.Router, router_id)
            found = [router.host] if router else []
        case model.Host() | model.Settings():
            found = hosts
    return found


def _on_network(now: Snapshot, network_id: str, hosts: Collection[HostName]) -> list[HostName]:
    return [host for host in hosts if now.ids("port.network_host", (network_id, host))]


def _with_group(now: Snapshot, group_id: GroupId, hosts: Collection[HostName]) -> list[HostName]:
    """Those with a port in the group, or in one whose rules name it."""
    naming = now.find(model.SecurityGroupRule, "security_group_rule.remote", group_id)
    groups = {group_id, *(rule.security_group_id for rule in naming)}
    return [host for host in hosts if any(now.ids("port.group_host", (group, host)) for group in groups)]
