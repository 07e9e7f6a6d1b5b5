"""Users and projects as the configuration has them. Pure."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

_NAMESPACE: Final = uuid.UUID("6f4a5f0e-7d0c-4b58-9f0a-2f6b7e1d3c11")
DOMAIN_ID: Final = "default"
DOMAIN_NAME: Final = "Default"


def stable_id(kind: str, name: str) -> str:
    """The id of a user, project or role that the configuration gives none: always the same for the same name."""
    return uuid.uuid5(_NAMESPACE, f"{kind}/{name}").hex


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    id: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """`roles` are by project id."""

    id: str
    name: str
    password_hash: str
    roles: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory:
    """Everybody. There is one domain, `Default`."""

    users: tuple[User, ...] = ()
    projects: tuple[Project, ...] = ()

    def user(self, *, id_: str | None = None, name: str | None = None) -> User | None:
        return next((user for user in self.users if id_ == user.id or (id_ is None and name == user.name)), None)

    def project(self, *, id_: str | None = None, name: str | None = None) -> Project | None:
        return next((one for one in self.projects if id_ == one.id or (id_ is None and name == one.name)), None)

    def role_names(self) -> list[str]:
        return sorted({role for user in self.users for roles in user.roles.values() for role in roles})
