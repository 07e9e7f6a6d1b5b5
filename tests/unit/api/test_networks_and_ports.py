"""Networks, subnets and ports."""

from tests.unit.api.conftest import with_subnet

from warren.testing.api_server import Client


def test_networks_get_segmentation_ids_of_their_own_and_the_mtu_that_fits_the_tunnel(admin: Client) -> None:
    vxlan = [admin.create("network") for _ in range(3)]
    gre = admin.create("network", provider__network_type="gre")
    assert len({network["provider:segmentation_id"] for network in vxlan}) == 3
    assert {network["mtu"] for network in vxlan} == {1450}
    assert (gre["provider:network_type"], gre["mtu"]) == ("gre", 1458)
    taken = vxlan[0]["provider:segmentation_id"]
    body = {"network": {"provider:network_type": "vxlan", "provider:segmentation_id": taken}}
    assert admin.call("POST", "networks", body).error == "TunnelIdInUse"


def test_only_one_external_network_is_the_default_one(admin: Client) -> None:
    default = {"router:external": True, "is_default": True}
    inside = admin.create("network", is_default=True)["id"]
    first = admin.create("network", **default)["id"]
    second = admin.create("network", router__external=True)["id"]
    refused = [
        admin.call("POST", "networks", {"network": default}),
        admin.call("PUT", f"networks/{second}", {"network": {"is_default": True}}),
        admin.call("PUT", f"networks/{inside}", {"network": {"router:external": True}}),
    ]
    assert {(answer.status, answer.error) for answer in refused} == {(409, "DefaultExternalNetworkExists")}
    assert [network["id"] for network in admin.list("networks?router:external=True&is_default=True")] == [first]
    assert admin.call("PUT", f"networks/{first}", {"network": {"is_default": True, "name": "ext"}}).status == 200
    assert admin.call("PUT", f"networks/{first}", {"network": {"is_default": False}}).status == 200
    assert admin.call("PUT", f"networks/{second}", {"network": {"is_default": True}}).status == 200


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
