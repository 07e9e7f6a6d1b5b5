"""A person with the stock `openstack` client and a lab that is up: network to running machine, nothing else needed."""

import secrets
from collections.abc import Iterator

import pytest
from tests.compat.conftest import Account, warren

from warren.lab.control import CLOUD, TENANT_CLOUD
from warren.lab.directory import open_lab
from warren.lab.down import take_down

pytestmark = pytest.mark.root


@pytest.fixture
def lab() -> Iterator[str]:
    name = f"o{secrets.token_hex(4)}"
    try:
        warren("lab", "up", "--name", name)
        yield name
    finally:
        take_down(name)


def test_the_stock_client_makes_a_network_that_a_machine_boots_on(lab: str, openstack: str) -> None:
    clouds = open_lab(lab).clouds_yaml
    admin, tenant = (Account(client=openstack, clouds=clouds, cloud=cloud) for cloud in (CLOUD, TENANT_CLOUD))
    assert {row["Host"] for row in admin("network", "agent", "list")} == {"network", "compute1", "compute2"}
    red = admin("network", "create", "red")
    admin("subnet", "create", "--network", "red", "--subnet-range", "192.168.9.0/24", "red-v4")
    warren("lab", "boot", "--name", lab, "web", "--host", "compute1", "--network", red["id"])
    (port,) = admin("port", "list", "--device-owner", "compute:lab")
    assert (port["Name"], port["Status"]) == ("web", "ACTIVE")
    address = warren("lab", "exec", "--name", lab, "web", "--", "ip", "-4", "-br", "address", "show", "eth0")
    assert port["Fixed IP Addresses"][0]["ip_address"] in address
    assert tenant("network", "list") == []
