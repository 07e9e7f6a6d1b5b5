"""Looking a resource up as the caller may: what one may not see is answered as if it were not there. Pure."""

from collections.abc import Iterable
from typing import Final

from warren.core.errors import Forbidden, NotFound
from warren.server import model, policy
from warren.server.attributes.attribute import UNSET, Asked
from warren.server.context import Context
from warren.server.model import T
from warren.server.snapshot import Snapshot

_NOT_FOUND: Final = {
    model.Network: ("NetworkNotFound", "Network"),
    model.Subnet: ("SubnetNotFound", "Subnet"),
    model.Port: ("PortNotFound", "Port"),
    model.Router: ("RouterNotFound", "Router"),
    model.FloatingIp: ("FloatingIPNotFound", "Floating IP"),
    model.SecurityGroup: ("SecurityGroupNotFound", "Security group"),
    model.SecurityGroupRule: ("SecurityGroupRuleNotFound", "Security group rule"),
    model.Agent: ("AgentNotFound", "Agent"),
}

_GONE: Final = {model.SecurityGroup: "does not exist", model.SecurityGroupRule: "does not exist"}
"""Where the Networking API's clients know other words."""


def visible(now: Snapshot, cls: type[T], resource_id: str, context: Context) -> T:
    """The resource, if the caller may see it.

    Raises:
        NotFound: there is none, or it is not for the caller's eyes.
    """
    found = now.get(cls, resource_id)
    if found is None or not policy.sees(now, context.caller, found):
        kind, what = _NOT_FOUND[cls]
        raise NotFound(kind, f"{what} {resource_id} {_GONE.get(cls, 'could not be found')}.")
    return found


def owned(now: Snapshot, cls: type[T], resource_id: str, context: Context) -> T:
    """The resource, if the caller may change it.

    Raises:
        NotFound: there is none, or it is not for the caller's eyes.
        Forbidden: the caller sees it (it is shared) but it is another project's.
    """
    found = visible(now, cls, resource_id, context)
    if not policy.owns(context.caller, getattr(found, "project_id", "")):
        raise Forbidden("PolicyNotAuthorized", f"{_NOT_FOUND[cls][1]} {resource_id} belongs to another project.")
    return found


def project_of(asked: Asked, context: Context) -> str:
    """The project that a new resource belongs to.

    Raises:
        Forbidden: another project's, asked for by somebody who is no administrator.
    """
    wanted = asked.get("project_id", UNSET)
    if wanted in (UNSET, None, ""):
        return context.caller.project_id
    if wanted != context.caller.project_id and not context.caller.is_admin:
        raise Forbidden("PolicyNotAuthorized", "Only an administrator makes resources for another project.")
    return str(wanted)


def named(now: Snapshot, context: Context, ports: Iterable[model.Port]) -> str:
    """The end of a sentence that speaks of ports: the ids of those that the caller may know of."""
    known = sorted(port.id for port in ports if policy.sees(now, context.caller, port))
    return f", id for these ports is: {', '.join(known[:10])}" if known else ""
