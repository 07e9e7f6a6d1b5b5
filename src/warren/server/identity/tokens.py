"""Signed tokens: what one says is in it, and nothing is stored. Pure but for the secret that it is given.

A token names its user and project; the roles are looked up when it is used, so that taking a role away works at once.
"""

import base64
import binascii
import hmac
from dataclasses import dataclass

import msgspec

from warren.core.errors import Refused
from warren.server.identity.directory import Directory, Project, User
from warren.server.identity.secrets import signature
from warren.server.policy import Caller


class Unauthorized(Refused):
    """HTTP 401: no token, or none that is valid."""

    status = 401


class Claims(msgspec.Struct, frozen=True):
    """What a token says. Times are Unix seconds."""

    user: str
    project: str
    issued: int
    expires: int
    audit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A valid token's meaning."""

    claims: Claims
    user: User
    project: Project | None
    roles: frozenset[str]

    @property
    def caller(self) -> Caller:
        return Caller(user_id=self.user.id, project_id=self.project.id if self.project else "", roles=self.roles)


def issue(secret: bytes, claims: Claims) -> str:
    """The token's text: what it says, base64, and the signature of that."""
    body = base64.urlsafe_b64encode(msgspec.json.encode(claims)).decode().rstrip("=")
    return f"{body}.{signature(secret, 'token', body)}"


def verify(secret: bytes, directory: Directory, token: str, at: float) -> Identity:
    """Who a token is, as of a time.

    Raises:
        Unauthorized: not signed by this server, expired, or its user or project is gone. Which of these is not said.
    """
    refused = Unauthorized("Unauthorized", "The request you have made requires authentication.")
    body, _, signed = token.partition(".")
    if not hmac.compare_digest(signed.encode(errors="replace"), signature(secret, "token", body).encode()):
        raise refused
    try:
        claims = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)), type=Claims)
    except (msgspec.MsgspecError, binascii.Error) as error:
        raise refused from error
    user = directory.user(id_=claims.user)
    project = directory.project(id_=claims.project) if claims.project else None
    if user is None or claims.expires <= at or (claims.project and project is None):
        raise refused
    return identity_of(user, project, claims)


def identity_of(user: User, project: Project | None, claims: Claims) -> Identity:
    roles = user.roles.get(project.id, frozenset()) if project else frozenset()
    if project and not roles:
        raise Unauthorized("Unauthorized", "The request you have made requires authentication.")
    return Identity(claims=claims, user=user, project=project, roles=roles)
