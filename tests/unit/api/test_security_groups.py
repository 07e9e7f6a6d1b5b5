"""Security groups and their rules."""

from typing import Any

from tests.unit.api.conftest import with_subnet

from warren.testing.api_server import Client


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
        ({"port_range_min": 80, "port_range_max": 81, "protocol": "6"}, "SecurityGroupRuleExists"),
        ({"port_range_min": 81, "port_range_max": 80}, "SecurityGroupInvalidPortRange"),
        ({"port_range_min": 1, "port_range_max": 2, "protocol": "gre"}, "SecurityGroupInvalidProtocolForPort"),
        ({"port_range_min": 1, "port_range_max": 2, "protocol": None}, "SecurityGroupProtocolRequiredWithPorts"),
        ({"protocol": "icmp", "port_range_min": 256}, "SecurityGroupInvalidIcmpValue"),
        ({"protocol": "icmp", "port_range_min": 8, "port_range_max": 256}, "SecurityGroupInvalidIcmpValue"),
        ({"protocol": "icmp", "port_range_max": 0}, "SecurityGroupMissingIcmpType"),
        ({"remote_ip_prefix": "fd00::/64"}, "SecurityGroupRuleParameterConflict"),
        ({"remote_ip_prefix": "10.0.0.0/8", "remote_group_id": group}, "SecurityGroupMultipleRemoteEntites"),
        ({"protocol": "nonsense"}, "HTTPBadRequest"),
    ]
    for change, error in changes:
        body = {"security_group_rule": {**rule, **change}}
        assert alice.call("POST", "security-group-rules", body).error == error, change
    assert alice.call("DELETE", f"security-group-rules/{made['id']}").status == 204
    assert alice.call("DELETE", f"security-groups/{group}").status == 204
