"""The identity service over HTTP."""

import time
from collections.abc import Callable

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


def own_catalog(call: Call) -> Response:
    """`GET /v3/auth/catalog`."""
    call.identity()
    return json({"catalog": api.catalog(call.base_url), "links": {"self": call.url}})


def listed(call: Call) -> Response:
    """`GET /v3/projects`, `/v3/users`, `/v3/roles`, `/v3/domains`; filtered by `name` and `domain_id`."""
    name = call.path["collection"]
    found = api.listing(call.service.config.directory, call.identity(), name)
    for key, value in call.parameters:
        if key in ("name", "domain_id", "id"):
            found = [one for one in found if one.get(key) == value]
    return json({name: found, "links": {"self": call.url, "previous": None, "next": None}})


def shown(call: Call) -> Response:
    """`GET /v3/projects/<id>` and the like."""
    name = call.path["collection"]
    for one in api.listing(call.service.config.directory, call.identity(), name):
        if one["id"] == call.path["id"]:
            return json({name.removesuffix("s"): one})
    raise NotFound("NotFound", f"Could not find {name.removesuffix('s')}: {call.path['id']}.")


def paths() -> dict[str, dict[str, Callable[[Call], Response]]]:
    """Path -> method -> handler."""
    return {
        "/v3": {"GET": version},
        "/v3/auth/tokens": {"POST": issue, "GET": validate, "HEAD": validate},
        "/v3/auth/projects": {"GET": own_projects},
        "/v3/auth/catalog": {"GET": own_catalog},
        "/v3/{collection}": {"GET": listed},
        "/v3/{collection}/{id}": {"GET": shown},
    }
