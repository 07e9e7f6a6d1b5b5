"""Who may ask, and what each sees and may change."""

from typing import Any

import msgspec
import urllib3
from tests.unit.api.conftest import with_subnet

from warren.testing.api_server import ApiServer, Client


def test_no_request_is_answered_without_a_valid_token(server: ApiServer, alice: Client) -> None:
    http = urllib3.PoolManager(retries=False)
    paths = ["v2.0/ports", "v2.0/networks/x", "v2.0/extensions", "v2.0/agents", "v3/projects", "v3/auth/projects"]
    body, _, signature = alice.token.partition(".")
    forged = [None, "x", alice.token[:-1], f"{body}.{'0' * len(signature)}", f".{signature}", "é.ü"]
    for path in paths:
        for token in forged:
            headers = {"X-Auth-Token": token.encode().decode("latin-1")} if token else {}
            assert http.request("GET", f"{server.url}/{path}", headers=headers).status == 401, (path, token)
    http.clear()


def test_a_wrong_password_user_or_project_is_told_apart_by_nothing(server: ApiServer) -> None:
    http = urllib3.PoolManager(retries=False)
    answers = set()
    for user, password, project in [
        ("alice", "wrong", "red"),
        ("nobody", "secret", "red"),
        ("alice", "secret", "blue"),
        ("alice", "secret", "nothing"),
    ]:
        who = {"name": user, "domain": {"name": "Default"}, "password": password}
        auth = {
            "identity": {"methods": ["password"], "password": {"user": who}},
            "scope": {"project": {"name": project, "domain": {"id": "default"}}},
        }
        answer = http.request("POST", f"{server.url}/v3/auth/tokens", body=msgspec.json.encode({"auth": auth}))
        answers.add((answer.status, answer.data))
    assert len(answers) == 1
    assert answers.pop()[0] == 401
    http.clear()


def test_tenants_see_their_own_and_what_is_shared_and_of_the_rest_nothing(
    admin: Client, alice: Client, bob: Client, external: dict[str, Any]
) -> None:
    network, subnet = with_subnet(alice, name="private")
    shared, shared_subnet = with_subnet(admin, name="for all", shared=True)
    port = alice.create("port", network_id=network["id"])
    assert {shared["id"], external["id"]} <= {one["id"] for one in bob.list("networks")}
    assert shared_subnet["id"] in {one["id"] for one in bob.list("subnets")}
    for path, resource in (("networks", network), ("subnets", subnet), ("ports", port)):
        assert resource["id"] not in {one["id"] for one in bob.list(path)}
        assert resource["id"] in {one["id"] for one in admin.list(path)}
        for method, body in (("GET", None), ("DELETE", None), ("PUT", {path[:-1]: {"name": "x"}})):
            assert bob.call(method, f"{path}/{resource['id']}", body).status == 404
    assert bob.call("POST", "ports", {"port": {"network_id": network["id"]}}).status == 404
    of_bob = bob.create("port", network_id=shared["id"])
    assert of_bob["fixed_ips"]
    of_alice = alice.create("port", network_id=shared["id"])
    assert of_alice["id"] not in {one["id"] for one in bob.list("ports")}
    taken = {"network_id": shared["id"], "fixed_ips": of_alice["fixed_ips"]}
    assert bob.call("POST", "ports", {"port": taken}).status == 403, "guests take the address that they are given"
    assert bob.call("PUT", f"networks/{shared['id']}", {"network": {"name": "mine"}}).status == 403


def test_a_guest_of_a_shared_network_connects_a_router_but_not_at_everybodys_gateway(
    admin: Client, bob: Client
) -> None:
    shared, subnet = with_subnet(admin, name="for all", shared=True)
    router = bob.create("router", name="mine")
    interface = f"routers/{router['id']}/add_router_interface"
    refused = bob.call("PUT", interface, {"subnet_id": subnet["id"]})
    assert (refused.status, refused.error) == (403, "PolicyNotAuthorized")
    port = bob.create("port", network_id=shared["id"])
    assert bob.call("PUT", interface, {"port_id": port["id"]}).status == 200
    at_gateway = f"routers/{admin.create('router', name='theirs')['id']}/add_router_interface"
    assert admin.call("PUT", at_gateway, {"subnet_id": subnet["id"]}).status == 200


def test_a_floating_ip_comes_by_the_router_at_the_gateway_and_never_by_another_guests(
    admin: Client, alice: Client, bob: Client, external: dict[str, Any]
) -> None:
    shared, subnet = with_subnet(admin, name="for all", shared=True)
    outside = {"external_gateway_info": {"network_id": external["id"]}}

    def joined(client: Client) -> str:
        router = client.create("router", **outside)["id"]
        interface = {"port_id": client.create("port", network_id=shared["id"])["id"]}
        assert client.call("PUT", f"routers/{router}/add_router_interface", interface).status == 200
        return str(router)

    def floating(client: Client) -> Any:
        port = client.create("port", network_id=shared["id"])["id"]
        body = {"floatingip": {"floating_network_id": external["id"], "port_id": port}}
        return client.call("POST", "floatingips", body)

    bobs = [joined(bob), joined(bob)]
    assert floating(alice).error == "ExternalGatewayForFloatingIPNotFound"
    assert floating(bob).body["floatingip"]["router_id"] in bobs
    router = admin.create("router", **outside)["id"]
    assert admin.call("PUT", f"routers/{router}/add_router_interface", {"subnet_id": subnet["id"]}).status == 200
    joined(alice)
    for _ in range(3):
        assert {floating(client).body["floatingip"]["router_id"] for client in (alice, bob)} == {router}


def test_what_is_for_administrators_is_neither_set_nor_seen_by_tenants(alice: Client) -> None:
    network, _ = with_subnet(alice)
    assert not [name for name in network if name.startswith("provider:")]
    port = alice.create("port", network_id=network["id"])
    assert not [name for name in port if name.startswith("binding:") and name != "binding:vnic_type"]
    assert alice.call("GET", "ports?binding:host_id=compute1").status == 400
    assert alice.call("POST", "networks", {"network": {"shared": True}}).status == 403
    body = {"port": {"network_id": network["id"], "binding:host_id": "compute1"}}
    assert alice.call("POST", "ports", body).status == 403
    assert alice.call("POST", "networks", {"network": {"project_id": "another"}}).status == 403
    for owner in ("network:dhcp", "network:anything"):
        body = {"port": {"network_id": network["id"], "device_owner": owner}}
        assert alice.call("POST", "ports", body).status == 403, "hosts trust such ports"
        assert alice.call("PUT", f"ports/{port['id']}", {"port": {"device_owner": owner}}).status == 403
    assert alice.list("agents") == []
    plain = dict.fromkeys(("shared", "router:external", "is_default"), False)
    assert alice.call("POST", "networks", {"network": plain}).status == 201, "what leaving it out means is no wish"
    assert alice.call("PUT", f"networks/{network['id']}", {"network": {"shared": False}}).status == 403


def test_a_tenant_chooses_no_address_outside_and_not_whether_its_own_leave_untranslated(
    admin: Client, alice: Client, external: dict[str, Any]
) -> None:
    outside = {"floating_network_id": external["id"]}
    for address in ("203.0.113.1", "203.0.113.77"):
        body = {"floatingip": {**outside, "floating_ip_address": address}}
        assert alice.call("POST", "floatingips", body).error == "PolicyNotAuthorized"
    assert alice.call("POST", "floatingips", {"floatingip": {**outside, "floating_ip_address": None}}).status == 201
    router = alice.create("router", external_gateway_info={"network_id": external["id"]})["id"]
    wishes: list[dict[str, Any]] = [{"external_fixed_ips": [{"ip_address": "203.0.113.1"}]}, {"enable_snat": False}]
    for wish in wishes:
        body = {"router": {"external_gateway_info": {"network_id": external["id"], **wish}}}
        assert alice.call("POST", "routers", body).error == "PolicyNotAuthorized"
        assert alice.call("PUT", f"routers/{router}", body).error == "PolicyNotAuthorized"
    wish = {"enable_snat": False, "external_fixed_ips": [{"ip_address": "203.0.113.77"}]}
    body = {"router": {"external_gateway_info": {"network_id": external["id"], **wish}}}
    gateway = admin.call("PUT", f"routers/{router}", body).body["router"]["external_gateway_info"]
    assert (gateway["enable_snat"], gateway["external_fixed_ips"][0]["ip_address"]) == (False, "203.0.113.77")


def test_a_tenants_port_is_never_outside_unless_the_network_there_is_shared(
    admin: Client, alice: Client, external: dict[str, Any]
) -> None:
    body = {"port": {"network_id": external["id"]}}
    refused = alice.call("POST", "ports", body)
    assert (refused.status, refused.error) == (403, "PolicyNotAuthorized")
    assert admin.call("POST", "ports", body).status == 201
    assert admin.call("PUT", f"networks/{external['id']}", {"network": {"shared": True}}).status == 200
    assert alice.call("POST", "ports", body).status == 201


def test_a_token_for_no_project_sees_nothing(server: ApiServer, external: dict[str, Any]) -> None:
    unscoped = server.client("alice", "")
    assert external["id"]
    assert [unscoped.list(path) for path in ("networks", "subnets", "security-groups")] == [[], [], []]
    assert unscoped.call("GET", f"networks/{external['id']}").status == 404
    assert unscoped.call("POST", "networks", {"network": {}}).status == 403
    unscoped.close()


def test_a_reader_reads_and_changes_nothing(server: ApiServer, alice: Client) -> None:
    carol = server.client("carol", "red")
    network = alice.create("network")
    assert network["id"] in {one["id"] for one in carol.list("networks")}
    assert carol.call("POST", "networks", {"network": {}}).status == 403
    assert carol.call("DELETE", f"networks/{network['id']}").status == 403
    carol.close()
