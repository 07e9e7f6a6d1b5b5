"""Attributes of subnets."""

from typing import Any, Final

from warren.server.attributes import parse
from warren.server.attributes.attribute import REQUIRED, UNSET, Attribute, Table
from warren.server.attributes.common import DESCRIPTION, ID, NAME, OWNER, STAMPS, TAGS


def ip_version(value: Any) -> int:
    """4; others are not built."""
    if value in (6, "6"):
        raise ValueError("IPv6 subnets are not supported here")
    return int(parse.one_of(4, "4")(value))


SUBNET: Final[Table] = {
    "id": ID,
    "name": NAME,
    **OWNER,
    "description": DESCRIPTION,
    "network_id": Attribute(on_create=True, parse=parse.uuid, default=REQUIRED, sortable=True),
    "ip_version": Attribute(
        on_create=True,
        parse=ip_version,
        default=REQUIRED,
        show=lambda *_: 4,
        sortable=True,
    ),
    "cidr": Attribute(on_create=True, parse=parse.exact_prefix, default=REQUIRED, sortable=True),
    "gateway_ip": Attribute(on_create=True, on_update=True, parse=parse.or_null(parse.address), sortable=True),
    "allocation_pools": Attribute(on_create=True, on_update=True, parse=parse.list_of(parse.pool), default=UNSET),
    "dns_nameservers": Attribute(
        on_create=True, on_update=True, parse=parse.list_of(parse.address, most=5), default=()
    ),
    "host_routes": Attribute(on_create=True, on_update=True, parse=parse.list_of(parse.route, most=20), default=()),
    "enable_dhcp": Attribute(on_create=True, on_update=True, parse=parse.boolean, default=True, sortable=True),
    "ipv6_address_mode": Attribute(show=lambda *_: None, filterable=False),
    "ipv6_ra_mode": Attribute(show=lambda *_: None, filterable=False),
    "service_types": Attribute(show=lambda *_: [], filterable=False),
    "subnetpool_id": Attribute(show=lambda *_: None, filterable=False),
    "tags": TAGS,
    **STAMPS,
}
