"""Subnets, and the DHCP server that a network with a DHCP-enabled subnet has. Pure."""

from ipaddress import IPv4Address, IPv4Network

from warren.core.errors import Conflict, Invalid
from warren.core.ids import PortId, SubnetId
from warren.core.state import OWNER_DHCP, OWNER_ROUTER_INTERFACE, FixedIp
from warren.server import ipam, model
from warren.server.attributes.attribute import UNSET, Asked
from warren.server.context import Context, new_id
from warren.server.indexes import DHCP_PORTS_BY_NETWORK, PORTS_BY_ADDRESS, PORTS_BY_SUBNET, SUBNETS_BY_NETWORK
from warren.server.model import Pool
from warren.server.placement import place_dhcp
from warren.server.rules.found import named, owned, project_of
from warren.server.snapshot import Change, Snapshot


def create(now: Snapshot, context: Context, asked: Asked) -> tuple[SubnetId, Change]:
    """A new subnet; with DHCP, its network has a DHCP server from then on.

    Raises:
        NotFound: its network is not there for the caller.
        Invalid: prefix, gateway or pools do not fit each other or the network's other subnets.
    """
    network = owned(now, model.Network, asked["network_id"], context)
    _check_cidr(now, network, asked["cidr"])
    gateway_ip = ipam.default_gateway(asked["cidr"]) if asked["gateway_ip"] is UNSET else asked["gateway_ip"]
    pools = asked["allocation_pools"]
    subnet = model.Subnet(
        id=SubnetId(new_id()),
        project_id=network.project_id if asked["project_id"] is UNSET else project_of(asked, context),
        network_id=network.id,
        cidr=asked["cidr"],
        name=asked["name"],
        description=asked["description"],
        gateway_ip=gateway_ip,
        allocation_pools=ipam.default_pools(asked["cidr"], gateway_ip) if pools is UNSET else pools,
        dns_nameservers=asked["dns_nameservers"],
        host_routes=asked["host_routes"],
        enable_dhcp=asked["enable_dhcp"],
        created_at=context.at,
        updated_at=context.at,
    )
    _check(subnet)
    change = Change.put(subnet)
    return subnet.id, change.then(with_dhcp_server(now.after(change), context, network.id))


def update(now: Snapshot, context: Context, subnet_id: str, asked: Asked) -> Change:
    """Change a subnet.

    Raises:
        Invalid: gateway or pools do not fit.
        Conflict: the gateway is a router's address and is to change.
    """
    subnet = owned(now, model.Subnet, subnet_id, context)
    changed = model.revised(subnet, context.at, **asked)
    _check(changed)
    if changed.gateway_ip != subnet.gateway_ip:
        _require_unused_gateway(now, subnet)
    change = Change.put(changed)
    return change.then(with_dhcp_server(now.after(change), context, subnet.network_id))


def delete(now: Snapshot, context: Context, subnet_id: str) -> Change:
    """Delete a subnet that nobody but the DHCP server has an address in.

    Raises:
        Conflict: somebody has.
    """
    subnet = owned(now, model.Subnet, subnet_id, context)
    ports = now.find(PORTS_BY_SUBNET, subnet.id)
    if holders := [port for port in ports if port.device_owner != OWNER_DHCP]:
        raise Conflict(
            "SubnetInUse",
            f"Unable to complete operation on subnet {subnet.id}: One or more ports have an IP allocation from this "
            f"subnet{named(now, context, holders)}.",
        )
    change = Change.delete(subnet)
    return change.then(with_dhcp_server(now.after(change), context, subnet.network_id))


def with_dhcp_server(now: Snapshot, context: Context, network_id: str) -> Change:
    """The network's DHCP port with an address on each DHCP-enabled subnet; gone when there is none."""
    subnets = [subnet for subnet in now.find(SUBNETS_BY_NETWORK, network_id) if subnet.enable_dhcp]
    port = now.find_one(DHCP_PORTS_BY_NETWORK, network_id)
    if not subnets:
        return Change.delete(port) if port else Change()
    if port is None:
        port = _new_dhcp_port(now, context, now.of(model.Network, network_id))
    held = {fixed.subnet_id: fixed for fixed in port.fixed_ips}
    fixed_ips = tuple(held.get(subnet.id) or _dhcp_address(now, subnet) for subnet in subnets)
    port = model.revised(port, context.at, fixed_ips=fixed_ips)
    change = Change.put(port)
    return change.then(place_dhcp(now.after(change), context, port))


def _new_dhcp_port(now: Snapshot, context: Context, network: model.Network) -> model.Port:
    return model.Port(
        id=PortId(new_id()),
        project_id=network.project_id,
        network_id=network.id,
        mac_address=ipam.free_mac(now, network.id),
        device_owner=OWNER_DHCP,
        device_id=f"dhcp-{network.id}",
        port_security_enabled=False,
        created_at=context.at,
        updated_at=context.at,
    )


def _dhcp_address(now: Snapshot, subnet: model.Subnet) -> FixedIp:
    found = ipam.first_free(now, subnet)
    if found is None:
        message = f"No address is left for the DHCP server of subnet {subnet.id}: widen its pools or disable DHCP."
        raise Conflict("IpAddressGenerationFailure", message)
    return FixedIp(subnet_id=subnet.id, ip_address=found)


def _check_cidr(now: Snapshot, network: model.Network, cidr: str) -> None:
    wanted = IPv4Network(cidr)
    if wanted.is_multicast or wanted.is_loopback or wanted.prefixlen == 0 or wanted.network_address.is_unspecified:
        raise _invalid(f"{cidr} cannot be a subnet")
    for other in now.find(SUBNETS_BY_NETWORK, network.id):
        if wanted.overlaps(IPv4Network(other.cidr)):
            raise _invalid(f"Requested subnet with cidr: {cidr} for network: {network.id} overlaps with another subnet")


def _check(subnet: model.Subnet) -> None:
    cidr = IPv4Network(subnet.cidr)
    if subnet.gateway_ip is not None:
        _check_gateway(subnet.gateway_ip, cidr, subnet.allocation_pools)
    spans = sorted((int(IPv4Address(pool.start)), int(IPv4Address(pool.end))) for pool in subnet.allocation_pools)
    for number, (start, end) in enumerate(spans):
        if IPv4Address(start) not in cidr or IPv4Address(end) not in cidr or _is_edge(cidr, start, end):
            raise Invalid(
                "OutOfBoundsAllocationPool",
                f"The allocation pool {IPv4Address(start)}-{IPv4Address(end)} spans beyond the subnet cidr {cidr}.",
            )
        if number and start <= spans[number - 1][1]:
            raise Conflict("OverlappingAllocationPools", f"Found overlapping allocation pools for subnet {cidr}.")


def _is_edge(cidr: IPv4Network, start: int, end: int) -> bool:
    return cidr.num_addresses > 2 and (start == int(cidr.network_address) or end == int(cidr.broadcast_address))


def _check_gateway(gateway_ip: str, cidr: IPv4Network, pools: tuple[Pool, ...]) -> None:
    gateway = IPv4Address(gateway_ip)
    is_edge = cidr.num_addresses > 2 and gateway in (cidr.network_address, cidr.broadcast_address)
    if gateway not in cidr or is_edge:
        raise _invalid(f"Gateway {gateway_ip} is not valid on subnet {cidr}")
    for pool in pools:
        if IPv4Address(pool.start) <= gateway <= IPv4Address(pool.end):
            raise Conflict(
                "GatewayConflictWithAllocationPools",
                f"Gateway ip {gateway_ip} conflicts with allocation pool {pool.start}-{pool.end}.",
            )


def _require_unused_gateway(now: Snapshot, subnet: model.Subnet) -> None:
    holders = now.find(PORTS_BY_ADDRESS, (subnet.id, subnet.gateway_ip))
    if any(port.device_owner == OWNER_ROUTER_INTERFACE for port in holders):
        message = f"Current gateway ip {subnet.gateway_ip} already in use by a router. Unable to update."
        raise Conflict("GatewayIpInUse", message)


def _invalid(reason: str) -> Invalid:
    return Invalid("InvalidInput", f"Invalid input for operation: {reason}.")
