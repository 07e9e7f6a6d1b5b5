"""Attributes of routers."""

from typing import Any, Final

from warren.server import model
from warren.server.attributes import parse
from warren.server.attributes.attribute import UNSET, Attribute, Table
from warren.server.attributes.common import ADMIN_STATE, DESCRIPTION, ID, NAME, OWNER, STAMPS, TAGS, fixed_ips
from warren.server.snapshot import Snapshot


def _gateway(now: Snapshot, router: model.Router) -> dict[str, Any] | None:
    port = now.get(model.Port, router.gateway_port_id)
    if port is None:
        return None
    return {
        "network_id": port.network_id,
        "external_fixed_ips": fixed_ips(port.fixed_ips),
        "enable_snat": router.enable_snat,
    }


def interface_view(router: model.Router, port: model.Port) -> dict[str, Any]:
    """What a client is told of a router's interface when it comes or goes."""
    subnet_ids = [fixed.subnet_id for fixed in port.fixed_ips]
    return {
        "id": router.id,
        "project_id": router.project_id,
        "tenant_id": router.project_id,
        "port_id": port.id,
        "network_id": port.network_id,
        "subnet_id": subnet_ids[0] if subnet_ids else None,
        "subnet_ids": subnet_ids,
    }


ROUTER: Final[Table] = {
    "id": ID,
    "name": NAME,
    **OWNER,
    "description": DESCRIPTION,
    "admin_state_up": ADMIN_STATE,
    "status": Attribute(sortable=True),
    "external_gateway_info": Attribute(
        on_create=True, on_update=True, parse=parse.gateway, default=UNSET, show=_gateway
    ),
    "routes": Attribute(on_create=False, on_update=True, parse=parse.list_of(parse.route, most=100)),
    "ha": Attribute(on_create=True, parse=parse.absent_feature, default=False, show=lambda *_: False),
    "distributed": Attribute(on_create=True, parse=parse.absent_feature, default=False, show=lambda *_: False),
    "flavor_id": Attribute(show=lambda *_: None, filterable=False),
    "availability_zone_hints": Attribute(show=lambda *_: [], filterable=False),
    "availability_zones": Attribute(show=lambda *_: [], filterable=False),
    "tags": TAGS,
    **STAMPS,
}
