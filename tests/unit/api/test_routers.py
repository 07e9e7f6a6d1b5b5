"""Routers and floating IPs."""

from typing import Any

from tests.unit.api.conftest import WIRED, state_of, with_subnet

from warren.testing.api_server import Agent, Client


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
