"""Networks: what they may be, which segmentation id they get, when they may go. Pure."""

from collections.abc import Mapping
from typing import Any

from warren.core.errors import Conflict, Invalid
from warren.core.ids import NetworkId, SegmentationId
from warren.core.state import OWNER_FLOATING_IP, OWNER_ROUTER_GATEWAY, NetworkType
from warren.server import model
from warren.server.attributes.attribute import UNSET, Asked
from warren.server.attributes.port import AUTO_DELETED
from warren.server.context import Context, new_id
from warren.server.indexes import (
    NETWORKS_BY_SEGMENT,
    NETWORKS_BY_SEGMENT_BLOCK,
    PORTS_BY_NETWORK,
    SUBNETS_BY_NETWORK,
    in_open_blocks,
)
from warren.server.rules.found import named, owned, project_of
from warren.server.rules.security_groups import with_default_group
from warren.server.snapshot import Change, Snapshot

_MOST_SEGMENT: Mapping[NetworkType, int] = {NetworkType.VXLAN: 2**24 - 1, NetworkType.GRE: 2**32 - 1}


def create(now: Snapshot, context: Context, asked: Asked) -> tuple[NetworkId, Change]:
    """A new network, and its project's default security group.

    Raises:
        Invalid: the provider attributes contradict each other or the configuration.
        Conflict: the segmentation id or physical network is taken, or none is left; or there is a default external
            network already.
    """
    network_type, physical_network, segmentation_id = _segment(now, context, asked)
    network = model.Network(
        id=NetworkId(new_id()),
        project_id=project_of(asked, context),
        network_type=network_type,
        physical_network=physical_network,
        segmentation_id=segmentation_id,
        mtu=_mtu(asked["mtu"], context.offer.mtu_of(network_type, physical_network)),
        name=asked["name"],
        description=asked["description"],
        admin_state_up=asked["admin_state_up"],
        shared=asked["shared"],
        is_external=asked["router:external"],
        is_default=asked["is_default"],
        port_security_enabled=asked["port_security_enabled"],
        created_at=context.at,
        updated_at=context.at,
    )
    if network.is_default_external:
        _require_no_default(now)
    return network.id, with_default_group(now, context, network.project_id).then(Change.put(network))


def update(now: Snapshot, context: Context, network_id: str, asked: Asked) -> Change:
    """Change a network.

    Raises:
        Invalid: the MTU is more than the underlay carries.
        Conflict: it would no longer be external while routers use it so; or there is a default external network
            already.
    """
    network = owned(now, model.Network, network_id, context)
    changes: dict[str, Any] = {("is_external" if name == "router:external" else name): v for name, v in asked.items()}
    if "mtu" in changes:
        _mtu(changes["mtu"], context.offer.mtu_of(network.network_type, network.physical_network))
    if network.is_external and changes.get("is_external") is False and _external_use(now, network):
        raise Conflict(
            "ExternalNetworkInUse",
            f"External network {network.id} cannot be updated to be made non-external, since it has existing "
            "gateway ports.",
        )
    if network.shared and changes.get("shared") is False and _foreign_use(now, network):
        raise Conflict(
            "InvalidSharedSetting",
            f"Unable to reconfigure sharing settings for network {network.id}. Multiple projects are using it.",
        )
    changed = model.revised(network, context.at, **changes)
    if changed.is_default_external and not network.is_default_external:
        _require_no_default(now)
    return Change.put(changed)


def delete(now: Snapshot, context: Context, network_id: str) -> Change:
    """Delete a network with its subnets and the ports that the server made for it.

    Raises:
        Conflict: somebody's port is on it.
    """
    network = owned(now, model.Network, network_id, context)
    ports = now.find(PORTS_BY_NETWORK, network.id)
    if holders := [port for port in ports if port.device_owner not in AUTO_DELETED]:
        raise Conflict(
            "NetworkInUse",
            f"Unable to complete operation on network {network.id}. There are one or more ports still in use on the "
            f"network{named(now, context, holders)}.",
        )
    return Change.delete(*ports, *now.find(SUBNETS_BY_NETWORK, network.id), network)


def _external_use(now: Snapshot, network: model.Network) -> bool:
    owners = (OWNER_ROUTER_GATEWAY, OWNER_FLOATING_IP)
    return any(port.device_owner in owners for port in now.find(PORTS_BY_NETWORK, network.id))


def _foreign_use(now: Snapshot, network: model.Network) -> bool:
    ports = now.find(PORTS_BY_NETWORK, network.id)
    return any(port.project_id not in ("", network.project_id) for port in ports)


def _require_no_default(now: Snapshot) -> None:
    if default := next((one for one in now.all(model.Network) if one.is_default_external), None):
        message = f"A default external network already exists: {default.id}."
        raise Conflict("DefaultExternalNetworkExists", message)


def _mtu(asked: Any, most: int) -> int:
    if asked is UNSET or asked == 0:
        return most
    if asked > most:
        raise Invalid("InvalidInput", f"Invalid input for operation: Requested MTU is too big, maximum is {most}.")
    return int(asked)


def _segment(now: Snapshot, context: Context, asked: Asked) -> tuple[NetworkType, str | None, SegmentationId | None]:
    named = [asked[f"provider:{name}"] for name in ("network_type", "physical_network", "segmentation_id")]
    type_name, physical_network, segmentation_id = (None if value is UNSET else value for value in named)
    if type_name is None and (physical_network or segmentation_id):
        raise Invalid("InvalidInput", "Invalid input for operation: network_type required.")
    network_type = NetworkType(type_name) if type_name else context.offer.default_type
    if network_type.is_tunnelled:
        if physical_network:
            message = f"provider:physical_network specified for {network_type.value} network."
            raise Invalid("InvalidInput", f"Invalid input for operation: {message}")
        return network_type, None, _segmentation_id(now, context, network_type, segmentation_id)
    return network_type, *_physical(now, context, network_type, physical_network, segmentation_id)


def _segmentation_id(now: Snapshot, context: Context, network_type: NetworkType, asked: int | None) -> SegmentationId:
    def is_free(number: int) -> bool:
        return not now.ids(NETWORKS_BY_SEGMENT, (network_type.value, None, number))

    if asked is not None:
        if asked > _MOST_SEGMENT[network_type]:
            message = f"segmentation_id out of range (1 through {_MOST_SEGMENT[network_type]})."
            raise Invalid("InvalidInput", f"Invalid input for operation: {message}")
        if not is_free(asked):
            raise Conflict("TunnelIdInUse", f"Unable to create the network. The tunnel ID {asked} is in use.")
        return SegmentationId(asked)
    first, last = context.offer.segment_ranges[network_type]
    numbers = in_open_blocks(now.index(NETWORKS_BY_SEGMENT_BLOCK), network_type.value, first, last)
    found = next(filter(is_free, numbers), None)
    if found is None:
        message = "Unable to create the network. No tenant network is available for allocation."
        raise Conflict("NoNetworkAvailable", message)
    return SegmentationId(found)


def _physical(
    now: Snapshot, context: Context, network_type: NetworkType, name: str | None, number: int | None
) -> tuple[str, SegmentationId | None]:
    if not name:
        message = f"physical_network required for {network_type.value} provider network."
        raise Invalid("InvalidInput", f"Invalid input for operation: {message}")
    if name not in context.offer.physical_networks:
        message = f"physical_network '{name}' unknown for {network_type.value} provider network."
        raise Invalid("InvalidInput", f"Invalid input for operation: {message}")
    if network_type is NetworkType.FLAT and number is not None:
        raise Invalid(
            "InvalidInput", "Invalid input for operation: segmentation_id prohibited for flat provider network."
        )
    if network_type is NetworkType.VLAN and not 1 <= (number or 0) <= 4094:
        raise Invalid("InvalidInput", "Invalid input for operation: segmentation_id out of range (1 through 4094).")
    if now.ids(NETWORKS_BY_SEGMENT, (network_type.value, name, number)):
        if network_type is NetworkType.FLAT:
            message = f"Unable to create the flat network. Physical network {name} is in use."
            raise Conflict("FlatNetworkInUse", message)
        raise Conflict("VlanIdInUse", f"Unable to create the network. The VLAN {number} on {name} is in use.")
    return name, None if number is None else SegmentationId(number)
