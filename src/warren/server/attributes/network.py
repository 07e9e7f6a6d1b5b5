"""Attributes of networks."""

from typing import Any, Final

from warren.core.state import NetworkType
from warren.server import model
from warren.server.attributes import parse
from warren.server.attributes.attribute import UNSET, Attribute, Table
from warren.server.attributes.common import ADMIN_STATE, DESCRIPTION, ID, NAME, OWNER, STAMPS, TAGS
from warren.server.indexes import SUBNETS_BY_NETWORK
from warren.server.snapshot import Snapshot

_TYPES: Final = parse.one_of(*(kind.value for kind in NetworkType))


def _subnets(now: Snapshot, network: model.Network) -> list[str]:
    return sorted(now.ids(SUBNETS_BY_NETWORK, network.id))


def _status(_now: Snapshot, network: model.Network) -> str:
    return model.ACTIVE if network.admin_state_up else model.DOWN


def _provider(parser: parse.Parser, show: Any) -> Attribute:
    return Attribute(on_create=True, parse=parse.or_null(parser), set_by_admin=True, shown_to_admin=True, show=show)


NETWORK: Final[Table] = {
    "id": ID,
    "name": NAME,
    **OWNER,
    "description": DESCRIPTION,
    "admin_state_up": ADMIN_STATE,
    "status": Attribute(show=_status, sortable=True),
    "subnets": Attribute(show=_subnets),
    "shared": Attribute(
        on_create=True, on_update=True, parse=parse.boolean, default=False, set_by_admin=True, sortable=True
    ),
    "router:external": Attribute(
        on_create=True, on_update=True, parse=parse.boolean, default=False, set_by_admin=True, show="is_external"
    ),
    "is_default": Attribute(on_create=True, on_update=True, parse=parse.boolean, default=False, set_by_admin=True),
    "mtu": Attribute(on_create=True, on_update=True, parse=parse.integer(68, 65535), default=UNSET, sortable=True),
    "port_security_enabled": Attribute(on_create=True, on_update=True, parse=parse.boolean, default=True),
    "provider:network_type": _provider(_TYPES, lambda _, network: network.network_type.value),
    "provider:physical_network": _provider(parse.text(64), "physical_network"),
    "provider:segmentation_id": _provider(parse.integer(1, 2**32 - 1), "segmentation_id"),
    "availability_zone_hints": Attribute(show=lambda *_: [], filterable=False),
    "availability_zones": Attribute(show=lambda *_: [], filterable=False),
    "ipv4_address_scope": Attribute(show=lambda *_: None, filterable=False),
    "ipv6_address_scope": Attribute(show=lambda *_: None, filterable=False),
    "tags": TAGS,
    **STAMPS,
}
