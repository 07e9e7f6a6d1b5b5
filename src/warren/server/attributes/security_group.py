"""Attributes of security groups and their rules."""

from ipaddress import ip_network
from typing import Any, Final

from warren.core.protocols import NUMBERS
from warren.server import model
from warren.server.attributes import parse
from warren.server.attributes.attribute import REQUIRED, Attribute, Table
from warren.server.attributes.common import DESCRIPTION, ID, NAME, OWNER, STAMPS, TAGS
from warren.server.indexes import RULES_BY_GROUP
from warren.server.snapshot import Snapshot


def protocol(value: Any) -> str | None:
    """A protocol by name or number; "any" and null are every protocol."""
    word = str(value).lower()
    if value is None or word in ("any", "-1", ""):
        return None
    if word in NUMBERS:
        return word
    if word.isascii() and word.isdigit() and int(word) <= 255:
        return str(int(word))
    raise ValueError(f"'{value}' is not a protocol: a name of {sorted(NUMBERS)} or a number 0 to 255")


def stateful(value: Any) -> bool:
    """Groups remember connections; others are not built."""
    if not parse.boolean(value):
        raise ValueError("stateless security groups are not supported here")
    return True


def ip_prefix(value: Any) -> str | None:
    """An IPv4 or IPv6 prefix in its canonical spelling."""
    if value in (None, ""):
        return None
    try:
        return str(ip_network(str(value), strict=False))
    except ValueError:
        raise ValueError(f"'{value}' is not a valid IP prefix") from None


def _rules(now: Snapshot, group: model.SecurityGroup) -> list[dict[str, Any]]:
    return [rule_view(now, rule) for rule in now.find(RULES_BY_GROUP, group.id)]


SECURITY_GROUP: Final[Table] = {
    "id": ID,
    "name": NAME,
    **OWNER,
    "description": DESCRIPTION,
    "stateful": Attribute(on_create=True, parse=stateful, default=True),
    "shared": Attribute(),
    "security_group_rules": Attribute(show=_rules, filterable=False),
    "tags": TAGS,
    **STAMPS,
}

SECURITY_GROUP_RULE: Final[Table] = {
    "id": ID,
    **OWNER,
    "description": Attribute(on_create=True, parse=parse.text(255), default=""),
    "security_group_id": Attribute(on_create=True, parse=parse.uuid, default=REQUIRED, sortable=True),
    "direction": Attribute(on_create=True, parse=parse.one_of("ingress", "egress"), default=REQUIRED, sortable=True),
    "ethertype": Attribute(on_create=True, parse=parse.one_of("IPv4", "IPv6"), default="IPv4", sortable=True),
    "protocol": Attribute(on_create=True, parse=protocol, default=None, sortable=True),
    "port_range_min": Attribute(
        on_create=True, parse=parse.or_null(parse.integer(0, 65535)), default=None, sortable=True
    ),
    "port_range_max": Attribute(
        on_create=True, parse=parse.or_null(parse.integer(0, 65535)), default=None, sortable=True
    ),
    "remote_ip_prefix": Attribute(on_create=True, parse=ip_prefix, default=None, sortable=True),
    "remote_group_id": Attribute(on_create=True, parse=parse.or_null(parse.uuid), default=None, sortable=True),
    "remote_address_group_id": Attribute(
        on_create=True, parse=parse.one_of(None), default=None, show=lambda *_: None, filterable=False
    ),
    "normalized_cidr": Attribute(show="remote_ip_prefix", filterable=False),
    "belongs_to_default_sg": Attribute(
        show=lambda now, rule: now.of(model.SecurityGroup, rule.security_group_id).name == "default"
    ),
    **STAMPS,
}


def rule_view(now: Snapshot, rule: model.SecurityGroupRule) -> dict[str, Any]:
    """A rule as it stands in its group."""
    return {
        name: getattr(rule, attribute.show or name) if isinstance(attribute.show, str) else attribute.show(now, rule)
        for name, attribute in SECURITY_GROUP_RULE.items()
    }
