"""The stock `openstack` client against the real server: what people type every day."""

import time
import urllib.request

import pytest
from tests.compat.conftest import Served, warren

from warren.core.ids import HostName
from warren.sync.messages import Report, encode


@pytest.fixture(scope="module")
def public(served: Served) -> str:
    """A network outside, made by the administrator; its name."""
    provider = ("--provider-network-type", "flat", "--provider-physical-network", "public")
    served.admin("network", "create", "--external", *provider, "public")
    subnet = ("--subnet-range", "203.0.113.0/24", "--gateway", "203.0.113.1", "--no-dhcp")
    served.admin("subnet", "create", "--network", "public", *subnet, "public-v4")
    return "public"


def test_a_network_lives_from_create_to_delete(served: Served) -> None:
    made = served.red("network", "create", "--mtu", "1400", "--description", "first", "life")
    assert (made["name"], made["status"], made["mtu"], made["description"]) == ("life", "ACTIVE", 1400, "first")
    served.red.act("network", "set", "--name", "afterlife", "--disable", "life")
    shown = served.red("network", "show", "afterlife")
    assert (shown["id"], shown["admin_state_up"]) == (made["id"], False)
    assert [row["Name"] for row in served.red("network", "list", "--name", "afterlife")] == ["afterlife"]
    served.red.act("network", "delete", "afterlife")
    assert "No Network found" in served.red.refused("network", "show", "afterlife")


def test_a_subnet_says_what_its_ports_will_be_told(served: Served) -> None:
    served.red("network", "create", "told")
    pool = ("--allocation-pool", "start=10.1.0.100,end=10.1.0.101", "--gateway", "10.1.0.1")
    more = ("--dns-nameserver", "192.0.2.53", "--host-route", "destination=192.0.2.0/24,gateway=10.1.0.9")
    made = served.red("subnet", "create", "--network", "told", "--subnet-range", "10.1.0.0/24", *pool, *more, "told-v4")
    assert made["allocation_pools"] == [{"start": "10.1.0.100", "end": "10.1.0.101"}]
    assert made["host_routes"] == [{"destination": "192.0.2.0/24", "nexthop": "10.1.0.9"}]
    served.red.act("subnet", "set", "--no-dhcp", "told-v4")
    assert served.red("subnet", "show", "told-v4")["enable_dhcp"] is False
    addresses = {
        served.red("port", "create", "--network", "told", name)["fixed_ips"][0]["ip_address"] for name in ("a", "b")
    }
    assert addresses == {"10.1.0.100", "10.1.0.101"}
    assert "No more IP addresses" in served.red.refused("port", "create", "--network", "told", "c")
    assert "409" in served.red.refused("network", "delete", "told")


def test_a_port_takes_the_address_asked_for_once(served: Served) -> None:
    served.red("network", "create", "asked")
    served.red("subnet", "create", "--network", "asked", "--subnet-range", "10.2.0.0/24", "asked-v4")
    wanted = ("--network", "asked", "--fixed-ip", "subnet=asked-v4,ip-address=10.2.0.77")
    made = served.red("port", "create", *wanted, "--mac-address", "fa:16:3e:00:00:77", "mine")
    assert (made["fixed_ips"][0]["ip_address"], made["mac_address"]) == ("10.2.0.77", "fa:16:3e:00:00:77")
    assert "10.2.0.77" in served.red.refused("port", "create", *wanted, "late")
    served.red.act("port", "set", "--no-security-group", "--disable-port-security", "mine")
    shown = served.red("port", "show", "mine")
    assert (shown["security_group_ids"], shown["port_security_enabled"]) == ([], False)
    assert [row["Name"] for row in served.red("port", "list", "--fixed-ip", "ip-address=10.2.0.77")] == ["mine"]
    both = ("--fixed-ip", "subnet=asked-v4,ip-address=10.2.0.77", "--fixed-ip", "ip-substring=0.77")
    assert [row["Name"] for row in served.red("port", "list", *both)] == ["mine"]
    served.red.act("port", "delete", "mine")
    served.red("port", "create", *wanted, "late")


def test_a_machine_behind_a_router_gets_a_floating_ip(served: Served, public: str) -> None:
    served.red("network", "create", "behind")
    served.red("subnet", "create", "--network", "behind", "--subnet-range", "10.3.0.0/24", "behind-v4")
    served.red("port", "create", "--network", "behind", "machine")
    served.red("router", "create", "edge")
    served.red.act("router", "add", "subnet", "edge", "behind-v4")
    served.red.act("router", "set", "--external-gateway", public, "edge")
    router = served.red("router", "show", "edge")
    assert router["external_gateway_info"]["enable_snat"] is True
    assert router["interfaces_info"][0]["ip_address"] == "10.3.0.1"

    floating = served.red("floating", "ip", "create", "--port", "machine", public)
    address = floating["floating_ip_address"]
    assert address.startswith("203.0.113.")
    assert floating["fixed_ip_address"] == served.red("port", "show", "machine")["fixed_ips"][0]["ip_address"]
    assert "409" in served.red.refused("router", "remove", "subnet", "edge", "behind-v4")
    served.red.act("floating", "ip", "unset", "--port", address)
    assert served.red("floating", "ip", "show", address)["port_id"] is None
    served.red.act("floating", "ip", "set", "--port", "machine", address)
    served.red.act("floating", "ip", "delete", address)

    assert "409" in served.red.refused("router", "delete", "edge")
    served.red.act("router", "remove", "subnet", "edge", "behind-v4")
    served.red.act("router", "unset", "--external-gateway", "edge")
    served.red.act("router", "delete", "edge")


def test_a_security_group_is_a_list_of_rules(served: Served) -> None:
    made = served.red("security", "group", "create", "--description", "ssh only", "ssh")
    assert {rule["direction"] for rule in made["rules"]} == {"egress"}
    rule = served.red("security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "ssh")
    assert (rule["direction"], rule["port_range_min"], rule["port_range_max"]) == ("ingress", 22, 22)
    assert "409" in served.red.refused(
        "security", "group", "rule", "create", "--protocol", "tcp", "--dst-port", "22", "ssh"
    )
    served.red("security", "group", "rule", "create", "--remote-group", "ssh", "ssh")
    assert len(served.red("security", "group", "rule", "list", "ssh")) == 4
    served.red.act("security", "group", "rule", "delete", rule["id"])
    served.red.act("security", "group", "set", "--name", "none", "ssh")
    assert "default" in {row["Name"] for row in served.red("security", "group", "list")}
    served.red.act("security", "group", "delete", "none")


def test_an_agent_that_reports_is_listed_alive(served: Served) -> None:
    token = warren("server", "--config", str(served.config), "agent-token", "compute9")
    report = Report(revision=0, version="1", started_at=time.time(), roles=("compute",), vtep_ip="192.0.2.9")
    request = urllib.request.Request(  # noqa: S310
        f"{served.url}/agent/v1/hosts/{HostName('compute9')}/report",
        data=encode(report),
        headers={"Authorization": f"Bearer {token}"},
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        assert answer.status == 204
    (row,) = [row for row in served.admin("network", "agent", "list") if row["Host"] == "compute9"]
    assert (row["Alive"], row["State"]) == (True, True)
    assert served.admin("network", "agent", "show", row["ID"])["host"] == "compute9"


def test_another_tenant_sees_nothing_and_changes_nothing(served: Served, public: str) -> None:
    secret = served.red("network", "create", "secret")["id"]
    names = {row["Name"] for row in served.blue("network", "list")}
    assert public in names
    assert "secret" not in names
    for words in (("show", secret), ("set", "--name", "taken", secret), ("delete", secret)):
        assert "secret" not in served.blue.refused("network", *words)
    refusal = served.blue.refused("port", "create", "--network", secret, "intruder")
    assert "secret" not in refusal
    assert served.red("network", "show", secret)["name"] == "secret"
    assert secret in {row["ID"] for row in served.admin("network", "list")}


def test_who_is_not_known_or_may_not_is_refused(served: Served, public: str) -> None:
    assert "401" in served.impostor.refused("network", "list")
    assert "403" in served.auditor.refused("network", "create", "graffiti")
    assert public in {row["Name"] for row in served.auditor("network", "list")}
    assert "403" in served.red.refused("network", "create", "--external", "mine")
    assert "403" in served.red.refused("network", "set", "--name", "mine", public)


def test_who_is_who_and_where_the_services_are_is_listed_as_it_is(served: Served) -> None:
    endpoints = served.admin("endpoint", "list", "--interface", "public")
    urls = {"network": served.url, "identity": f"{served.url}/v3"}
    assert {row["Service Type"]: row["URL"] for row in endpoints} == urls
    assert {row["Type"] for row in served.admin("service", "list")} == set(urls)
    assert [row["Region"] for row in served.admin("region", "list")] == ["RegionOne"]
    roles = {
        (row["Role"], row["User"], row["Project"]) for row in served.admin("role", "assignment", "list", "--names")
    }
    red = ("member", "red@Default", "red@Default")
    assert {red, ("reader", "auditor@Default", "red@Default"), ("admin", "admin@Default", "admin@Default")} <= roles
    assert {row["Name"] for row in served.admin("user", "list", "--project", "red")} == {"red", "auditor"}
    assert [row["Name"] for row in served.admin("project", "list", "--user", "auditor")] == ["red"]
    mine = served.red("role", "assignment", "list", "--names")
    assert [(row["Role"], row["User"], row["Project"]) for row in mine] == [red]


def test_what_the_configuration_decides_is_refused_with_that_sentence(served: Served) -> None:
    for words in (("user", "create", "more"), ("project", "create", "more"), ("project", "delete", "red")):
        assert "in the server's configuration" in served.admin.refused(*words)
    assert "limits no project" in served.admin.refused("quota", "set", "--networks", "3", "red")
    assert {row["Resource"]: row["Limit"] for row in served.red("quota", "show")}["networks"] == -1, "which is: none"


def test_a_wrong_value_is_refused_in_words(served: Served) -> None:
    served.red("network", "create", "wrong")
    assert "10.0.0.0/33" in served.red.refused(
        "subnet", "create", "--network", "wrong", "--subnet-range", "10.0.0.0/33", "s"
    )
    assert "400" in served.red.refused("port", "create", "--network", "wrong", "--mac-address", "not:a:mac", "p")
    assert served.red("port", "list", "--network", "wrong") == []
