"""Floating IPs: their address, and the port and router behind them. Pure."""

from typing import Any

from warren.core.errors import Conflict, Invalid, NotFound
from warren.core.ids import FloatingIpId, PortId
from warren.core.state import OWNER_FLOATING_IP, OWNER_ROUTER_INTERFACE, FixedIp
from warren.server import ipam, model
from warren.server.attributes.attribute import Asked
from warren.server.context import Context, new_id
from warren.server.indexes import FLOATING_IPS_BY_PORT, PORTS_BY_SUBNET
from warren.server.rules.found import owned, project_of, visible
from warren.server.snapshot import Change, Snapshot


def create(now: Snapshot, context: Context, asked: Asked) -> tuple[FloatingIpId, Change]:
    """A new floating IP, behind which a port may stand at once.

    Raises:
        NotFound: network, port or a router between them is not there.
        Invalid: the network is not external, or the address not the port's.
        Conflict: the fixed address has a floating IP there already, or no address is left.
    """
    network = visible(now, model.Network, asked["floating_network_id"], context)
    if not network.is_external:
        raise Invalid("BadRequest", f"Bad floatingip request: Network {network.id} is not a valid external network.")
    floating_ip_id = FloatingIpId(new_id())
    port = _holder(now, context, network, floating_ip_id, _address(now, network, asked))
    floating_ip = model.FloatingIp(
        id=floating_ip_id,
        project_id=project_of(asked, context),
        floating_network_id=network.id,
        floating_ip_address=port.fixed_ips[0].ip_address,
        floating_port_id=port.id,
        description=asked["description"],
        created_at=context.at,
        updated_at=context.at,
    )
    target = _target(now, context, floating_ip, asked["port_id"], asked["fixed_ip_address"])
    return floating_ip.id, Change.put(port, model.revised(floating_ip, context.at, **target))


def update(now: Snapshot, context: Context, floating_ip_id: str, asked: Asked) -> Change:
    """Put another port behind the address, or none.

    Raises:
        as `create`.
    """
    floating_ip = owned(now, model.FloatingIp, floating_ip_id, context)
    changes = {name: asked[name] for name in ("description",) if name in asked}
    if "port_id" in asked or "fixed_ip_address" in asked:
        port_id = asked.get("port_id", floating_ip.port_id)
        changes.update(_target(now, context, floating_ip, port_id, asked.get("fixed_ip_address")))
    return Change.put(model.revised(floating_ip, context.at, **changes))


def delete(now: Snapshot, context: Context, floating_ip_id: str) -> Change:
    """Give the address back."""
    floating_ip = owned(now, model.FloatingIp, floating_ip_id, context)
    holder = now.get(model.Port, floating_ip.floating_port_id)
    return Change.delete(floating_ip, *([holder] if holder else []))


def _address(now: Snapshot, network: model.Network, asked: Asked) -> FixedIp:
    subnet_id = asked["subnet_id"] or None
    ip_address = asked["floating_ip_address"] or None
    if subnet_id or ip_address:
        return ipam.wanted_addresses(now, network.id, ((subnet_id, ip_address),))[0]
    found = ipam.any_address(now, network.id)
    if not found:
        message = f"External network {network.id} has no subnet to take a floating IP from."
        raise Conflict("IpAddressGenerationFailure", message)
    return found[0]


def _holder(
    now: Snapshot, context: Context, network: model.Network, floating_ip_id: FloatingIpId, address: FixedIp
) -> model.Port:
    return model.Port(
        id=PortId(new_id()),
        project_id="",
        network_id=network.id,
        mac_address=ipam.free_mac(now, network.id),
        fixed_ips=(address,),
        device_owner=OWNER_FLOATING_IP,
        device_id=floating_ip_id,
        status="N/A",
        port_security_enabled=False,
        created_at=context.at,
        updated_at=context.at,
    )


def _target(
    now: Snapshot, context: Context, floating_ip: model.FloatingIp, port_id: str | None, fixed: str | None
) -> dict[str, Any]:
    """What changes when the port stands behind the floating IP."""
    if port_id is None:
        if fixed:
            raise Invalid(
                "BadRequest", "Bad floatingip request: fixed_ip_address cannot be specified without a port_id."
            )
        return {"port_id": None, "fixed_ip_address": None, "router_id": None, "status": model.DOWN}
    port = owned(now, model.Port, port_id, context)
    if port.device_owner.startswith("network:"):
        message = (
            f"Bad floatingip request: Port {port.id} belongs to {port.device_owner} and cannot have a floating IP."
        )
        raise Invalid("BadRequest", message)
    address = _fixed_address(port, fixed)
    router_id = _router_between(now, floating_ip, port, address)
    for other in now.find(FLOATING_IPS_BY_PORT, port.id):
        is_same = (other.fixed_ip_address, other.floating_network_id) == (
            address.ip_address,
            floating_ip.floating_network_id,
        )
        if is_same and other.id != floating_ip.id:
            raise Conflict(
                "FloatingIPPortAlreadyAssociated",
                f"Cannot associate floating IP {floating_ip.floating_ip_address} ({floating_ip.id}) with port "
                f"{port.id} using fixed IP {address.ip_address}, as that fixed IP already has a floating IP on "
                f"external network {floating_ip.floating_network_id}.",
            )
    target = {"port_id": port.id, "fixed_ip_address": address.ip_address, "router_id": router_id}
    if all(getattr(floating_ip, name) == value for name, value in target.items()):
        return {}
    return {**target, "status": model.DOWN, "wanted_at": now.revision + 1}


def _fixed_address(port: model.Port, wanted: str | None) -> FixedIp:
    for fixed in port.fixed_ips:
        if wanted in (None, fixed.ip_address):
            return fixed
    if wanted is None:
        message = f"Bad floatingip request: Cannot add floating IP to port {port.id} that has no fixed IPv4 addresses."
        raise Invalid("BadRequest", message)
    message = f"Bad floatingip request: Port {port.id} does not have fixed ip {wanted}."
    raise Invalid("BadRequest", message)


def _router_between(now: Snapshot, floating_ip: model.FloatingIp, port: model.Port, address: FixedIp) -> str:
    """The router at the subnet's gateway address, where the port's answers go; else one of the floating IP's project.

    On a shared network there may be guests' routers: what comes for others is not for them.
    """
    external_network_id = floating_ip.floating_network_id
    gateway_ip = now.of(model.Subnet, address.subnet_id).gateway_ip
    ports = now.find(PORTS_BY_SUBNET, address.subnet_id)
    own = []
    for interface in (port for port in ports if port.device_owner == OWNER_ROUTER_INTERFACE):
        router = now.get(model.Router, interface.device_id)
        gateway = now.get(model.Port, router.gateway_port_id) if router else None
        if router is None or gateway is None or gateway.network_id != external_network_id:
            continue
        if FixedIp(subnet_id=address.subnet_id, ip_address=gateway_ip or "") in interface.fixed_ips:
            return router.id
        if router.project_id == floating_ip.project_id:
            own.append(router.id)
    if own:
        return min(own)
    raise NotFound(
        "ExternalGatewayForFloatingIPNotFound",
        f"External network {external_network_id} is not reachable from subnet {address.subnet_id}. Therefore, cannot "
        f"associate Port {port.id} with a Floating IP.",
    )
