"""The API's resources: each joins its attribute table with its rules. A new resource is one more entry here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from warren.server import model
from warren.server.attributes.agent import AGENT
from warren.server.attributes.attribute import Asked, Table
from warren.server.attributes.floating_ip import FLOATING_IP
from warren.server.attributes.network import NETWORK
from warren.server.attributes.port import PORT
from warren.server.attributes.router import ROUTER
from warren.server.attributes.security_group import SECURITY_GROUP, SECURITY_GROUP_RULE
from warren.server.attributes.subnet import SUBNET
from warren.server.context import Context
from warren.server.rules import agents, floating_ips, networks, ports, routers, security_groups, subnets
from warren.server.snapshot import Change, Snapshot

Create = Callable[[Snapshot, Context, Asked], tuple[str, Change]]
Update = Callable[[Snapshot, Context, str, Asked], Change]
Delete = Callable[[Snapshot, Context, str], Change]


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiResource:
    """How one resource is reached, read and changed."""

    name: str
    """What wraps one in a body: `{"port": …}`."""
    collection: str
    """What wraps several: `{"ports": […]}`."""
    path: str
    """`/v2.0/<path>`."""
    cls: Any
    table: Table
    create: Create | None = None
    update: Update
    delete: Delete


RESOURCES: Final = (
    ApiResource(
        name="network",
        collection="networks",
        path="networks",
        cls=model.Network,
        table=NETWORK,
        create=networks.create,
        update=networks.update,
        delete=networks.delete,
    ),
    ApiResource(
        name="subnet",
        collection="subnets",
        path="subnets",
        cls=model.Subnet,
        table=SUBNET,
        create=subnets.create,
        update=subnets.update,
        delete=subnets.delete,
    ),
    ApiResource(
        name="port",
        collection="ports",
        path="ports",
        cls=model.Port,
        table=PORT,
        create=ports.create,
        update=ports.update,
        delete=ports.delete,
    ),
    ApiResource(
        name="router",
        collection="routers",
        path="routers",
        cls=model.Router,
        table=ROUTER,
        create=routers.create,
        update=routers.update,
        delete=routers.delete,
    ),
    ApiResource(
        name="floatingip",
        collection="floatingips",
        path="floatingips",
        cls=model.FloatingIp,
        table=FLOATING_IP,
        create=floating_ips.create,
        update=floating_ips.update,
        delete=floating_ips.delete,
    ),
    ApiResource(
        name="security_group",
        collection="security_groups",
        path="security-groups",
        cls=model.SecurityGroup,
        table=SECURITY_GROUP,
        create=security_groups.create,
        update=security_groups.update,
        delete=security_groups.delete,
    ),
    ApiResource(
        name="security_group_rule",
        collection="security_group_rules",
        path="security-group-rules",
        cls=model.SecurityGroupRule,
        table=SECURITY_GROUP_RULE,
        create=security_groups.create_rule,
        update=security_groups.update_rule,
        delete=security_groups.delete_rule,
    ),
    ApiResource(
        name="agent",
        collection="agents",
        path="agents",
        cls=model.Agent,
        table=AGENT,
        update=agents.update,
        delete=agents.delete,
    ),
)

EXTENSIONS: Final = {
    "agent": "Agents",
    "allowed-address-pairs": "Allowed address pairs of ports",
    "binding": "Port binding",
    "ext-gw-mode": "SNAT of a router's gateway on or off",
    "external-net": "External networks",
    "extraroute": "Routes of routers",
    "extraroute-atomic": "Routes of routers, added and removed one by one",
    "ip-substring-filtering": "Ports by a part of an address",
    "net-mtu": "MTU of networks",
    "net-mtu-writable": "MTU of networks, set by clients",
    "pagination": "Paging of lists",
    "port-security": "Port security",
    "project-id": "project_id",
    "provider": "Provider networks",
    "quotas": "Quotas, read only",
    "router": "Routers and floating IPs",
    "security-group": "Security groups",
    "sorting": "Sorting of lists",
    "standard-attr-description": "Descriptions",
    "standard-attr-revisions": "Revision numbers",
    "standard-attr-timestamp": "Creation and change times",
}
"""Alias -> name, as `GET /v2.0/extensions` lists them."""
