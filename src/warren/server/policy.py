"""Who may see and do what. Pure.

An administrator sees everything. Everybody else sees the resources of the project of their token, shared networks with
their subnets, external networks, and nothing else: what one may not see is answered 404, as if it were not there.
"""

from dataclasses import dataclass
from typing import Final

from warren.core.errors import Forbidden
from warren.server import model
from warren.server.snapshot import Snapshot

ADMIN_ROLE: Final = "admin"
READER_ROLE: Final = "reader"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose token came with the request. Without a project (`project_id` empty) nothing can be made or seen."""

    user_id: str
    project_id: str
    roles: frozenset[str] = frozenset()

    @property
    def is_admin(self) -> bool:
        return ADMIN_ROLE in self.roles

    @property
    def may_write(self) -> bool:
        return bool(self.roles - {READER_ROLE}) and bool(self.project_id)


def owns(caller: Caller, project_id: str) -> bool:
    return caller.is_admin or (bool(caller.project_id) and caller.project_id == project_id)


def sees(now: Snapshot, caller: Caller, resource: model.Resource) -> bool:
    """Whether the resource exists as far as the caller is concerned."""
    if caller.is_admin or not caller.project_id:
        return caller.is_admin
    if isinstance(resource, model.Network):
        return resource.shared or resource.is_external or owns(caller, resource.project_id)
    if isinstance(resource, model.Subnet):
        network = now.of(model.Network, resource.network_id)
        return network.shared or owns(caller, resource.project_id)
    if isinstance(resource, model.SecurityGroup):
        return resource.shared or owns(caller, resource.project_id)
    if isinstance(resource, model.Host | model.Agent | model.Settings):
        return False
    return owns(caller, resource.project_id)


def require_writer(caller: Caller, action: str) -> None:
    """Refuse what a token without a project, or with the reader role only, may not do.

    Raises:
        Forbidden: it may not.
    """
    if not caller.may_write:
        raise Forbidden("PolicyNotAuthorized", f"rule:{action} is disallowed by policy for this token.")


def require_admin(caller: Caller, action: str) -> None:
    """As `require_writer`, for what only an administrator may do.

    Raises:
        Forbidden: the caller is none.
    """
    if not caller.is_admin:
        raise Forbidden("PolicyNotAuthorized", f"rule:{action} is disallowed by policy: it needs the admin role.")
