"""The Identity API v3 subset: what clients ask before and beside their real work. Pure: values in, values out."""

import secrets
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, Final

from warren.core.errors import Forbidden, Invalid, NotFound
from warren.server.identity.directory import DOMAIN_ID, DOMAIN_NAME, Directory, Project, User, stable_id
from warren.server.identity.secrets import check_password, hash_password
from warren.server.identity.tokens import Claims, Identity, Unauthorized, identity_of

DOMAIN: Final = {"id": DOMAIN_ID, "name": DOMAIN_NAME}
REGION: Final = "RegionOne"
_IN_CONFIGURATION: Final = "users, projects and roles are in the server's configuration, which it reads when it starts"
_WRONG: Final = Unauthorized("Unauthorized", "The request you have made requires authentication.")
_NOBODY: Final = hash_password(secrets.token_hex(8))
"""Checked where there is no such user, so that the time an answer takes does not tell."""


def authenticate(directory: Directory, body: Any, at: float, lifetime_s: int) -> Identity:
    """`POST /v3/auth/tokens` with a password, for a project or unscoped.

    Raises:
        Invalid: the body is not such a request.
        Unauthorized: wrong user, password or project. Which of these is not said.
    """
    try:
        auth = body["auth"]
        if auth["identity"]["methods"] != ["password"]:
            raise Unauthorized("Unauthorized", "Only the password method is supported.")
        asked = auth["identity"]["password"]["user"]
        user = directory.user(id_=asked.get("id"), name=asked.get("name"))
        password = str(asked["password"])
        is_ours = _is_our_domain(asked.get("domain")) or "id" in asked
        wanted = _scope(auth.get("scope"))
    except (KeyError, TypeError, AttributeError):
        raise Invalid("BadRequest", "Expecting to find valid password authentication in the request body.") from None
    is_right = check_password(password, user.password_hash if user else _NOBODY)
    if user is None or not is_right or not is_ours:
        raise _WRONG
    project = directory.project(**wanted) if wanted else None
    if wanted and project is None:
        raise _WRONG
    claims = Claims(
        user=user.id,
        project=project.id if project else "",
        issued=int(at),
        expires=int(at) + lifetime_s,
        audit=secrets.token_urlsafe(16),
    )
    return identity_of(user, project, claims)


def _is_our_domain(domain: Any) -> bool:
    return domain is not None and (domain.get("id") == DOMAIN_ID or domain.get("name") == DOMAIN_NAME)


def _scope(scope: Any) -> dict[str, Any] | None:
    if scope is None or scope == "unscoped" or "unscoped" in scope:
        return None
    project = scope["project"]
    if "id" in project:
        return {"id_": project["id"]}
    if not _is_our_domain(project["domain"]):
        return {"id_": "no such project"}
    return {"name": project["name"]}


def token_view(identity: Identity, base_url: str) -> dict[str, Any]:
    """The body that answers `POST` and `GET /v3/auth/tokens`."""
    claims = identity.claims
    token: dict[str, Any] = {
        "methods": ["password"],
        "user": {
            "id": identity.user.id,
            "name": identity.user.name,
            "domain": DOMAIN,
            "password_expires_at": None,
        },
        "audit_ids": [claims.audit],
        "issued_at": _time(claims.issued),
        "expires_at": _time(claims.expires),
    }
    if identity.project:
        token["project"] = {"id": identity.project.id, "name": identity.project.name, "domain": DOMAIN}
        token["is_domain"] = False
        token["roles"] = [role_view(name) for name in sorted(identity.roles)]
        token["catalog"] = catalog(base_url)
    return {"token": token}


def catalog(base_url: str) -> list[dict[str, Any]]:
    """The services, both at this server."""
    return [
        _service("network", "warren", base_url),
        _service("identity", "warren-identity", f"{base_url}/v3"),
    ]


def _service(kind: str, name: str, url: str) -> dict[str, Any]:
    endpoints = [
        {
            "id": stable_id("endpoint", f"{kind}/{interface}"),
            "interface": interface,
            "region": REGION,
            "region_id": REGION,
            "url": url,
        }
        for interface in ("public", "internal", "admin")
    ]
    return {"id": stable_id("service", kind), "type": kind, "name": name, "endpoints": endpoints}


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000000Z")


def user_view(user: User) -> dict[str, Any]:
    return {"id": user.id, "name": user.name, "domain_id": DOMAIN_ID, "enabled": True, "description": ""}


def project_view(project: Project) -> dict[str, Any]:
    return {
        "id": project.id,
        "name": project.name,
        "description": project.description,
        "domain_id": DOMAIN_ID,
        "parent_id": DOMAIN_ID,
        "is_domain": False,
        "enabled": True,
        "tags": [],
    }


def role_view(name: str) -> dict[str, Any]:
    return {"id": stable_id("role", name), "name": name}


def domain_view() -> dict[str, Any]:
    return {**DOMAIN, "enabled": True, "description": ""}


def listing(directory: Directory, identity: Identity, collection: str, base_url: str) -> list[dict[str, Any]]:
    """`GET /v3/<collection>`: an administrator sees everybody, others themselves and their projects.

    Raises:
        NotFound: there is no such collection here.
    """
    is_admin = identity.caller.is_admin
    if collection == "users":
        return [user_view(user) for user in directory.users if is_admin or user == identity.user]
    if collection == "projects":
        return [project_view(one) for one in directory.projects if is_admin or one.id in identity.user.roles]
    if collection == "roles":
        return [role_view(name) for name in directory.role_names()]
    if collection == "role_assignments":
        return _assignments(directory, [user for user in directory.users if is_admin or user == identity.user])
    known: dict[str, list[dict[str, Any]]] = {
        "domains": [domain_view()],
        "groups": [],
        "regions": [{"id": REGION, "description": "", "parent_region_id": None}],
        "services": [service_view(service) for service in catalog(base_url)],
        "endpoints": [endpoint_view(service, one) for service in catalog(base_url) for one in service["endpoints"]],
    }
    if collection not in known:
        raise NotFound("NotFound", f"There is no /v3/{collection} here: {_IN_CONFIGURATION}.")
    return known[collection]


def service_view(service: dict[str, Any]) -> dict[str, Any]:
    return {"id": service["id"], "type": service["type"], "name": service["name"], "enabled": True, "description": ""}


def endpoint_view(service: dict[str, Any], endpoint: dict[str, Any]) -> dict[str, Any]:
    return {**endpoint, "service_id": service["id"], "enabled": True}


def _assignments(directory: Directory, users: Iterable[User]) -> list[dict[str, Any]]:
    """Who has which role in which project. Names are always there; clients ask for them or leave them."""
    projects = {project.id: project for project in directory.projects}
    return [
        {
            "role": role_view(role),
            "user": {"id": user.id, "name": user.name, "domain": DOMAIN},
            "scope": {"project": {"id": project_id, "name": projects[project_id].name, "domain": DOMAIN}},
        }
        for user in users
        for project_id, roles in user.roles.items()
        for role in sorted(roles)
    ]


def member_at(one: dict[str, Any], path: str) -> Any:
    """What stands at `scope.project.id` or `name` of a resource; None if nothing does."""
    found: Any = one
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return found


def unchangeable() -> Forbidden:
    """The answer to whoever wants to change what is in the configuration."""
    return Forbidden("Forbidden", f"This cannot be changed here: {_IN_CONFIGURATION}.")


def version(base_url: str) -> dict[str, Any]:
    """The identity service's entry in a version list."""
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base_url}/v3/"}],
        "media-types": [{"base": "application/json", "type": "application/vnd.openstack.identity-v3+json"}],
    }
