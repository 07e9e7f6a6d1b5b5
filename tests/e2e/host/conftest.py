"""One lab for all tests of a host: a network host and two compute hosts, a router with an external network, an instance
on each compute host. Every test leaves it as it found it, which is what is tested.
"""

import secrets
from collections.abc import Iterator

import pytest
from tests.e2e.host.estate import PATIENCE_S, Estate

from warren.lab import control
from warren.lab.directory import LabDirectory
from warren.lab.down import take_down
from warren.lab.instances import Kind, boot
from warren.lab.plan import EXTERNAL_CIDR, EXTERNAL_POOL, WORLD_ADDRESS, LabPlan, plan_hosts
from warren.lab.up import bring_up


@pytest.fixture(scope="package")
def lab() -> Iterator[LabDirectory]:
    name = f"e2e{secrets.token_hex(3)}"
    try:
        yield bring_up(LabPlan(name=name, hosts=plan_hosts(total=3, network_hosts=1)), lambda _: None)
    finally:
        take_down(name)


@pytest.fixture(scope="package")
def estate(lab: LabDirectory) -> Estate:
    client = control.wait_for_server(lab)
    external = client.create_external_network("public", control.PHYSICAL_NETWORK)
    client.create_subnet("outside", external, EXTERNAL_CIDR, WORLD_ADDRESS, pool=EXTERNAL_POOL)
    for group in client.groups():
        client.allow(group, "icmp")
    network = client.create_network("inside")
    subnet = client.create_subnet("inside", network, "192.168.5.0/24", "192.168.5.1")
    router = client.create_router("r1")
    client.set_gateway(router, external)
    client.add_interface(router, subnet)
    first, second = (
        boot.boot(lab, client, name=f"vm{number}", on_host=f"compute{number}", network=network, kind=Kind.NETNS)
        for number in (1, 2)
    )
    for instance in (first, second):
        boot.wait_lease(lab, instance)
    made = Estate(
        lab=lab,
        client=client,
        external=external,
        network=network,
        first=first,
        second=second,
        router_namespace=f"qrouter-{router.id}",
        dhcp_namespace=f"qdhcp-{network.id}",
    )
    made.wait_for_ping(PATIENCE_S)
    return made
