"""Security groups, their rules, and every project's default group. Pure."""

from ipaddress import ip_network
from typing import Any, Final

from warren.core.errors import Conflict, Invalid
from warren.core.ids import GroupId
from warren.core.protocols import NUMBERS
from warren.server import model
from warren.server.attributes.attribute import Asked
from warren.server.context import Context, new_id
from warren.server.indexes import DEFAULT_GROUPS_BY_PROJECT, PORTS_BY_GROUP, RULES_BY_GROUP, RULES_BY_REMOTE_GROUP
from warren.server.rules.found import owned, project_of, visible
from warren.server.snapshot import Change, Snapshot

DEFAULT: Final = "default"
_PORT_PROTOCOLS: Final = frozenset({"tcp", "udp", "sctp", "dccp", "udplite", "6", "17", "132", "33", "136"})
_ICMP: Final = frozenset({"icmp", "icmpv6", "ipv6-icmp", "1", "58"})
_V6_ONLY: Final = frozenset({"icmpv6", "ipv6-icmp", "ipv6-encap", "ipv6-frag", "ipv6-nonxt", "ipv6-opts", "ipv6-route"})


def with_default_group(now: Snapshot, context: Context, project_id: str) -> Change:
    """The project's default group, if it has none yet: all may leave, and the group's own members may enter."""
    if not project_id or now.ids(DEFAULT_GROUPS_BY_PROJECT, project_id):
        return Change()
    return _new_group(context, project_id, DEFAULT, "Default security group", members_may_enter=True)


def create(now: Snapshot, context: Context, asked: Asked) -> tuple[GroupId, Change]:
    """A new group, with the rules that let everything leave.

    Raises:
        Conflict: it would be a second group named `default`.
    """
    project_id = project_of(asked, context)
    if asked["name"] == DEFAULT:
        raise Conflict("SecurityGroupDefaultAlreadyExists", "Default security group already exists.")
    change = _new_group(context, project_id, asked["name"], asked["description"], members_may_enter=False)
    group = next(value for value in change.values.values() if isinstance(value, model.SecurityGroup))
    return group.id, with_default_group(now, context, project_id).then(change)


def update(now: Snapshot, context: Context, group_id: str, asked: Asked) -> Change:
    """Rename or describe a group.

    Raises:
        Conflict: the default group's name is not to be changed, nor taken.
    """
    group = owned(now, model.SecurityGroup, group_id, context)
    if "name" in asked and asked["name"] != group.name and DEFAULT in (asked["name"], group.name):
        raise Conflict("SecurityGroupCannotUpdateDefault", "Updating default security group not allowed.")
    return Change.put(model.revised(group, context.at, **asked))


def delete(now: Snapshot, context: Context, group_id: str) -> Change:
    """Delete a group with its rules, and the rules that name it.

    Raises:
        Conflict: a port has it, or it is the project's default group.
    """
    group = owned(now, model.SecurityGroup, group_id, context)
    if now.ids(PORTS_BY_GROUP, group.id):
        raise Conflict("SecurityGroupInUse", f"Security Group {group.id} in use.")
    if group.name == DEFAULT and not context.caller.is_admin:
        raise Conflict("SecurityGroupCannotRemoveDefault", "Insufficient rights for removing default security group.")
    rules = now.find(RULES_BY_GROUP, group.id)
    naming = now.find(RULES_BY_REMOTE_GROUP, group.id)
    return Change.delete(*rules, *naming, group)


def create_rule(now: Snapshot, context: Context, asked: Asked) -> tuple[str, Change]:
    """A new rule of a group.

    Raises:
        Invalid: its parts contradict each other.
        Conflict: the group has the same rule.
    """
    group = owned(now, model.SecurityGroup, asked["security_group_id"], context)
    if asked["remote_group_id"]:
        visible(now, model.SecurityGroup, asked["remote_group_id"], context)
    _check_rule(asked)
    rule = model.SecurityGroupRule(
        id=new_id(),
        project_id=group.project_id,
        **{name: asked[name] for name in _RULE_FIELDS},
        created_at=context.at,
        updated_at=context.at,
    )
    for other in now.find(RULES_BY_GROUP, group.id):
        if _meaning(other) == _meaning(rule):
            message = f"Security group rule already exists. Rule id is {other.id}."
            raise Conflict("SecurityGroupRuleExists", message)
    return rule.id, Change.put(rule, model.revised(group, context.at, updated_at=context.at))


def update_rule(now: Snapshot, context: Context, rule_id: str, asked: Asked) -> Change:
    """Nothing of a rule can be changed; the attribute table refuses every attribute before this is asked."""
    return Change.put(model.revised(owned(now, model.SecurityGroupRule, rule_id, context), context.at, **asked))


def delete_rule(now: Snapshot, context: Context, rule_id: str) -> Change:
    """Take a rule out of its group."""
    return Change.delete(owned(now, model.SecurityGroupRule, rule_id, context))


_RULE_FIELDS: Final = (
    "security_group_id",
    "direction",
    "ethertype",
    "protocol",
    "port_range_min",
    "port_range_max",
    "remote_ip_prefix",
    "remote_group_id",
    "description",
)


def _meaning(rule: model.SecurityGroupRule) -> tuple[Any, ...]:
    number = NUMBERS.get(rule.protocol or "", rule.protocol)
    others = (getattr(rule, name) for name in _RULE_FIELDS if name not in {"description", "protocol"})
    return (number and str(number), *others)


def _new_group(context: Context, project_id: str, name: str, description: str, *, members_may_enter: bool) -> Change:
    group = model.SecurityGroup(
        id=GroupId(new_id()),
        project_id=project_id,
        name=name,
        description=description,
        created_at=context.at,
        updated_at=context.at,
    )
    directions = ["egress", "ingress"] if members_may_enter else ["egress"]
    rules = [
        model.SecurityGroupRule(
            id=new_id(),
            project_id=project_id,
            security_group_id=group.id,
            direction=direction,
            ethertype=ethertype,
            remote_group_id=group.id if direction == "ingress" else None,
            created_at=context.at,
            updated_at=context.at,
        )
        for direction in directions
        for ethertype in ("IPv4", "IPv6")
    ]
    return Change.put(group, *rules)


def _check_rule(asked: Asked) -> None:
    protocol, ethertype = asked["protocol"], asked["ethertype"]
    prefix = asked["remote_ip_prefix"]
    if prefix and asked["remote_group_id"]:
        raise Invalid("SecurityGroupMultipleRemoteEntites", "Only remote_ip_prefix or remote_group_id may be provided.")
    if prefix and f"IPv{ip_network(prefix).version}" != ethertype:
        raise Invalid(
            "SecurityGroupRuleParameterConflict", f"Conflicting value ethertype {ethertype} for CIDR {prefix}"
        )
    if protocol in _V6_ONLY and ethertype == "IPv4":
        message = f"Invalid ethertype {ethertype} for protocol {protocol}."
        raise Invalid("SecurityGroupEthertypeConflictWithProtocol", message)
    _check_ports(protocol, asked["port_range_min"], asked["port_range_max"])


def _check_ports(protocol: str | None, least: int | None, most: int | None) -> None:
    if least is None and most is None:
        return
    if protocol is None:
        raise Invalid("SecurityGroupProtocolRequiredWithPorts", "A port range needs a protocol.")
    if protocol in _ICMP:
        _check_icmp(least, most)
        return
    if protocol not in _PORT_PROTOCOLS:
        message = f"Port range cannot be specified for protocol {protocol}: it needs TCP, UDP, SCTP, DCCP or UDP-Lite."
        raise Invalid("SecurityGroupInvalidProtocolForPort", message)
    if least is None or most is None or least > most or least < 1:
        message = "For TCP/UDP protocols, port_range_min must be <= port_range_max, and both from 1 to 65535."
        raise Invalid("SecurityGroupInvalidPortRange", message)


def _check_icmp(kind: int | None, code: int | None) -> None:
    if kind is None:
        message = f"The ICMP code (port_range_max) {code} needs an ICMP type (port_range_min)."
        raise Invalid("SecurityGroupMissingIcmpType", message)
    if max(kind, code or 0) > 255:
        message = f"ICMP type and code are 0 to 255 (type {kind}, code {code})."
        raise Invalid("SecurityGroupInvalidIcmpValue", message)


def require_groups(now: Snapshot, context: Context, group_ids: tuple[str, ...]) -> tuple[GroupId, ...]:
    """The groups that a port is to have, if the caller may use them.

    Raises:
        NotFound: one is not there or not for the caller's eyes.
    """
    return tuple(visible(now, model.SecurityGroup, group_id, context).id for group_id in group_ids)
