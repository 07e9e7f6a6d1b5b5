"""The identity service."""

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import msgspec
import urllib3

from warren.testing.api_server import ApiServer, Client

GUESSES = 60


def test_a_token_says_who_one_is_and_where_the_services_are(server: ApiServer, alice: Client, admin: Client) -> None:
    http = urllib3.PoolManager(retries=False)
    headers = {"X-Auth-Token": alice.token, "X-Subject-Token": alice.token}
    token = msgspec.json.decode(http.request("GET", f"{server.url}/v3/auth/tokens", headers=headers).data)["token"]
    assert (token["user"]["name"], token["project"]["name"]) == ("alice", "red")
    urls = {service["type"]: service["endpoints"][0]["url"] for service in token["catalog"]}
    assert urls == {"network": server.url, "identity": f"{server.url}/v3"}
    headers = {"X-Auth-Token": alice.token, "X-Subject-Token": admin.token}
    assert http.request("GET", f"{server.url}/v3/auth/tokens", headers=headers).status == 403
    projects = http.request("GET", f"{server.url}/v3/projects", headers={"X-Auth-Token": alice.token})
    assert [one["name"] for one in msgspec.json.decode(projects.data)["projects"]] == ["red"]
    http.clear()


def test_the_identity_service_changes_nothing_and_tells_tenants_of_themselves_only(
    server: ApiServer, alice: Client, admin: Client
) -> None:
    def answer(client: Client, path: str, method: str = "GET") -> tuple[int, Any]:
        headers = {"X-Auth-Token": client.token}
        got = urllib3.request(method, f"{server.url}/v3/{path}", headers=headers, retries=False)
        return got.status, msgspec.json.decode(got.data)

    def named(client: Client, query: str = "") -> set[tuple[str, str, str]]:
        rows = answer(client, f"role_assignments?{query}")[1]["role_assignments"]
        return {(row["user"]["name"], row["role"]["name"], row["scope"]["project"]["name"]) for row in rows}

    assert named(alice) == {("alice", "member", "red")}
    assert named(admin, f"scope.project.id={alice.project_id}") == {
        ("alice", "member", "red"),
        ("carol", "reader", "red"),
    }
    ids = {user["name"]: user["id"] for user in answer(admin, "users")[1]["users"]}
    assert [one["name"] for one in answer(admin, f"users/{ids['bob']}/projects")[1]["projects"]] == ["blue"]
    assert answer(alice, f"users/{ids['bob']}/projects")[0] == answer(alice, f"users/{ids['bob']}")[0] == 404
    for unseen in ("projects?name=blue", "projects?name=none", "users?name=bob"):
        assert answer(alice, unseen)[0] == 403, "whether there is one or not"
    assert answer(admin, "projects?name=none")[1]["projects"] == []
    for method, path in (("POST", "users"), ("PATCH", f"users/{ids['bob']}"), ("PUT", "projects/a/users/b/roles/c")):
        status, body = answer(admin, path, method)
        assert status == 403
        assert "in the server's configuration" in body["error"]["message"]
    endpoints = answer(alice, "endpoints?interface=public")[1]["endpoints"]
    assert {one["url"] for one in endpoints} == {server.url, f"{server.url}/v3"}
    (service,) = answer(alice, "services?type=network")[1]["services"]
    assert service["id"] in {one["service_id"] for one in endpoints}


def test_a_flood_of_logins_holds_up_logins_only(server: ApiServer, alice: Client) -> None:
    who = {"name": "nobody", "domain": {"id": "default"}, "password": "guess"}
    body = msgspec.json.encode({"auth": {"identity": {"methods": ["password"], "password": {"user": who}}}})

    def guess(_: int) -> int:
        return urllib3.request("POST", f"{server.url}/v3/auth/tokens", body=body, retries=False, timeout=60).status

    with ThreadPoolExecutor(GUESSES) as guessers:
        guesses = [guessers.submit(guess, number) for number in range(GUESSES)]
        wait(guesses, return_when=FIRST_COMPLETED)
        assert alice.call("GET", "networks").status == 200
        assert sum(one.done() for one in guesses) < GUESSES / 2, "it did not wait for its turn after them"
    assert {one.result() for one in guesses} == {401}
