"""The API as a client sees it, on a real server."""

import socket
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import urllib3

from warren.sync.messages import ObjectStatus
from warren.testing.api_server import Agent, ApiServer, Client, api_server

WIRED = ObjectStatus(status="wired")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="module")
def admin(server: ApiServer) -> Iterator[Client]:
    client = server.client()
    yield client
    client.close()


@pytest.fixture(scope="module")
def alice(server: ApiServer) -> Iterator[Client]:
    client = server.client("alice", "red")
    yield client
    client.close()


@pytest.fixture(scope="module")
def bob(server: ApiServer) -> Iterator[Client]:
    client = server.client("bob", "blue")
    yield client
    client.close()


@pytest.fixture(scope="module")
def network_host(server: ApiServer) -> Iterator[Agent]:
    agent = server.agent("network", 1, ("network",))
    assert agent.report() == 204
    yield agent
    agent.close()


@pytest.fixture(scope="module")
def compute(server: ApiServer) -> Iterator[Agent]:
    agent = server.agent("compute1", 2)
    assert agent.report() == 204
    yield agent
    agent.close()


@pytest.fixture(scope="module")
def external(admin: Client) -> dict[str, Any]:
    flat = {"provider__network_type": "flat", "provider__physical_network": "public"}
    network = admin.create("network", name="public", router__external=True, **flat)
    admin.create("subnet", network_id=network["id"], ip_version=4, cidr="203.0.113.0/24", enable_dhcp=False)
    return network


def with_subnet(client: Client, cidr: str = "10.0.0.0/24", **attributes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    network = client.create("network", **attributes)
    return network, client.create("subnet", network_id=network["id"], ip_version=4, cidr=cidr)


# Who may ask


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


# Requests that cannot be


@pytest.mark.parametrize(
    ("path", "body", "status", "error"),
    [
        ("networks", "not json", 400, "HTTPBadRequest"),
        ("networks", b'{"network": {"name": "\xff"}}', 400, "HTTPBadRequest"),
        ("networks", "[" * 100_000, 400, "HTTPBadRequest"),
        ("networks", {}, 400, "HTTPBadRequest"),
        ("networks", {"network": []}, 400, "HTTPBadRequest"),
        ("networks", {"network": {"colour": "red"}}, 400, "HTTPBadRequest"),
        ("networks", {"network": {"status": "ACTIVE"}}, 400, "HTTPBadRequest"),
        ("networks", {"network": {"name": 7}}, 400, "HTTPBadRequest"),
        ("networks", {"network": {"name": "x" * 256}}, 400, "HTTPBadRequest"),
        ("networks", {"network": {"mtu": 1500}}, 400, "InvalidInput"),
        ("networks", {"network": {"provider:network_type": "geneve"}}, 400, "HTTPBadRequest"),
        ("networks", {"network": {"provider:network_type": "flat"}}, 400, "InvalidInput"),
        (
            "networks",
            {"network": {"provider:network_type": "flat", "provider:physical_network": "nowhere"}},
            400,
            "InvalidInput",
        ),
        ("networks", {"network": {"provider:segmentation_id": 5}}, 400, "InvalidInput"),
        (
            "networks",
            {"network": {"provider:network_type": "vxlan", "provider:segmentation_id": 2**24}},
            400,
            "InvalidInput",
        ),
        ("ports", {"port": {}}, 400, "HTTPBadRequest"),
        ("ports", {"port": {"network_id": "00000000-0000-0000-0000-000000000000"}}, 404, "NetworkNotFound"),
        ("subnets", {"subnet": {"network_id": "x", "ip_version": 4, "cidr": "10.0.0.0/24"}}, 400, "HTTPBadRequest"),
        ("routers", {"router": {"distributed": True}}, 400, "HTTPBadRequest"),
        ("security-groups", {"security_group": {"name": "default"}}, 409, "SecurityGroupDefaultAlreadyExists"),
        ("agents", {"agent": {}}, 405, "HTTPMethodNotAllowed"),
    ],
)
def test_a_request_that_cannot_be_met_is_refused_in_the_apis_own_form(
    admin: Client, path: str, body: Any, status: int, error: str
) -> None:
    answer = admin.call("POST", path, body)
    assert (answer.status, answer.error) == (status, error)
    assert set(answer.body["NeutronError"]) == {"type", "message", "detail"}


def test_what_is_too_deep_too_long_or_has_no_end_is_refused_and_leaves_no_trace(
    server: ApiServer, alice: Client, compute: Agent
) -> None:
    nested = ["[" * 100_000, '{"network":' * 100_000, '{"network":{"name":' + "[" * 100_000]
    assert {alice.call("POST", "networks", body).status for body in nested} == {400}
    assert alice.call("GET", f"networks?limit={'9' * 5000}").status == 400
    http = urllib3.PoolManager(retries=False)
    login, report = f"{server.url}/v3/auth/tokens", f"{server.url}/agent/v1/hosts/compute1/report"
    for body in ("[" * 100_000, '{"auth":' * 100_000, '{"strange":' + "[" * 100_000, "x" * (2**24 + 1)):
        assert http.request("POST", login, body=body).status == 400
        assert http.request("POST", report, body=body, headers=compute.headers).status == 400
    state = f"{server.url}/agent/v1/hosts/compute1/state?revision={'9' * 5000}"
    stream = http.request("GET", state, headers=compute.headers, preload_content=False)
    assert msgspec.json.decode(stream.readline())["type"] == "snapshot"
    stream.close()
    host, _, port = server.url.removeprefix("http://").partition(":")
    for path in ("v2.0/networks", "agent/v1/hosts/compute1/report"):
        headers = f"Host: x\r\nContent-Length: 9\r\nAuthorization: {compute.headers['Authorization']}"
        with socket.create_connection((host, int(port))) as gone:
            gone.sendall(f"POST /{path} HTTP/1.1\r\n{headers}\r\n\r\n".encode())
    assert alice.call("GET", "networks").status == 200
    assert "Traceback" not in server.log.read_text()
    http.clear()


@pytest.mark.parametrize(
    ("subnet", "error"),
    [
        ({"cidr": "10.0.0.0/33"}, "HTTPBadRequest"),
        ({"cidr": "fd00::/64", "ip_version": 6}, "HTTPBadRequest"),
        ({"cidr": "224.0.0.0/24"}, "InvalidInput"),
        ({"gateway_ip": "10.0.1.1"}, "InvalidInput"),
        ({"gateway_ip": "10.0.0.255"}, "InvalidInput"),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.0.2"}]}, "HTTPBadRequest"),
        ({"allocation_pools": [{"start": "10.0.0.9", "end": "10.0.1.2"}]}, "OutOfBoundsAllocationPool"),
        ({"allocation_pools": [{"start": "10.0.0.1", "end": "10.0.0.9"}]}, "GatewayConflictWithAllocationPools"),
        ({"dns_nameservers": ["9.9.9.9", "9.9.9.9"]}, "HTTPBadRequest"),
        ({"host_routes": [{"destination": "10.0.0.0/8"}]}, "HTTPBadRequest"),
    ],
)
def test_a_subnet_that_contradicts_itself_is_refused(admin: Client, subnet: dict[str, Any], error: str) -> None:
    network = admin.create("network")
    body = {"network_id": network["id"], "ip_version": 4, "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1", **subnet}
    assert admin.call("POST", "subnets", {"subnet": body}).error == error
    assert admin.list(f"ports?network_id={network['id']}") == []


# Networks, subnets, ports


def test_a_quota_says_that_nothing_is_limited_and_how_much_is_there(admin: Client, alice: Client, bob: Client) -> None:
    alice.create("network")
    project = alice.project_id
    limits = {client.call("GET", f"quotas/{project}").body["quota"]["network"] for client in (alice, admin)}
    assert limits == {alice.call("GET", f"quotas/{project}/default").body["quota"]["network"]} == {-1}
    details = alice.call("GET", f"quotas/{project}/details").body["quota"]["network"]
    assert details == {"limit": -1, "used": len(alice.list(f"networks?project_id={project}")), "reserved": 0}
    assert {bob.call("GET", f"quotas/{project}{more}").status for more in ("", "/default", "/details")} == {403}
    assert alice.call("GET", f"quotas/{project}/nothing").status == 404
    for client, words in ((admin, "limits no project"), (alice, "needs the admin role")):
        for method, body in (("PUT", {"quota": {"network": 1}}), ("DELETE", None)):
            refused = client.call(method, f"quotas/{project}", body)
            assert refused.status == 403
            assert words in refused.body["NeutronError"]["message"]
    assert admin.list("quotas") == []


def test_networks_get_segmentation_ids_of_their_own_and_the_mtu_that_fits_the_tunnel(admin: Client) -> None:
    vxlan = [admin.create("network") for _ in range(3)]
    gre = admin.create("network", provider__network_type="gre")
    assert len({network["provider:segmentation_id"] for network in vxlan}) == 3
    assert {network["mtu"] for network in vxlan} == {1450}
    assert (gre["provider:network_type"], gre["mtu"]) == ("gre", 1458)
    taken = vxlan[0]["provider:segmentation_id"]
    body = {"network": {"provider:network_type": "vxlan", "provider:segmentation_id": taken}}
    assert admin.call("POST", "networks", body).error == "TunnelIdInUse"


def test_a_null_gateway_and_one_left_out_are_different_wishes(admin: Client) -> None:
    network = admin.create("network")["id"]
    plain = admin.create("subnet", network_id=network, ip_version=4, cidr="10.1.0.0/24")
    without = admin.create("subnet", network_id=network, ip_version=4, cidr="10.2.0.0/24", gateway_ip=None)
    assert (plain["gateway_ip"], without["gateway_ip"]) == ("10.1.0.1", None)
    assert plain["allocation_pools"] == [{"start": "10.1.0.2", "end": "10.1.0.254"}]
    assert without["allocation_pools"] == [{"start": "10.2.0.1", "end": "10.2.0.254"}]


def test_a_dhcp_subnet_brings_a_dhcp_port_and_takes_it_away(admin: Client) -> None:
    network, subnet = with_subnet(admin)
    (port,) = admin.list(f"ports?network_id={network['id']}")
    assert (port["device_owner"], port["fixed_ips"][0]["ip_address"]) == ("network:dhcp", "10.0.0.2")
    assert admin.call("DELETE", f"ports/{port['id']}").error == "ServicePortInUse"
    assert admin.call("PUT", f"subnets/{subnet['id']}", {"subnet": {"enable_dhcp": False}}).status == 200
    assert admin.list(f"ports?network_id={network['id']}") == []
    assert admin.call("PUT", f"subnets/{subnet['id']}", {"subnet": {"enable_dhcp": True}}).status == 200
    assert admin.call("DELETE", f"networks/{network['id']}").status == 204
    assert admin.list(f"ports?network_id={network['id']}") == []
    assert admin.call("GET", f"subnets/{subnet['id']}").error == "SubnetNotFound"


def test_a_network_in_use_is_not_deleted_nor_is_its_subnet(admin: Client) -> None:
    network, subnet = with_subnet(admin)
    port = admin.create("port", network_id=network["id"])
    assert admin.call("DELETE", f"networks/{network['id']}").error == "NetworkInUse"
    assert admin.call("DELETE", f"subnets/{subnet['id']}").error == "SubnetInUse"
    assert admin.call("DELETE", f"ports/{port['id']}").status == 204
    assert admin.call("DELETE", f"subnets/{subnet['id']}").status == 204


def test_addresses_and_macs_are_given_once_and_given_back(admin: Client) -> None:
    network, subnet = with_subnet(admin, "10.3.0.0/29")
    wanted = {"fixed_ips": [{"subnet_id": subnet["id"], "ip_address": "10.3.0.5"}], "mac_address": "FA:16:3E:00:00:05"}
    first = admin.create("port", network_id=network["id"], **wanted)
    assert first["mac_address"] == "fa:16:3e:00:00:05"
    body = {"network_id": network["id"], **wanted}
    assert admin.call("POST", "ports", {"port": body}).error == "MacAddressInUse"
    del body["mac_address"]
    assert admin.call("POST", "ports", {"port": body}).error == "IpAddressAlreadyAllocated"
    rest = [admin.create("port", network_id=network["id"]) for _ in range(3)]
    assert admin.call("POST", "ports", {"port": {"network_id": network["id"]}}).error == "IpAddressGenerationFailure"
    addresses = {port["fixed_ips"][0]["ip_address"] for port in (first, *rest)}
    assert addresses == {"10.3.0.3", "10.3.0.4", "10.3.0.5", "10.3.0.6"}
    admin.call("DELETE", f"ports/{rest[0]['id']}")
    again = admin.create("port", network_id=network["id"])
    assert again["fixed_ips"] == rest[0]["fixed_ips"]
    for address, error in (("10.3.0.7", "InvalidIpForSubnet"), ("10.4.0.1", "InvalidIpForNetwork")):
        body = {"network_id": network["id"], "fixed_ips": [{"ip_address": address}]}
        assert admin.call("POST", "ports", {"port": body}).error == error


def test_several_ports_at_once_are_made_all_or_none(admin: Client) -> None:
    network, _ = with_subnet(admin, "10.3.0.0/29")
    four, five = ([{"network_id": network["id"]}] * count for count in (4, 5))
    assert admin.call("POST", "ports", {"ports": five}).status == 409
    assert len(admin.list(f"ports?network_id={network['id']}")) == 1
    answer = admin.call("POST", "ports", {"ports": four})
    assert (answer.status, len(answer.body["ports"])) == (201, 4)


def test_a_port_has_its_projects_default_group_unless_told_otherwise(alice: Client) -> None:
    network, _ = with_subnet(alice)
    (default,) = [group for group in alice.list("security-groups") if group["name"] == "default"]
    assert sorted((rule["direction"], rule["ethertype"]) for rule in default["security_group_rules"]) == [
        ("egress", "IPv4"),
        ("egress", "IPv6"),
        ("ingress", "IPv4"),
        ("ingress", "IPv6"),
    ]
    assert alice.create("port", network_id=network["id"])["security_groups"] == [default["id"]]
    assert alice.create("port", network_id=network["id"], security_groups=[])["security_groups"] == []
    open_port = alice.create("port", network_id=network["id"], port_security_enabled=False)
    assert open_port["security_groups"] == []
    secured = alice.create("port", network_id=network["id"])
    pairs = {"allowed_address_pairs": [{"ip_address": "10.0.0.99"}]}
    wishes: list[tuple[dict[str, Any], dict[str, Any], int, str]] = [
        (open_port, {"security_groups": [default["id"]]}, 400, "PortSecurityAndIPRequiredForSecurityGroups"),
        (secured, {"port_security_enabled": False}, 409, "PortSecurityPortHasSecurityGroup"),
        (open_port, pairs, 409, "AddressPairAndPortSecurityRequired"),
    ]
    for port, wish, status, error in wishes:
        answer = alice.call("PUT", f"ports/{port['id']}", {"port": wish})
        assert (answer.status, answer.error) == (status, error)
    assert alice.call("DELETE", f"security-groups/{default['id']}").status == 409


def test_a_rule_of_a_group_is_checked_and_not_had_twice(alice: Client) -> None:
    group = alice.create("security_group", "security-groups", name="web")["id"]
    rule = {"security_group_id": group, "direction": "ingress", "protocol": "tcp"}
    made = alice.create("security_group_rule", "security-group-rules", **rule, port_range_min=80, port_range_max=81)
    assert made["ethertype"] == "IPv4"
    changes: list[tuple[dict[str, Any], str]] = [
        ({"port_range_min": 80, "port_range_max": 81}, "SecurityGroupRuleExists"),
        ({"port_range_min": 81, "port_range_max": 80}, "SecurityGroupInvalidPortRange"),
        ({"port_range_min": 1, "port_range_max": 2, "protocol": "gre"}, "SecurityGroupInvalidProtocolForPort"),
        ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
        ({"remote_ip_prefix": "fd00::/64"}, "SecurityGroupRuleParameterConflict"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": group}, "SecurityGroupMultipleRemoteEntites"),
        ({"protocol": "nonsense"}, "HTTPBadRequest"),
    ]
    for change, error in changes:
        body = {"security_group_rule": {**rule, **change}}
        assert alice.call("POST", "security-group-rules", body).error == error, change
    assert alice.call("DELETE", f"security-group-rules/{made['id']}").status == 204
    assert alice.call("DELETE", f"security-groups/{group}").status == 204


# Lists


def test_lists_are_filtered_sorted_cut_and_paged(alice: Client) -> None:
    group = alice.create("security_group", "security-groups", name="lists")["id"]
    network, _ = with_subnet(alice)
    here = f"ports?network_id={network['id']}&device_owner="
    names = ["b", "a", "d", "c"]
    ports = {name: alice.create("port", network_id=network["id"], name=name, device_id=f"vm-{name}") for name in names}
    alice.call("PUT", f"ports/{ports['a']['id']}", {"port": {"security_groups": [group]}})
    address = ports["c"]["fixed_ips"][0]["ip_address"]

    def listed(query: str) -> list[str]:
        return [port["name"] for port in alice.list(f"{here}&{query}")]

    assert sorted(listed("name=a&name=d")) == ["a", "d"]
    assert listed(f"fixed_ips=ip_address={address}") == ["c"]
    subnet = f"fixed_ips=subnet_id={ports['c']['fixed_ips'][0]['subnet_id']}"
    assert listed(f"{subnet}&fixed_ips=ip_address={address}") == ["c"], "all that is named must be so"
    assert sorted(listed(f"{subnet}&fixed_ips=ip_address={address}&fixed_ips=ip_address=10.0.0.3")) == ["b", "c"]
    assert listed("fixed_ips=subnet_id=None") == listed("fixed_ips=colour=None") == []
    assert sorted(listed("fixed_ips=ip_address_substr=.0.0.")) == ["a", "b", "c", "d"]
    assert listed(f"{subnet}&fixed_ips=ip_address_substr={address[3:]}") == ["c"]
    assert listed(f"security_groups={group}") == ["a"]
    assert listed("device_id=vm-b&name=a") == []
    assert listed("sort_key=name&sort_dir=desc") == ["d", "c", "b", "a"]
    assert alice.list(f"{here}&name=a&fields=name&fields=id") == [{"name": "a", "id": ports["a"]["id"]}]
    assert alice.call("GET", "ports?colour=red").status == 400
    assert alice.call("GET", f"ports?limit={'9' * 5000}").status == 400
    assert alice.call("GET", "ports?sort_key=fixed_ips").status == 400
    assert alice.call("GET", "ports?limit=many").status == 400
    assert alice.call("GET", f"ports?limit=1&marker={network['id']}").status == 404


def test_pages_follow_each_other_by_their_links(alice: Client) -> None:
    network, _ = with_subnet(alice)
    for name in "abcde":
        alice.create("port", network_id=network["id"], name=name)
    path = f"ports?network_id={network['id']}&device_owner=&sort_key=name&limit=2"
    seen = []
    while path:
        body = alice.call("GET", path).body
        seen.append("".join(port["name"] for port in body["ports"]))
        links = {link["rel"]: link["href"] for link in body.get("ports_links", [])}
        path = links["next"].partition("/v2.0/")[2] if "next" in links else ""
    assert seen == ["ab", "cd", "e"]
    before = alice.call("GET", links["previous"].partition("/v2.0/")[2]).body
    assert [port["name"] for port in before["ports"]] == ["c", "d"]


# Routers and floating IPs


def test_a_router_joins_networks_and_floating_ips_stand_before_ports(
    admin: Client, alice: Client, external: dict[str, Any], network_host: Agent
) -> None:
    network, subnet = with_subnet(alice)
    gateway = {"network_id": external["id"]}
    router = alice.create("router", external_gateway_info=gateway)["id"]
    assert alice.call("PUT", f"routers/{router}/add_router_interface", {"subnet_id": subnet["id"]}).status == 200
    again = alice.call("PUT", f"routers/{router}/add_router_interface", {"subnet_id": subnet["id"]})
    assert (again.status, again.error) == (400, "BadRequest")
    assert f"Router already has a port on subnet {subnet['id']}" in again.body["NeutronError"]["message"]
    other = alice.create("router")["id"]
    taken = alice.call("PUT", f"routers/{other}/add_router_interface", {"subnet_id": subnet["id"]})
    assert taken.error == "IpAddressAlreadyAllocated"
    away = alice.call("PUT", f"routers/{other}/remove_router_interface", {"subnet_id": subnet["id"]})
    assert away.error == "RouterInterfaceNotFoundForSubnet"
    port = alice.create("port", network_id=network["id"])["id"]
    floating = alice.create("floatingip", floating_network_id=external["id"], port_id=port)
    assert floating["router_id"] == router
    assert floating["status"] == "DOWN"
    _, revision = state_of(network_host)
    network_host.report({f"router/{router}": WIRED}, revision=revision, roles=("network",))
    assert alice.call("GET", f"floatingips/{floating['id']}").body["floatingip"]["status"] == "ACTIVE"
    assert alice.call("GET", f"routers/{router}").body["router"]["status"] == "ACTIVE"
    taken = alice.call("POST", "floatingips", {"floatingip": {"floating_network_id": external["id"], "port_id": port}})
    assert taken.error == "FloatingIPPortAlreadyAssociated"
    for method, path, body, error in [
        ("DELETE", f"routers/{router}", None, "RouterInUse"),
        (
            "PUT",
            f"routers/{router}/remove_router_interface",
            {"subnet_id": subnet["id"]},
            "RouterInterfaceInUseByFloatingIP",
        ),
        (
            "PUT",
            f"routers/{router}",
            {"router": {"external_gateway_info": None}},
            "RouterExternalGatewayInUseByFloatingIp",
        ),
    ]:
        assert alice.call(method, path, body).error == error
    assert alice.call("DELETE", f"ports/{port}").status == 204
    left = alice.call("GET", f"floatingips/{floating['id']}").body["floatingip"]
    assert (left["port_id"], left["router_id"], left["status"]) == (None, None, "DOWN")
    assert alice.call("DELETE", f"floatingips/{floating['id']}").status == 204
    assert alice.call("PUT", f"routers/{router}/remove_router_interface", {"subnet_id": subnet["id"]}).status == 200
    assert alice.call("DELETE", f"routers/{router}").status == 204
    assert admin.list(f"ports?device_id={router}") == []


def test_a_router_takes_no_gateway_to_a_network_that_overlaps_one_of_its_own(
    alice: Client, external: dict[str, Any]
) -> None:
    router = alice.create("router")["id"]
    inside = {"subnet_id": with_subnet(alice, "203.0.0.0/16")[1]["id"]}
    gateway = {"router": {"external_gateway_info": {"network_id": external["id"]}}}
    interface = f"routers/{router}/%s_router_interface"
    assert alice.call("PUT", interface % "add", inside).status == 200
    assert alice.call("PUT", f"routers/{router}", gateway).error == "BadRequest"
    assert alice.call("PUT", interface % "remove", inside).status == 200
    assert alice.call("PUT", f"routers/{router}", gateway).status == 200
    assert alice.call("PUT", f"routers/{router}", gateway).status == 200, "the same once more"
    assert alice.call("PUT", interface % "add", inside).error == "BadRequest"


def test_a_router_takes_no_overlapping_subnet_and_no_route_to_nowhere(alice: Client) -> None:
    router = alice.create("router")["id"]
    subnets = [with_subnet(alice, cidr)[1]["id"] for cidr in ("10.0.0.0/24", "10.0.0.0/16")]
    add = f"routers/{router}/add_router_interface"
    assert alice.call("PUT", add, {"subnet_id": subnets[0]}).status == 200
    assert alice.call("PUT", add, {"subnet_id": subnets[1]}).error == "BadRequest"
    assert alice.call("PUT", add, {}).error == "BadRequest"
    for nexthop, status in (("10.0.0.9", 200), ("10.9.0.9", 400), ("10.0.0.1", 400)):
        body = {"router": {"routes": [{"destination": "172.16.0.0/12", "nexthop": nexthop}]}}
        assert alice.call("PUT", f"routers/{router}", body).status == status
    answer = alice.call("PUT", f"routers/{router}/remove_router_interface", {"subnet_id": subnets[0]})
    assert answer.error == "RouterInterfaceInUseByRoute"


def test_routes_are_added_and_removed_one_by_one(alice: Client) -> None:
    router = alice.create("router")["id"]
    alice.call("PUT", f"routers/{router}/add_router_interface", {"subnet_id": with_subnet(alice)[1]["id"]})
    one, two = ({"destination": f"172.{number}.0.0/16", "nexthop": "10.0.0.9"} for number in (16, 17))
    for action, routes, left in [
        ("add", [one], [one]),
        ("add", [one, two], [one, two]),
        ("remove", [one], [two]),
    ]:
        answer = alice.call("PUT", f"routers/{router}/{action}_extraroutes", {"router": {"routes": routes}})
        assert answer.status == 200
        assert answer.body["router"]["routes"] == left


# Agents, binding and status


def state_of(agent: Agent) -> tuple[dict[str, Any], int]:
    """The snapshot that the agent is sent: objects and revision."""
    stream = agent.stream()
    message = msgspec.json.decode(stream.readline())
    stream.close()
    return message["objects"], message["revision"]


def test_a_port_is_active_when_its_host_read_the_wiring_back_and_not_before(
    admin: Client, compute: Agent, network_host: Agent
) -> None:
    network, _ = with_subnet(admin)
    port = admin.create("port", network_id=network["id"], binding__host_id="compute1")
    assert (port["status"], port["binding:vif_type"]) == ("DOWN", "ovs")
    assert port["binding:vif_details"]["ovs_hybrid_plug"] is True
    assert port["binding:vif_details"]["datapath_type"] == "netdev"
    key = f"port/{port['id']}"

    def status() -> str:
        return str(admin.call("GET", f"ports/{port['id']}").body["port"]["status"])

    network_host.report({key: WIRED}, roles=("network",))
    assert status() == "DOWN", "another host's word counts for nothing"
    for said, expected in (("wired", "ACTIVE"), ("absent", "DOWN"), ("error", "ERROR"), ("wired", "ACTIVE")):
        compute.report({key: ObjectStatus(status=said, reason="no such bridge" if said == "error" else "")})
        assert status() == expected
    compute.report({}, complete=True)
    assert status() == "DOWN", "what a complete report leaves out is not there"


def test_the_reason_of_an_error_is_in_the_ports_and_the_agents_status(admin: Client, compute: Agent) -> None:
    network, _ = with_subnet(admin)
    port = admin.create("port", network_id=network["id"], binding__host_id="compute1")["id"]
    compute.report({f"port/{port}": ObjectStatus(status="error", reason="br-int is gone")}, errors=("br-int is gone",))
    assert admin.call("GET", f"ports/{port}").body["port"]["binding:vif_details"]["reason"] == "br-int is gone"
    (row,) = admin.list("agents?host=compute1")
    assert row["configurations"]["errors"] == ["br-int is gone"]
    assert row["configurations"]["objects_in_error"] == {f"port/{port}": "br-int is gone"}


def test_a_host_that_cannot_filter_is_never_given_a_secured_port(server: ApiServer, admin: Client) -> None:
    agent = server.agent("direct1", 9)
    agent.report(plug="ovs")
    network, _ = with_subnet(admin)
    refused = admin.create("port", network_id=network["id"], binding__host_id="direct1")
    assert refused["binding:vif_type"] == "binding_failed"
    assert "cannot filter" in refused["binding:vif_details"]["reason"]
    opened = admin.create("port", network_id=network["id"], binding__host_id="direct1", port_security_enabled=False)
    assert opened["binding:vif_details"]["ovs_hybrid_plug"] is False
    assert [key for key in state_of(agent)[0] if key.startswith("port/")] == [f"port/{opened['id']}"]
    for is_secured, vif_type in ((True, "binding_failed"), (False, "ovs")):
        body = {"port": {"port_security_enabled": is_secured, "security_groups": []}}
        changed = admin.call("PUT", f"ports/{opened['id']}", body).body["port"]
        assert changed["binding:vif_type"] == vif_type
    agent.close()


def test_a_port_on_a_host_without_an_agent_is_bound_when_the_agent_appears(server: ApiServer, admin: Client) -> None:
    network, _ = with_subnet(admin)
    port = admin.create("port", network_id=network["id"], binding__host_id="late1")
    assert port["binding:vif_type"] == "binding_failed"
    assert "no agent" in port["binding:vif_details"]["reason"]
    agent = server.agent("late1", 10)
    agent.report()
    assert admin.call("GET", f"ports/{port['id']}").body["port"]["binding:vif_type"] == "ovs"
    agent.close()


def test_an_agents_credential_is_good_for_its_own_host_only(server: ApiServer, compute: Agent, alice: Client) -> None:
    http = urllib3.PoolManager(retries=False)
    path = f"{server.url}/agent/v1/hosts/network"
    report = msgspec.json.encode(compute.identity)
    for headers, status in [
        ({}, 401),
        ({"X-Auth-Token": alice.token}, 401),
        ({"Authorization": f"Bearer {alice.token}"}, 403),
        (compute.headers, 403),
    ]:
        assert http.request("GET", f"{path}/state", headers=headers).status == status
        assert http.request("POST", f"{path}/report", body=report, headers=headers).status == status
    path = f"{server.url}/agent/v1/hosts/compute1"
    for garbage in (b"{", b'{"version": "\xff"}', b'{"unknown": "\xff"}', b'{"unknown": ' + b"[" * 100_000):
        assert http.request("POST", f"{path}/report", body=garbage, headers=compute.headers).status == 400, garbage[:30]
    endless = http.request(
        "GET", f"{path}/state?revision={'9' * 5000}", headers=compute.headers, preload_content=False, timeout=5
    )
    assert endless.status == 200
    endless.close()
    for wrong in (
        {"vtep_ip": "everywhere"},
        {"vtep_ip": "224.0.0.1"},
        {"vtep_ip": "127.0.0.1"},
        {"plug": "magic"},
        {"started_at": 1e30},
    ):
        assert compute.report(**wrong) == 400, wrong
    token = compute.headers["Authorization"].removeprefix("Bearer ")
    assert http.request("GET", f"{server.url}/v2.0/ports", headers={"X-Auth-Token": token}).status == 401
    http.clear()


def test_a_host_has_the_roles_that_its_credential_gives_it_and_no_router_by_its_word_alone(
    server: ApiServer, admin: Client
) -> None:
    stolen = server.agent("stolen1", 12)
    assert stolen.report() == 204
    for roles in (("network",), ("compute", "network"), ("compute", "anything")):
        assert stolen.report(roles=roles) == 403
    forged = {"Authorization": stolen.headers["Authorization"].replace("compute.", "network.")}
    path = f"{server.url}/agent/v1/hosts/stolen1/report"
    refused = urllib3.request("POST", path, body=msgspec.json.encode(stolen.identity), headers=forged, retries=False)
    assert refused.status == 403
    (row,) = admin.list("agents?host=stolen1")
    assert row["configurations"]["roles"] == ["compute"]
    refused = urllib3.request(
        "POST",
        path,
        body=msgspec.json.encode(msgspec.structs.replace(stolen.identity, roles=("compute", "network"))),
        headers=stolen.headers,
        retries=False,
    )
    message = msgspec.json.decode(refused.data)["error"]["message"]
    assert "gives it the role compute, not network" in message
    assert "`warren server agent-token stolen1 --role compute --role network`" in message
    stolen.close()


def test_a_stream_tells_changes_and_resumes_where_it_was_left(admin: Client, server: ApiServer) -> None:
    agent = server.agent("stream1", 11)
    agent.report()
    stream = agent.stream()
    snapshot = msgspec.json.decode(stream.readline())
    assert snapshot["type"] == "snapshot"
    network, _ = with_subnet(admin)
    port = admin.create("port", network_id=network["id"], binding__host_id="stream1")["id"]
    delta = msgspec.json.decode(stream.readline())
    assert (delta["type"], delta["since"]) == ("delta", snapshot["revision"])
    assert {f"port/{port}", f"network/{network['id']}"} <= set(delta["set"])
    stream.close()
    admin.call("DELETE", f"ports/{port}")
    stream = agent.stream(delta["epoch"], delta["revision"])
    resumed = msgspec.json.decode(stream.readline())
    assert (resumed["type"], resumed["since"]) == ("delta", delta["revision"])
    assert f"port/{port}" in resumed["delete"]
    stream.close()
    for epoch, revision in (("another", delta["revision"]), (delta["epoch"], 10**9), (delta["epoch"], -1)):
        stream = agent.stream(epoch, revision)
        assert msgspec.json.decode(stream.readline())["type"] == "snapshot"
        stream.close()
    agent.close()


def test_a_stream_without_news_says_so_at_once(tmp_path: Path) -> None:
    """Who resumes knows by that that the server is there; a dry run waits for it."""
    with api_server(tmp_path, keepalive_s=3600) as server:
        agent = server.agent("stream1", 11)
        agent.report()
        known = msgspec.json.decode(agent.stream().readline())
        first = msgspec.json.decode(agent.stream(known["epoch"], known["revision"]).readline())
        assert (first["type"], first["revision"]) == ("keepalive", known["revision"])
        agent.close()


# Identity


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
    for method, path in (("POST", "users"), ("PATCH", f"users/{ids['bob']}"), ("PUT", "projects/a/users/b/roles/c")):
        status, body = answer(admin, path, method)
        assert status == 403
        assert "in the server's configuration" in body["error"]["message"]
    endpoints = answer(alice, "endpoints?interface=public")[1]["endpoints"]
    assert {one["url"] for one in endpoints} == {server.url, f"{server.url}/v3"}
    (service,) = answer(alice, "services?type=network")[1]["services"]
    assert service["id"] in {one["service_id"] for one in endpoints}
