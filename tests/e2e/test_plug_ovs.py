"""The plug `ovs` on real hosts: ports that its flows cannot guard yet never pass a frame."""

import secrets
from collections.abc import Iterator

import pytest

from warren.core.state import Plug
from warren.lab import api, control
from warren.lab.directory import LabDirectory
from warren.lab.down import take_down
from warren.lab.host import place
from warren.lab.instances import Kind, boot
from warren.lab.plan import LabPlan, plan_hosts
from warren.lab.up import bring_up

pytestmark = pytest.mark.root

PATIENCE_S = 15.0


@pytest.fixture(scope="module")
def lab() -> Iterator[LabDirectory]:
    name = f"e2e{secrets.token_hex(3)}"
    try:
        yield bring_up(LabPlan(name=name, hosts=plan_hosts(total=2, network_hosts=1), plug=Plug.OVS), lambda _: None)
    finally:
        take_down(name)


def test_a_port_with_security_groups_is_refused_and_dead_even_when_somebody_plugs_it(lab: LabDirectory) -> None:
    client = control.wait_for_server(lab)
    network = client.create_network("guarded")
    client.create_subnet("guarded", network, "192.168.6.0/24", "192.168.6.1")
    port = client.create_port("guarded", network, "compute1")
    tap = f"tap{port.id[:11]}"
    compute = place(lab, "compute1")
    plugging = ("set", "Interface", tap, "type=internal", f"external_ids:iface-id={port.id}")
    assert port.vif_type == "binding_failed"
    compute.must("ovs-vsctl", "add-port", "br-int", tap, "--", *plugging)
    api.wait_until(lambda: compute.must("ovs-vsctl", "get", "Port", tap, "tag").strip() == "4095", "death", PATIENCE_S)
    assert tap not in compute.must("ovs-ofctl", "--names", "dump-flows", "br-int")
    assert client.port(port.id).status != "ACTIVE"


def test_a_port_without_port_security_is_wired_and_reaches_its_network(lab: LabDirectory) -> None:
    client = control.wait_for_server(lab)
    network = client.create_network("open", port_security=False)
    client.create_subnet("open", network, "192.168.5.0/24", "192.168.5.1")
    instance = boot.boot(lab, client, name="vm1", on_host="compute1", network=network, kind=Kind.NETNS)
    assert boot.wait_lease(lab, instance)["address"] == instance.address
