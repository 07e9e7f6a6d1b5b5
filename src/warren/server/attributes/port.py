"""Attributes of ports."""

from typing import Any, Final

from warren.core.state import OWNER_DHCP, Plug
from warren.server import model
from warren.server.attributes import parse
from warren.server.attributes.attribute import REQUIRED, UNSET, Attribute, Table
from warren.server.attributes.common import ADMIN_STATE, DESCRIPTION, ID, NAME, OWNER, STAMPS, TAGS, fixed_ips
from warren.server.snapshot import Snapshot


def _vif_details(now: Snapshot, port: model.Port) -> dict[str, Any]:
    """What os-vif needs to plug a bound port; of a port that is not as wanted, the reason."""
    reason = {"reason": port.reason} if port.reason else {}
    if not port.is_bound:
        return reason
    host = now.get(model.Host, port.host)
    return {
        "port_filter": port.plug is Plug.HYBRID,
        "ovs_hybrid_plug": port.plug is Plug.HYBRID,
        "bridge_name": "br-int",
        "connectivity": "l2",
        "datapath_type": host.datapath_type if host else "",
        **reason,
    }


def _pairs(_now: Snapshot, port: model.Port) -> list[dict[str, str]]:
    return [
        {"mac_address": pair.mac_address or port.mac_address, "ip_address": pair.ip_address}
        for pair in port.allowed_address_pairs
    ]


def _binding(parser: parse.Parser, default: Any, show: Any) -> Attribute:
    return Attribute(
        on_create=True,
        on_update=True,
        parse=parser,
        default=default,
        set_by_admin=True,
        shown_to_admin=True,
        show=show,
    )


PORT: Final[Table] = {
    "id": ID,
    "name": NAME,
    **OWNER,
    "description": DESCRIPTION,
    "network_id": Attribute(on_create=True, parse=parse.uuid, default=REQUIRED, sortable=True),
    "admin_state_up": ADMIN_STATE,
    "status": Attribute(sortable=True),
    "mac_address": Attribute(on_create=True, on_update=True, parse=parse.mac, default=UNSET, sortable=True),
    "fixed_ips": Attribute(
        on_create=True,
        on_update=True,
        parse=parse.list_of(parse.fixed_ip, most=50),
        default=UNSET,
        show=lambda _, port: fixed_ips(port.fixed_ips),
    ),
    "device_id": Attribute(on_create=True, on_update=True, parse=parse.text(255), default="", sortable=True),
    "device_owner": Attribute(on_create=True, on_update=True, parse=parse.text(255), default="", sortable=True),
    "security_groups": Attribute(on_create=True, on_update=True, parse=parse.list_of(parse.uuid), default=UNSET),
    "port_security_enabled": Attribute(on_create=True, on_update=True, parse=parse.boolean, default=UNSET),
    "allowed_address_pairs": Attribute(
        on_create=True, on_update=True, parse=parse.list_of(parse.address_pair, most=10), default=(), show=_pairs
    ),
    "binding:host_id": _binding(parse.or_null(parse.text(255)), "", "host"),
    "binding:vnic_type": Attribute(
        on_create=True,
        on_update=True,
        parse=parse.one_of("normal"),
        default="normal",
        show="vnic_type",
    ),
    "binding:profile": _binding(
        parse.or_null(parse.free_object), UNSET, lambda _, port: dict(port.binding_profile or {})
    ),
    "binding:vif_type": Attribute(shown_to_admin=True, show="vif_type"),
    "binding:vif_details": Attribute(shown_to_admin=True, show=_vif_details, filterable=False),
    "extra_dhcp_opts": Attribute(show=lambda *_: [], filterable=False),
    "tags": TAGS,
    **STAMPS,
}

AUTO_DELETED: Final = frozenset({OWNER_DHCP})
"""Owners of ports that go with their network."""
