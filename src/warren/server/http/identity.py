"""The identity service over HTTP."""

import time
from collections.abc import Callable
from typing import Final

from starlette.responses import Response

from warren.core.errors import Forbidden, NotFound
from warren.server.http.answers import json
from warren.server.http.call import Call
from warren.server.identity import api, tokens


def version(call: Call) -> Response:
    """`GET /v3`."""
    return json({"version": api.version(call.base_url)})


def issue(call: Call) -> Response:
    """`POST /v3/auth/tokens`."""
    service = call.service
    identity = api.authenticate(service.config.directory, call.json(), time.time(), service.config.token_lifetime_s)
    token = tokens.issue(service.secret, identity.claims)
    return json(api.token_view(identity, call.base_url), 201, {"X-Subject-Token": token, "Vary": "X-Auth-Token"})


def validate(call: Call) -> Response:
    """`GET` and `HEAD /v3/auth/tokens`: what another token is; one's own, or any for an administrator."""
    identity = call.identity()
    subject = call.headers.get("x-subject-token", "")
    try:
        found = call.service.identify(subject)
    except tokens.Unauthorized as error:
        raise NotFound("NotFound", "Failed to validate token") from error
    if found.user != identity.user and not identity.caller.is_admin:
        raise Forbidden("Forbidden", "You are not authorized to perform the requested action.")
    return json(api.token_view(found, call.base_url), 200, {"X-Subject-Token": subject, "Vary": "X-Auth-Token"})


def own_projects(call: Call) -> Response:
    """`GET /v3/auth/projects`: where the token's user has a role."""
    identity = call.identity()
    projects = [one for one in call.service.config.directory.projects if one.id in identity.user.roles]
    return json({"projects": [api.project_view(one) for one in projects], "links": {"self": call.url}})


def users_projects(call: Call) -> Response:
    """`GET /v3/users/<id>/projects`: where a user has a role; one's own, or anybody's for an administrator."""
    directory = call.service.config.directory
    known = {user["id"] for user in api.listing(directory, call.identity(), "users", call.base_url)}
    user = directory.user(id_=call.path["id"])
    if user is None or user.id not in known:
        raise NotFound("NotFound", f"Could not find user: {call.path['id']}.")
    projects = [api.project_view(one) for one in directory.projects if one.id in user.roles]
    return json({"projects": projects, "links": {"self": call.url}})


def own_catalog(call: Call) -> Response:
    """`GET /v3/auth/catalog`."""
    call.identity()
    return json({"catalog": api.catalog(call.base_url), "links": {"self": call.url}})


_SCOPE: Final = ("user.id", "role.id", "scope.project.id", "scope.domain.id", "group.id")
_OTHERS: Final = frozenset({"projects", "users"})
"""Of which a tenant sees its own."""
_FILTERS: Final = ("id", "name", "domain_id", "type", "service_id", "interface", "region_id", *_SCOPE)


def listed(call: Call) -> Response:
    """`GET /v3/projects`, `/v3/users`, `/v3/role_assignments` and so on, filtered."""
    name, identity = call.path["collection"], call.identity()
    found = api.listing(call.service.config.directory, identity, name, call.base_url)
    for key, value in call.parameters:
        if key in _FILTERS:
            found = [one for one in found if api.member_at(one, key) == value]
    if not found and name in _OTHERS and not identity.caller.is_admin:
        # Keystone's answer to tenants. Clients then take the name for an id, and say why that is refused; of an empty
        # list they say nothing at all.
        raise Forbidden("Forbidden", f"You are not authorized to see {name} but your own.")
    return json({name: found, "links": {"self": call.url, "previous": None, "next": None}})


def shown(call: Call) -> Response:
    """`GET /v3/projects/<id>` and the like."""
    name = call.path["collection"]
    for one in api.listing(call.service.config.directory, call.identity(), name, call.base_url):
        if one.get("id") == call.path["id"]:
            return json({name.removesuffix("s"): one})
    raise NotFound("NotFound", f"Could not find {name.removesuffix('s')}: {call.path['id']}.")


def unknown(call: Call) -> Response:
    """Whatever else there is of the Identity API."""
    call.identity()
    raise NotFound("NotFound", f"There is no {call.method} {call.url.removeprefix(call.base_url)} here.")


def unchangeable(call: Call) -> Response:
    """Anything that would change a user, a project or a role."""
    call.identity()
    raise api.unchangeable()


_CHANGES: Final = dict.fromkeys(("POST", "PUT", "PATCH", "DELETE"), unchangeable)


def paths() -> dict[str, dict[str, Callable[[Call], Response]]]:
    """Path -> method -> handler."""
    return {
        "/v3": {"GET": version},
        "/v3/auth/tokens": {"POST": issue, "GET": validate, "HEAD": validate},
        "/v3/auth/projects": {"GET": own_projects},
        "/v3/auth/catalog": {"GET": own_catalog},
        "/v3/{collection}": {"GET": listed, **_CHANGES},
        "/v3/{collection}/{id}": {"GET": shown, **_CHANGES},
        "/v3/users/{id}/projects": {"GET": users_projects, **_CHANGES},
        "/v3/{more:path}": {"GET": unknown, **_CHANGES},
    }
