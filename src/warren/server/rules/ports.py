"""Ports: their addresses, MAC, security and binding. Pure."""

from dataclasses import replace
from typing import Any, Final

from warren.core.errors import Conflict, Forbidden, Invalid
from warren.core.ids import GroupId, PortId
from warren.core.state import OWNER_DHCP, OWNER_FLOATING_IP, OWNER_ROUTER_GATEWAY, OWNER_ROUTER_INTERFACE, AddressPair
from warren.server import binding, ipam, model, policy
from warren.server.attributes.attribute import UNSET, Asked
from warren.server.context import Context, new_id
from warren.server.indexes import DEFAULT_GROUPS_BY_PROJECT, FLOATING_IPS_BY_PORT, PORTS_BY_MAC
from warren.server.rules.found import owned, project_of, visible
from warren.server.rules.security_groups import require_groups, with_default_group
from warren.server.snapshot import Change, Snapshot

_SERVICE: Final = "network:"
_L3_OWNERS: Final = frozenset({OWNER_ROUTER_INTERFACE, OWNER_ROUTER_GATEWAY, OWNER_FLOATING_IP})
_FIELDS: Final = {"binding:host_id": "host", "binding:vnic_type": "vnic_type", "binding:profile": "binding_profile"}


def create(now: Snapshot, context: Context, asked: Asked) -> tuple[PortId, Change]:
    """A new port with its addresses, bound if a host was named.

    Raises:
        NotFound: its network or a security group is not there for the caller.
        Invalid: addresses that are not its network's, security that contradicts itself.
        Conflict: address or MAC in use, or no address left.
        Forbidden: what only the network's owner may say; or the network is somebody else's and not shared.
    """
    network = _joinable(now, asked["network_id"], context)
    project_id = project_of(asked, context)
    _forbid_to_guests(context, network, asked)
    _forbid_to_pose(asked)
    is_secured, groups, change = _security(now, context, network, project_id, asked)
    port = model.Port(
        id=PortId(new_id()),
        project_id=project_id,
        network_id=network.id,
        mac_address=_free_mac(now, network.id, asked["mac_address"]),
        fixed_ips=_addresses(now, network.id, asked["fixed_ips"]),
        port_security_enabled=is_secured,
        security_groups=groups,
        **{name: asked[name] for name in ("name", "description", "admin_state_up", "device_id", "device_owner")},
        allowed_address_pairs=_pairs(asked["allowed_address_pairs"], is_secured=is_secured),
        binding_profile=None if asked["binding:profile"] is UNSET else asked["binding:profile"],
        created_at=context.at,
        updated_at=context.at,
    )
    return port.id, change.then(Change.put(binding.bound(now, context, port, asked["binding:host_id"] or "")))


def _joinable(now: Snapshot, network_id: str, context: Context) -> model.Network:
    """Everybody sees an external network, and reaches it by routers and floating IPs; ports there are its owner's."""
    network = visible(now, model.Network, network_id, context)
    return network if network.shared else owned(now, model.Network, network_id, context)


def _addresses(now: Snapshot, network_id: str, wanted: Any) -> Any:
    return ipam.any_address(now, network_id) if wanted is UNSET else ipam.wanted_addresses(now, network_id, wanted)


def update(now: Snapshot, context: Context, port_id: str, asked: Asked) -> Change:
    """Change a port.

    Raises:
        as `create`.
    """
    port = owned(now, model.Port, port_id, context)
    network = now.of(model.Network, port.network_id)
    _forbid_to_guests(context, network, asked)
    _keep_service(port, asked)
    _forbid_to_pose(asked, port.device_owner)
    changes: dict[str, Any] = {_FIELDS.get(name, name): value for name, value in asked.items()}
    changes.update(_new_identity(now, port, asked), **_new_security(now, context, port, asked))
    host = changes.pop("host", port.host) or ""
    changed = replace(port, **changes)
    if _must_rebind(port, changed, host):
        bound = binding.bound(now, context, changed, host)
        changes.update(
            host=bound.host, vif_type=bound.vif_type, status=bound.status, reason=bound.reason, plug=bound.plug
        )
    return Change.put(model.revised(port, context.at, **changes), *_released(now, context, port, changed))


def _must_rebind(port: model.Port, changed: model.Port, host: str) -> bool:
    return bool(host != port.host or (host and changed.port_security_enabled != port.port_security_enabled))


def _new_identity(now: Snapshot, port: model.Port, asked: Asked) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if "fixed_ips" in asked:
        changes["fixed_ips"] = ipam.wanted_addresses(now, port.network_id, asked["fixed_ips"], port.id)
    if asked.get("mac_address", port.mac_address) != port.mac_address:
        if port.is_bound:
            raise Conflict("PortBound", f"Unable to complete operation on port {port.id}, port is already bound.")
        changes["mac_address"] = _free_mac(now, port.network_id, asked["mac_address"])
    return changes


def _new_security(now: Snapshot, context: Context, port: model.Port, asked: Asked) -> dict[str, Any]:
    is_secured = asked.get("port_security_enabled", port.port_security_enabled)
    groups = port.security_groups
    if "security_groups" in asked:
        groups = require_groups(now, context, asked["security_groups"])
    pairs = asked.get("allowed_address_pairs", port.allowed_address_pairs)
    _check_security(groups, is_secured=is_secured, is_kept="security_groups" not in asked)
    return {
        "port_security_enabled": is_secured,
        "security_groups": groups,
        "allowed_address_pairs": _pairs(pairs, is_secured=is_secured),
    }


def delete(now: Snapshot, context: Context, port_id: str) -> Change:
    """Delete a port; a floating IP that was on it is free again.

    Raises:
        Conflict: the server made it for a router, a floating IP or a DHCP server.
    """
    port = owned(now, model.Port, port_id, context)
    if port.device_owner in _L3_OWNERS and _is_used(now, port):
        message = f"Port {port.id} cannot be deleted directly via the port API: has device owner {port.device_owner}."
        raise Conflict("ServicePortInUse", message)
    if port.device_owner == OWNER_DHCP:
        message = f"Port {port.id} cannot be deleted directly via the port API: it is its network's DHCP server."
        raise Conflict("ServicePortInUse", message)
    return Change.delete(port).then(Change.put(*detached(now, context, port, ())))


def _is_used(now: Snapshot, port: model.Port) -> bool:
    return bool(now.get(model.Router, port.device_id) or now.get(model.FloatingIp, port.device_id))


def detached(now: Snapshot, context: Context, port: model.Port, kept: tuple[str, ...]) -> list[model.FloatingIp]:
    """The floating IPs of a port, but for those on an address that it keeps, with nothing behind them any more."""
    return [
        model.revised(floating_ip, context.at, port_id=None, fixed_ip_address=None, router_id=None, status=model.DOWN)
        for floating_ip in now.find(FLOATING_IPS_BY_PORT, port.id)
        if floating_ip.fixed_ip_address not in kept
    ]


def _released(now: Snapshot, context: Context, port: model.Port, changed: model.Port) -> list[model.FloatingIp]:
    return detached(now, context, port, tuple(fixed.ip_address for fixed in changed.fixed_ips))


def _forbid_to_guests(context: Context, network: model.Network, asked: Asked) -> None:
    """On another project's network a port takes the address and MAC that it is given."""
    if policy.owns(context.caller, network.project_id):
        return
    wanted = asked.get("fixed_ips", UNSET)
    names_address = wanted is not UNSET and any(address for _, address in wanted)
    turns_off = asked.get("port_security_enabled", UNSET) is False
    if asked.get("mac_address", UNSET) is not UNSET or names_address or turns_off or asked.get("allowed_address_pairs"):
        message = "Only the network's owner chooses addresses, MACs and port security on a shared network."
        raise Forbidden("PolicyNotAuthorized", message)


def _forbid_to_pose(asked: Asked, present: str = "") -> None:
    """Hosts trust a port that the network itself owns, so nobody but the server makes one."""
    wanted = asked.get("device_owner", present)
    if wanted.startswith(_SERVICE) and wanted != present:
        raise Forbidden("PolicyNotAuthorized", f"Only the server itself makes ports owned by {wanted}.")


def _keep_service(port: model.Port, asked: Asked) -> None:
    fixed = {"device_id", "device_owner", "fixed_ips", "binding:host_id", "security_groups", "port_security_enabled"}
    if port.device_owner.startswith(_SERVICE) and (named := sorted(fixed & set(asked))):
        message = f"Port {port.id} belongs to {port.device_owner}: {', '.join(named)} cannot be changed."
        raise Conflict("ServicePortInUse", message)


def _free_mac(now: Snapshot, network_id: str, asked: Any) -> Any:
    if asked is UNSET:
        return ipam.free_mac(now, network_id)
    if now.ids(PORTS_BY_MAC, (network_id, asked)):
        message = f"Unable to complete operation for network {network_id}. The mac address {asked} is in use."
        raise Conflict("MacAddressInUse", message)
    return asked


def _security(
    now: Snapshot, context: Context, network: model.Network, project_id: str, asked: Asked
) -> tuple[bool, tuple[GroupId, ...], Change]:
    """Whether the port is secured, by which groups, and the project's default group if it is new."""
    is_secured = asked["port_security_enabled"]
    if is_secured is UNSET:
        is_secured = network.port_security_enabled
    if asked["security_groups"] is not UNSET:
        groups = require_groups(now, context, asked["security_groups"])
        _check_security(groups, is_secured=is_secured)
        return is_secured, groups, Change()
    if not is_secured:
        return False, (), Change()
    change = with_default_group(now, context, project_id)
    default = now.after(change).find_one(DEFAULT_GROUPS_BY_PROJECT, project_id)
    return True, (default.id,) if default else (), change


def _check_security(groups: tuple[GroupId, ...], *, is_secured: bool, is_kept: bool = False) -> None:
    if is_secured or not groups:
        return
    if is_kept:
        message = "Port has security group associated. Cannot disable port security until security group is removed."
        raise Conflict("PortSecurityPortHasSecurityGroup", message)
    message = "Port security must be enabled in order to use security groups."
    raise Invalid("PortSecurityAndIPRequiredForSecurityGroups", message)


def _pairs(pairs: tuple[AddressPair, ...], *, is_secured: bool) -> tuple[AddressPair, ...]:
    if pairs and not is_secured:
        message = "Port Security must be enabled in order to have allowed address pairs on a port."
        raise Conflict("AddressPairAndPortSecurityRequired", message)
    return pairs
