"""Attributes that most resources have."""

from collections.abc import Mapping
from typing import Any, Final

from warren.core.state import FixedIp
from warren.server.attributes import parse
from warren.server.attributes.attribute import UNSET, Attribute

ID: Final = Attribute(sortable=True)
NAME: Final = Attribute(on_create=True, on_update=True, parse=parse.text(255), default="", sortable=True)
DESCRIPTION: Final = Attribute(on_create=True, on_update=True, parse=parse.text(255), default="")
PROJECT: Final = Attribute(on_create=True, parse=parse.text(255), default=UNSET, sortable=True)
ADMIN_STATE: Final = Attribute(on_create=True, on_update=True, parse=parse.boolean, default=True, sortable=True)

OWNER: Final[Mapping[str, Attribute]] = {
    "project_id": PROJECT,
    "tenant_id": Attribute(show="project_id", sortable=True),
}
STAMPS: Final[Mapping[str, Attribute]] = {
    "created_at": Attribute(sortable=True),
    "updated_at": Attribute(sortable=True),
    "revision_number": Attribute(sortable=True),
}


def no_tags(_now: Any, _resource: Any) -> list[str]:
    """Clients expect the attribute; tags are not kept."""
    return []


TAGS: Final = Attribute(show=no_tags, filterable=False)


def fixed_ips(addresses: tuple[FixedIp, ...]) -> list[dict[str, str]]:
    return [{"subnet_id": fixed.subnet_id, "ip_address": fixed.ip_address} for fixed in addresses]
