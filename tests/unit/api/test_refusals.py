"""Requests that cannot be met are refused in the API's own form, and leave no trace."""

import socket
from typing import Any

import msgspec
import pytest
import urllib3

from warren.testing.api_server import Agent, ApiServer, Client


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
    longer = "x" * (2**16 + 1)
    assert (
        alice.call("POST", "networks", longer).body["NeutronError"]["message"].startswith("The request's body is not")
    )
    stranger = http.request("POST", f"{server.url}/v2.0/networks", body=longer)
    assert (stranger.status, b"more than 65536 bytes" in stranger.data) == (400, True), "nothing is kept for strangers"
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
        ({"cidr": "10.0.0.5/24"}, "HTTPBadRequest"),
        ({"cidr": "10.0.0.0"}, "HTTPBadRequest"),
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
