"""Routers: gateway, interfaces, routes. Pure."""

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network
from typing import Any, NamedTuple

from warren.core.errors import Conflict, Forbidden, Invalid, NotFound
from warren.core.ids import PortId, RouterId, SubnetId
from warren.core.state import OWNER_ROUTER_GATEWAY, OWNER_ROUTER_INTERFACE, FixedIp, Route
from warren.server import ipam, model, policy
from warren.server.attributes import parse
from warren.server.attributes.attribute import UNSET, Asked
from warren.server.context import Context, new_id
from warren.server.indexes import FLOATING_IPS_BY_PORT, FLOATING_IPS_BY_ROUTER, PORTS_BY_ADDRESS
from warren.server.placement import place_router, router_ports
from warren.server.rules.found import owned, project_of, visible
from warren.server.snapshot import Change, Snapshot


class Interface(NamedTuple):
    """A router, and the port of its that came or went."""

    router: model.Router
    port: model.Port


def create(now: Snapshot, context: Context, asked: Asked) -> tuple[RouterId, Change]:
    """A new router, with a gateway if one was asked for.

    Raises:
        as `update`.
    """
    router = model.Router(
        id=RouterId(new_id()),
        project_id=project_of(asked, context),
        name=asked["name"],
        description=asked["description"],
        admin_state_up=asked["admin_state_up"],
        created_at=context.at,
        updated_at=context.at,
    )
    change = Change.put(router)
    if asked["external_gateway_info"] not in (UNSET, {}):
        change = change.then(_gateway(now.after(change), context, router, asked["external_gateway_info"]))
    return router.id, _placed(now, context, router.id, change)


def update(now: Snapshot, context: Context, router_id: str, asked: Asked) -> Change:
    """Change a router.

    Raises:
        NotFound: the gateway's network is not there for the caller.
        Invalid: that network is not external, one of its subnets overlaps the router's, or a route leads nowhere.
        Conflict: a floating IP needs the gateway.
        Forbidden: the gateway's addresses or SNAT, asked for by somebody who is no administrator.
    """
    router = owned(now, model.Router, router_id, context)
    plain = {name: value for name, value in asked.items() if name != "external_gateway_info"}
    changed = model.revised(router, context.at, **plain)
    change = Change.put(changed)
    if "external_gateway_info" in asked:
        change = change.then(_gateway(now.after(change), context, changed, asked["external_gateway_info"]))
    after = now.after(change)
    if "routes" in asked:
        _check_routes(after, after.of(model.Router, router.id))
    return _placed(now, context, router.id, change)


def add_routes(now: Snapshot, context: Context, router_id: str, routes: tuple[Route, ...]) -> Change:
    """Add to a router's routes; those it has are no error.

    Raises:
        Invalid: a route leads nowhere.
    """
    router = owned(now, model.Router, router_id, context)
    new = tuple(route for route in routes if route not in router.routes)
    return update(now, context, router_id, {"routes": router.routes + new})


def remove_routes(now: Snapshot, context: Context, router_id: str, routes: tuple[Route, ...]) -> Change:
    """Take from a router's routes; those it has not are no error."""
    router = owned(now, model.Router, router_id, context)
    return update(now, context, router_id, {"routes": tuple(route for route in router.routes if route not in routes)})


def delete(now: Snapshot, context: Context, router_id: str) -> Change:
    """Delete a router that has no interface any more, with its gateway.

    Raises:
        Conflict: it has one.
    """
    router = owned(now, model.Router, router_id, context)
    ports = router_ports(now, router.id)
    if any(port.device_owner == OWNER_ROUTER_INTERFACE for port in ports):
        raise Conflict("RouterInUse", f"Router {router.id} still has ports.")
    if now.ids(FLOATING_IPS_BY_ROUTER, router.id):
        raise Conflict("RouterInUse", f"Router {router.id} still has floating IPs.")
    return Change.delete(router, *ports)


def add_interface(now: Snapshot, context: Context, router_id: str, body: Any) -> tuple[Interface, Change]:
    """Connect a router to a subnet (at its gateway address) or by a port of the caller's.

    Raises:
        NotFound: router, subnet or port is not there for the caller.
        Invalid: the body names neither or both, or the subnet overlaps one that the router has.
        Conflict: the port or address is in use.
        Forbidden: the subnet is of another project's network; there a router is connected by a port.
    """
    router = owned(now, model.Router, router_id, context)
    subnet_id, port_id = _subnet_or_port(body)
    if subnet_id and port_id:
        raise Invalid("BadRequest", "Cannot specify both subnet-id and port-id.")
    port = _own_port(now, context, router, port_id) if port_id else _subnet_port(now, context, router, str(subnet_id))
    change = _placed(now, context, router.id, Change.put(port))
    return Interface(router, port), change


def remove_interface(now: Snapshot, context: Context, router_id: str, body: Any) -> tuple[Interface, Change]:
    """Disconnect a router; its port goes.

    Raises:
        NotFound: the router has no such interface.
        Conflict: a floating IP or a route needs it.
    """
    router = owned(now, model.Router, router_id, context)
    subnet_id, port_id = _subnet_or_port(body)
    ports = [
        port
        for port in router_ports(now, router.id)
        if port.device_owner == OWNER_ROUTER_INTERFACE
        and (port_id in (None, port.id))
        and (subnet_id is None or any(fixed.subnet_id == subnet_id for fixed in port.fixed_ips))
    ]
    if not ports:
        if port_id:
            message = f"Router {router.id} does not have an interface with id {port_id}."
            raise NotFound("RouterInterfaceNotFound", message)
        message = f"Router {router.id} has no interface on subnet {subnet_id}."
        raise NotFound("RouterInterfaceNotFoundForSubnet", message)
    _require_unused(now, router, ports[0])
    change = _placed(now, context, router.id, Change.delete(ports[0]))
    return Interface(router, ports[0]), change


def _placed(now: Snapshot, context: Context, router_id: str, change: Change) -> Change:
    return change.then(place_router(now.after(change), context, router_id))


def _subnet_or_port(body: Any) -> tuple[str | None, str | None]:
    known = {"subnet_id": parse.or_null(parse.uuid), "port_id": parse.or_null(parse.uuid)}
    try:
        wanted = parse.members({name: value for name, value in body.items() if name in known}, {}, known)
    except (AttributeError, ValueError) as error:
        raise Invalid("BadRequest", f"Bad router request: {error}.") from None
    if not any(wanted.values()):
        raise Invalid("BadRequest", "Bad router request: Either subnet_id or port_id must be specified.")
    return wanted.get("subnet_id"), wanted.get("port_id")


def _gateway(now: Snapshot, context: Context, router: model.Router, wanted: dict[str, Any]) -> Change:
    present = now.get(model.Port, router.gateway_port_id)
    if not wanted:
        return _without_gateway(now, context, router, present)
    _forbid_to_tenants(context, wanted)
    network = _external(now, context, wanted["network_id"])
    change = Change()
    if present and present.network_id != network.id:
        change = _without_gateway(now, context, router, present)
        now, present = now.after(change), None
    addresses = _gateway_addresses(now, network, present, wanted.get("external_fixed_ips"))
    if present:
        port = model.revised(present, context.at, fixed_ips=addresses)
    else:
        port = _gateway_port(now, context, router, network, addresses)
    _check_no_overlap(now, router, (fixed.subnet_id for fixed in addresses), port.id)
    is_snat = wanted.get("enable_snat", True)
    return change.then(
        Change.put(port, model.revised(router, context.at, gateway_port_id=port.id, enable_snat=is_snat))
    )


def _external(now: Snapshot, context: Context, network_id: str) -> model.Network:
    network = visible(now, model.Network, network_id, context)
    if not network.is_external:
        raise Invalid("BadRequest", f"Bad router request: Network {network.id} is not an external network.")
    return network


def _gateway_addresses(
    now: Snapshot, network: model.Network, present: model.Port | None, wanted: tuple[ipam.Wanted, ...] | None
) -> tuple[FixedIp, ...]:
    """Those that are wanted, or those that the port has; a new one gets any."""
    if wanted:
        found = ipam.wanted_addresses(now, network.id, wanted, present.id if present else "")
    else:
        found = present.fixed_ips if present else ipam.any_address(now, network.id)
    if not found:
        message = f"Bad router request: No subnet of external network {network.id} has an address for the router."
        raise Invalid("BadRequest", message)
    return found


def _forbid_to_tenants(context: Context, wanted: dict[str, Any]) -> None:
    """Addresses outside, and whether tenants' own addresses leave untranslated, are the administrator's to choose."""
    named = sorted({"enable_snat", "external_fixed_ips"} & set(wanted))
    if named and not context.caller.is_admin:
        rules = " and ".join(f"rule:external_gateway_info:{name}" for name in named)
        raise Forbidden("PolicyNotAuthorized", f"{rules} is disallowed by policy: it needs the admin role.")


def _without_gateway(now: Snapshot, context: Context, router: model.Router, port: model.Port | None) -> Change:
    if port is None:
        return Change()
    if now.ids(FLOATING_IPS_BY_ROUTER, router.id):
        message = f"Gateway cannot be updated for router {router.id}, since a gateway to external network "
        raise Conflict(
            "RouterExternalGatewayInUseByFloatingIp",
            f"{message}{port.network_id} is required by one or more floating IPs.",
        )
    return Change.delete(port).then(
        Change.put(model.revised(router, context.at, gateway_port_id=None, enable_snat=True))
    )


def _gateway_port(
    now: Snapshot, context: Context, router: model.Router, network: model.Network, addresses: tuple[FixedIp, ...]
) -> model.Port:
    """A gateway's port has no project: it holds an address that is the external network's, not the tenant's."""
    return model.Port(
        id=PortId(new_id()),
        project_id="",
        network_id=network.id,
        mac_address=ipam.free_mac(now, network.id),
        fixed_ips=addresses,
        device_owner=OWNER_ROUTER_GATEWAY,
        device_id=router.id,
        port_security_enabled=False,
        created_at=context.at,
        updated_at=context.at,
    )


def _subnet_port(now: Snapshot, context: Context, router: model.Router, subnet_id: str) -> model.Port:
    """A port at the gateway's address, which every instance there sends to: nothing for guests of a shared network."""
    subnet = visible(now, model.Subnet, subnet_id, context)
    network = now.of(model.Network, subnet.network_id)
    if not policy.owns(context.caller, network.project_id):
        message = "Only the network's owner puts a router at the gateway of a shared network: connect it by a port."
        raise Forbidden("PolicyNotAuthorized", message)
    if subnet.gateway_ip is None:
        raise Invalid("BadRequest", "Bad router request: Subnet for router interface must have a gateway IP.")
    _check_no_overlap(now, router, [subnet.id])
    if now.ids(PORTS_BY_ADDRESS, (subnet.id, subnet.gateway_ip)):
        message = f"IP address {subnet.gateway_ip} already allocated in subnet {subnet.id}."
        raise Conflict("IpAddressAlreadyAllocated", message)
    return model.Port(
        id=PortId(new_id()),
        project_id=router.project_id,
        network_id=network.id,
        mac_address=ipam.free_mac(now, network.id),
        fixed_ips=(FixedIp(subnet_id=subnet.id, ip_address=subnet.gateway_ip),),
        device_owner=OWNER_ROUTER_INTERFACE,
        device_id=router.id,
        port_security_enabled=False,
        created_at=context.at,
        updated_at=context.at,
    )


def _own_port(now: Snapshot, context: Context, router: model.Router, port_id: str) -> model.Port:
    port = owned(now, model.Port, port_id, context)
    if port.device_id or port.device_owner:
        message = f"Unable to complete operation on port {port.id} for network {port.network_id}. Port already has an "
        raise Conflict("PortInUse", f"{message}attached device {port.device_id}.")
    if now.ids(FLOATING_IPS_BY_PORT, port.id):
        raise Conflict("PortInUse", f"Port {port.id} has a floating IP and cannot become a router's interface.")
    if not port.fixed_ips:
        raise Invalid("BadRequest", "Bad router request: Router port must have at least one fixed IP.")
    _check_no_overlap(now, router, [fixed.subnet_id for fixed in port.fixed_ips])
    return model.revised(
        port,
        context.at,
        device_owner=OWNER_ROUTER_INTERFACE,
        device_id=router.id,
        host="",
        vif_type=model.VIF_UNBOUND,
        port_security_enabled=False,
        security_groups=(),
        allowed_address_pairs=(),
    )


def _check_no_overlap(
    now: Snapshot, router: model.Router, subnet_ids: Iterable[SubnetId], gateway_port_id: str = ""
) -> None:
    wanted = [now.of(model.Subnet, subnet_id) for subnet_id in subnet_ids]
    others = (port for port in router_ports(now, router.id) if port.id != gateway_port_id)
    for present in (now.of(model.Subnet, fixed.subnet_id) for other in others for fixed in other.fixed_ips):
        for subnet in wanted:
            if subnet.id == present.id:
                raise Invalid("BadRequest", f"Bad router request: Router already has a port on subnet {subnet.id}.")
            if IPv4Network(subnet.cidr).overlaps(IPv4Network(present.cidr)):
                raise Invalid(
                    "BadRequest",
                    f"Bad router request: Cidr {subnet.cidr} of subnet {subnet.id} overlaps with cidr "
                    f"{present.cidr} of subnet {present.id}.",
                )


def _require_unused(now: Snapshot, router: model.Router, port: model.Port) -> None:
    subnets = {fixed.subnet_id for fixed in port.fixed_ips}
    for floating_ip in now.find(FLOATING_IPS_BY_ROUTER, router.id):
        target = now.get(model.Port, floating_ip.port_id)
        if target and any(fixed.subnet_id in subnets for fixed in target.fixed_ips):
            message = f"Router interface for subnet {min(subnets)} on router {router.id} cannot be deleted, as it is "
            raise Conflict("RouterInterfaceInUseByFloatingIP", f"{message}required by one or more floating IPs.")
    cidrs = [IPv4Network(now.of(model.Subnet, subnet_id).cidr) for subnet_id in subnets]
    if any(IPv4Address(route.nexthop) in cidr for route in router.routes for cidr in cidrs):
        message = f"Router interface for subnet {min(subnets)} on router {router.id} cannot be deleted, as it is "
        raise Conflict("RouterInterfaceInUseByRoute", f"{message}required by one or more routes.")


def _check_routes(now: Snapshot, router: model.Router) -> None:
    ports = router_ports(now, router.id)
    own = {fixed.ip_address for port in ports for fixed in port.fixed_ips}
    cidrs = [IPv4Network(now.of(model.Subnet, fixed.subnet_id).cidr) for port in ports for fixed in port.fixed_ips]
    for route in router.routes:
        if not any(IPv4Address(route.nexthop) in cidr for cidr in cidrs) or route.nexthop in own:
            raise Invalid(
                "InvalidRoutes",
                f"Invalid format for routes: {route.destination} via {route.nexthop}, "
                "the nexthop is not connected with router or is the router itself.",
            )
