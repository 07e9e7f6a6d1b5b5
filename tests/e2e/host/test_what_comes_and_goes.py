"""Ports that come and go by their interface, and what the API deletes."""

import pytest
from tests.e2e.host.estate import PATIENCE_S, Estate, at_rest, wait_for

from warren.lab import api
from warren.lab.instances import Kind, boot

pytestmark = pytest.mark.root


def test_a_port_is_down_when_its_interface_goes_and_active_when_it_comes_back(estate: Estate) -> None:
    instance = boot.plug(
        estate.lab, estate.client, name="vm3", on_host="compute1", network=estate.network, kind=Kind.NETNS
    )
    try:
        estate.wait_status(instance.port_id, "ACTIVE")
        qvo = f"qvo{instance.port_id[:11]}"
        compute = estate.host("compute1")
        compute.must("ovs-vsctl", "del-port", qvo)
        estate.wait_status(instance.port_id, "DOWN")
        assert qvo not in compute.must("ovs-ofctl", "--names", "dump-flows", "br-int")
        ids = f"external_ids:iface-id={instance.port_id}"
        compute.must("ovs-vsctl", "add-port", "br-int", qvo, "--", "set", "Interface", qvo, ids)
        estate.wait_status(instance.port_id, "ACTIVE")
    finally:
        boot.remove(estate.lab, estate.client, instance)


def test_what_was_deleted_by_the_api_leaves_nothing_behind(estate: Estate) -> None:
    before, client = at_rest(estate), estate.client
    tunnels_before = estate.host("compute1").must("ovs-ofctl", "--no-stats", "dump-flows", "br-tun")
    network = client.create_network("passing")
    subnet = client.create_subnet("passing", network, "192.168.9.0/24", "192.168.9.1")
    router = client.create_router("passing")
    client.set_gateway(router, estate.external)
    client.add_interface(router, subnet)
    instance = boot.boot(estate.lab, client, name="vm6", on_host="compute1", network=network, kind=Kind.NETNS)
    boot.wait_lease(estate.lab, instance)
    boot.remove(estate.lab, client, instance)
    client.remove_interface(router, client.ports(network_id=network.id, device_owner="network:router_interface")[0])
    client.delete("router", router.id)
    client.delete("network", network.id)
    wait_for(before, estate)
    assert {*estate.host("network").must("ip", "netns").split()} >= {estate.router_namespace, estate.dhcp_namespace}
    assert router.id not in estate.host("network").must("ip", "netns")
    api.wait_until(
        lambda: (
            estate.host("compute1").must("ovs-ofctl", "--no-stats", "dump-flows", "br-tun").count("\n")
            == tunnels_before.count("\n")
        ),
        "the tunnel bridge of compute1 as it was",
        PATIENCE_S,
    )
