"""The Networking API v2.0: resources, router interfaces, extensions, versions."""

from collections.abc import Callable
from typing import Any, Final

from starlette.responses import Response

from warren.core.errors import Forbidden, NotFound
from warren.server import model, query
from warren.server.http.answers import json
from warren.server.http.call import Call, Handler
from warren.server.identity import api as identity_api
from warren.server.indexes import DHCP_PORTS_BY_HOST, DHCP_PORTS_BY_NETWORK, ROUTERS_BY_HOST
from warren.server.policy import require_admin
from warren.server.resources import EXTENSIONS, RESOURCES, ApiResource

_STATED: Final = "2026-01-01T00:00:00-00:00"


def versions(call: Call) -> Response:
    """`GET /`: both services' versions, for clients that look here for either."""
    return json({"versions": [_version(call.base_url), identity_api.version(call.base_url)]})


def _version(base_url: str) -> dict[str, Any]:
    return {"id": "v2.0", "status": "CURRENT", "links": [{"rel": "self", "href": f"{base_url}/v2.0/"}]}


def version(call: Call) -> Response:
    """`GET /v2.0`: what is there."""
    links = [
        {
            "name": resource.name,
            "collection": resource.collection,
            "links": [{"rel": "self", "href": f"{call.base_url}/v2.0/{resource.path}"}],
        }
        for resource in RESOURCES
    ]
    return json({"resources": links})


def collection(resource: ApiResource) -> dict[str, Handler]:
    """Handlers of `/v2.0/<path>` by method."""

    def listed(call: Call) -> Response:
        caller = call.identity().caller
        found, page = call.service.listed(caller, resource, call.parameters)
        body: dict[str, Any] = {resource.collection: found}
        if links := query.page_links(call.url, call.parameters, page):
            body[f"{resource.collection}_links"] = links
        return json(body)

    def created(call: Call) -> Response:
        caller = call.identity().caller
        body = call.json()
        if isinstance(body, dict) and isinstance(body.get(resource.collection), list):
            made = call.service.create(caller, resource, body[resource.collection])
            return json({resource.collection: made}, 201)
        made = call.service.create(caller, resource, [call.wrapped(resource.name)])
        return json({resource.name: made[0]}, 201)

    return {"GET": listed, "POST": created} if resource.create else {"GET": listed}


def member(resource: ApiResource) -> dict[str, Handler]:
    """Handlers of `/v2.0/<path>/<id>` by method."""

    def shown(call: Call) -> Response:
        fields = frozenset(value for name, value in call.parameters if name == "fields")
        caller = call.identity().caller
        return json({resource.name: call.service.show(caller, resource, call.path["id"], fields)})

    def updated(call: Call) -> Response:
        caller = call.identity().caller
        body = call.wrapped(resource.name)
        return json({resource.name: call.service.update(caller, resource, call.path["id"], body)})

    def deleted(call: Call) -> Response:
        call.service.delete(call.identity().caller, resource, call.path["id"])
        return Response(status_code=204)

    return {"GET": shown, "PUT": updated, "DELETE": deleted}


def router_interface(*, is_added: bool) -> Handler:
    """`PUT /v2.0/routers/<id>/add_router_interface` or `…/remove_router_interface`."""

    def changed(call: Call) -> Response:
        caller = call.identity().caller
        return json(call.service.router_interface(caller, call.path["id"], call.json(), is_added=is_added))

    return changed


def router_routes(*, is_added: bool) -> Handler:
    """`PUT /v2.0/routers/<id>/add_extraroutes` or `…/remove_extraroutes`."""

    def changed(call: Call) -> Response:
        caller = call.identity().caller
        body = call.wrapped("router")
        return json({"router": call.service.router_routes(caller, call.path["id"], body, is_added=is_added)})

    return changed


def extensions(call: Call) -> Response:
    """`GET /v2.0/extensions`."""
    call.identity()
    return json({"extensions": [_extension(alias) for alias in sorted(EXTENSIONS)]})


def extension(call: Call) -> Response:
    """`GET /v2.0/extensions/<alias>`."""
    call.identity()
    alias = call.path["id"]
    if alias not in EXTENSIONS:
        raise NotFound("ExtensionNotFound", f"Extension with alias {alias} does not exist.")
    return json({"extension": _extension(alias)})


def _extension(alias: str) -> dict[str, Any]:
    return {
        "alias": alias,
        "name": EXTENSIONS[alias],
        "description": EXTENSIONS[alias],
        "updated": _STATED,
        "links": [],
    }


_LIMITED: Final = [resource for resource in RESOURCES if resource.create]


def quota(call: Call) -> Response:
    """`GET /v2.0/quotas/<project>` and `…/default`: nothing is limited."""
    _quota_project(call)
    return json({"quota": {resource.name: -1 for resource in _LIMITED}})


def quotas(call: Call) -> Response:
    """`GET /v2.0/quotas`: the projects with a quota of their own, of which there are none."""
    require_admin(call.identity().caller, "get_quotas")
    return json({"quotas": []})


def quota_change(call: Call) -> Response:
    """`PUT` and `DELETE /v2.0/quotas/<project>`: refused, since it would limit nothing."""
    require_admin(call.identity().caller, "update_quota")
    raise Forbidden("HTTPForbidden", "Quotas cannot be changed: this server limits no project.")


def quota_details(call: Call) -> Response:
    """`GET /v2.0/quotas/<project>/details`: how much of what is not limited is there."""
    project, now = _quota_project(call), call.service.store.current()
    used = {resource.name: sum(one.project_id == project for one in now.all(resource.cls)) for resource in _LIMITED}
    return json({"quota": {name: {"limit": -1, "used": number, "reserved": 0} for name, number in used.items()}})


def _quota_project(call: Call) -> str:
    caller = call.identity().caller
    project = call.path["id"]
    if project != caller.project_id:
        require_admin(caller, "get_quota")
    return project


def hosting(kind: str) -> Handler:
    """`GET /v2.0/routers/<id>/l3-agents` and `/v2.0/networks/<id>/dhcp-agents`: the agent that runs it."""
    agent_type = model.L3_AGENT if kind == "router" else model.DHCP_AGENT
    agents = next(resource for resource in RESOURCES if resource.name == "agent")

    def listed(call: Call) -> Response:
        caller = call.identity().caller
        require_admin(caller, "get_l3-agents" if kind == "router" else "get_dhcp-agents")
        now = call.service.store.current()
        router = now.get(model.Router, call.path["id"])
        server = now.find_one(DHCP_PORTS_BY_NETWORK, call.path["id"])
        host = (router.host if router else "") if kind == "router" else (server.host if server else "")
        found, _ = call.service.listed(caller, agents, [("host", host), ("agent_type", agent_type)])
        return json({"agents": found})

    return listed


def hosted(kind: str) -> Handler:
    """`GET /v2.0/agents/<id>/l3-routers` and `…/dhcp-networks`: what an agent runs."""
    resource = next(one for one in RESOURCES if one.name == kind)

    def listed(call: Call) -> Response:
        caller = call.identity().caller
        require_admin(caller, "get_l3-routers" if kind == "router" else "get_dhcp-networks")
        now = call.service.store.current()
        agent = now.get(model.Agent, call.path["id"])
        if agent is None:
            raise NotFound("AgentNotFound", f"Agent {call.path['id']} could not be found.")
        served = {port.network_id for port in now.find(DHCP_PORTS_BY_HOST, agent.host)}
        ids = now.ids(ROUTERS_BY_HOST, agent.host) if kind == "router" else served
        found = [one for one in call.service.listed(caller, resource, [])[0] if one["id"] in ids]
        return json({resource.collection: found})

    return listed


Methods = dict[str, Callable[[Call], Response]]


def paths() -> dict[str, Methods]:
    """Path -> method -> handler, for everything under `/v2.0`."""
    found: dict[str, Methods] = {
        "/": {"GET": versions},
        "/v2.0": {"GET": version},
        "/v2.0/extensions": {"GET": extensions},
        "/v2.0/extensions/{id}": {"GET": extension},
        "/v2.0/quotas": {"GET": quotas},
        "/v2.0/quotas/{id}": {"GET": quota, "PUT": quota_change, "DELETE": quota_change},
        "/v2.0/quotas/{id}/default": {"GET": quota},
        "/v2.0/quotas/{id}/details": {"GET": quota_details},
        "/v2.0/quotas/{id}/details.json": {"GET": quota_details},
        "/v2.0/routers/{id}/add_router_interface": {"PUT": router_interface(is_added=True)},
        "/v2.0/routers/{id}/remove_router_interface": {"PUT": router_interface(is_added=False)},
        "/v2.0/routers/{id}/add_extraroutes": {"PUT": router_routes(is_added=True)},
        "/v2.0/routers/{id}/remove_extraroutes": {"PUT": router_routes(is_added=False)},
        "/v2.0/routers/{id}/l3-agents": {"GET": hosting("router")},
        "/v2.0/networks/{id}/dhcp-agents": {"GET": hosting("network")},
        "/v2.0/agents/{id}/l3-routers": {"GET": hosted("router")},
        "/v2.0/agents/{id}/dhcp-networks": {"GET": hosted("network")},
    }
    for resource in RESOURCES:
        found[f"/v2.0/{resource.path}"] = collection(resource)
        found[f"/v2.0/{resource.path}/{{id}}"] = member(resource)
    return found
