"""A client that only reads: what a Networking API calls things. Password authentication of Identity v3."""

import os
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import urllib3

from warren.core.errors import Rejected, Unmet, Unreachable
from warren.sync.messages import UNREADABLE

COLLECTIONS: Final = ("networks", "ports", "routers", "floatingips")
AGENTS: Final = "agents"
"""Tell the hosts' tunnel addresses, to administrators only."""
_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """Who asks, where; the names of OS_* environment variables."""

    auth_url: str
    username: str
    password: str
    project_name: str
    user_domain: str = "Default"
    project_domain: str = "Default"


def from_environment() -> Credentials:
    """The OS_* variables of an `openrc` file.

    Raises:
        Unmet: one is missing.
    """
    needed = ("OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD", "OS_PROJECT_NAME")
    missing = [name for name in needed if not os.environ.get(name)]
    if missing:
        raise Unmet(f"{' and '.join(missing)} must be in the environment: source the cloud's openrc file")
    return Credentials(
        auth_url=os.environ["OS_AUTH_URL"],
        username=os.environ["OS_USERNAME"],
        password=os.environ["OS_PASSWORD"],
        project_name=os.environ["OS_PROJECT_NAME"],
        user_domain=os.environ.get("OS_USER_DOMAIN_NAME", "Default"),
        project_domain=os.environ.get("OS_PROJECT_DOMAIN_NAME", "Default"),
    )


def ask(credentials: Credentials) -> dict[str, Any]:
    """Networks, ports, routers and floating IPs as the API answers them, and agents where it shows them to who asks.

    Raises:
        Unreachable: nobody answers.
        Rejected: it answers no, or has no Networking API.
    """
    http = urllib3.PoolManager(timeout=_TIMEOUT_S, retries=False)
    token, url = _token(http, credentials)
    answer = {name: _pages(http, token, url, name) for name in COLLECTIONS}
    with suppress(Rejected):
        answer[AGENTS] = _pages(http, token, url, AGENTS)
    return answer


def _token(http: urllib3.PoolManager, who: Credentials) -> tuple[str, str]:
    """A token and the Networking API's address."""
    user = {"name": who.username, "password": who.password, "domain": {"name": who.user_domain}}
    scope = {"project": {"name": who.project_name, "domain": {"name": who.project_domain}}}
    auth = {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}
    url = f"{who.auth_url.rstrip('/')}/auth/tokens"
    response = _send(http, "POST", url, {}, {"auth": auth})
    catalog = _json(response, url).get("token", {}).get("catalog", [])
    endpoints = [
        endpoint["url"]
        for service in catalog
        if service.get("type") == "network"
        for endpoint in service.get("endpoints", [])
        if endpoint.get("interface") == "public"
    ]
    if not endpoints:
        raise Rejected(f"{who.auth_url} knows no Networking API")
    return response.headers["X-Subject-Token"], endpoints[0].rstrip("/").removesuffix("/v2.0")


def _pages(http: urllib3.PoolManager, token: str, url: str, name: str) -> list[Any]:
    """A collection, following `next` links until there is none."""
    found: list[Any] = []
    page: str | None = f"{url}/v2.0/{name}"
    while page:
        answer = _json(_send(http, "GET", page, {"X-Auth-Token": token}), page)
        found += answer.get(name, [])
        page = next((link["href"] for link in answer.get(f"{name}_links", []) if link.get("rel") == "next"), None)
    return found


def _send(
    http: urllib3.PoolManager, method: str, url: str, headers: dict[str, str], body: object = None
) -> urllib3.BaseHTTPResponse:
    content = None if body is None else msgspec.json.encode(body)
    try:
        response = http.request(method, url, body=content, headers={"Content-Type": "application/json", **headers})
    except urllib3.exceptions.HTTPError as error:
        raise Unreachable(f"{url} does not answer: {error}") from error
    if response.status not in (200, 201):
        raise Rejected(f"{url} answers {response.status}")
    return response


def _json(response: urllib3.BaseHTTPResponse, url: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(response.data, type=dict[str, Any])
    except UNREADABLE as error:
        raise Rejected(f"{url} answers what no OpenStack API does: {error}") from error
