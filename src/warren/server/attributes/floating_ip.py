"""Attributes of floating IPs."""

from typing import Any, Final

from warren.server import model
from warren.server.attributes import parse
from warren.server.attributes.attribute import REQUIRED, UNSET, Attribute, Table
from warren.server.attributes.common import DESCRIPTION, ID, OWNER, STAMPS, TAGS
from warren.server.snapshot import Snapshot


def _port_details(now: Snapshot, floating_ip: model.FloatingIp) -> dict[str, Any] | None:
    port = now.get(model.Port, floating_ip.port_id)
    if port is None:
        return None
    return {
        "name": port.name,
        "network_id": port.network_id,
        "mac_address": port.mac_address,
        "admin_state_up": port.admin_state_up,
        "status": port.status,
        "device_id": port.device_id,
        "device_owner": port.device_owner,
    }


FLOATING_IP: Final[Table] = {
    "id": ID,
    **OWNER,
    "description": DESCRIPTION,
    "floating_network_id": Attribute(on_create=True, parse=parse.uuid, default=REQUIRED, sortable=True),
    "subnet_id": Attribute(
        on_create=True, parse=parse.or_null(parse.uuid), default=UNSET, show=lambda *_: None, filterable=False
    ),
    "floating_ip_address": Attribute(
        on_create=True, parse=parse.or_null(parse.address), default=None, set_by_admin=True, sortable=True
    ),
    "port_id": Attribute(on_create=True, on_update=True, parse=parse.or_null(parse.uuid), default=None, sortable=True),
    "fixed_ip_address": Attribute(
        on_create=True, on_update=True, parse=parse.or_null(parse.address), default=None, sortable=True
    ),
    "router_id": Attribute(sortable=True),
    "status": Attribute(sortable=True),
    "port_details": Attribute(show=_port_details, filterable=False),
    "port_forwardings": Attribute(show=lambda *_: [], filterable=False),
    "dns_domain": Attribute(show=lambda *_: "", filterable=False),
    "dns_name": Attribute(show=lambda *_: "", filterable=False),
    "qos_policy_id": Attribute(show=lambda *_: None, filterable=False),
    "tags": TAGS,
    **STAMPS,
}
