"""One object's fault, or the host's own, is said and stops nothing else."""

import pytest
from tests.e2e.host.estate import PATIENCE_S, SOON_S, Estate, group_rule_removed, router_route_removed

from warren.lab import api, control
from warren.lab.host import place
from warren.lab.instances import Kind, boot
from warren.lab.plan import WORLD

pytestmark = pytest.mark.root


def test_one_router_that_cannot_be_made_stops_no_other_and_is_made_when_it_can_be(estate: Estate) -> None:
    network = estate.host("network")
    router = estate.client.create_router("r2")
    blocked = estate.client.create_network("blocked")
    subnet = estate.client.create_subnet("blocked", blocked, "192.168.7.0/24", "192.168.7.1")
    in_the_way = f"/run/netns/qrouter-{router.id}"
    network.must("mkdir", in_the_way)
    try:
        with estate.logs("network", "object.wrong", f"router/{router.id}"):
            estate.client.add_interface(router, subnet)
        port = estate.client.ports(network_id=blocked.id, device_owner="network:router_interface")[0]
        estate.wait_status(port.id, "ERROR")
        with estate.logs("network", "setting.repair", "kind=route", estate.router_namespace, "gateway of subnet"):
            router_route_removed(estate)
        floating = estate.client.create_floating_ip(estate.external, estate.client.port(estate.first.port_id))
        world = place(estate.lab, WORLD)
        api.wait_until(
            lambda: world.run("ping", "-c1", "-W1", floating.floating_ip_address).returncode == 0,
            "an answer through the other router's new floating IP",
            PATIENCE_S,
        )
        estate.client.delete("floatingip", floating.id)
        network.must("rmdir", in_the_way)
        estate.wait_status(port.id, "ACTIVE")
        assert f"qrouter-{router.id}" in network.must("ip", "netns")
        estate.client.remove_interface(router, port)
    finally:
        network.run("rmdir", in_the_way)
        estate.client.delete("router", router.id)
        estate.client.delete("network", blocked.id)
    api.wait_until(lambda: router.id not in network.must("ip", "netns"), "the router's end", PATIENCE_S)


def test_a_port_whose_group_cannot_be_enforced_stays_dead_and_stops_no_other(estate: Estate) -> None:
    compute, client = estate.host("compute1"), estate.client
    group = client.create_group("broken", remote_is_itself=True)
    in_the_way = f"warren4-{group.id[:23]}"
    compute.must("ipset", "create", in_the_way, "hash:net", "family", "inet6")
    compute.must("ip6tables", "-A", "INPUT", "-m", "set", "--match-set", in_the_way, "src", "-j", "DROP")
    broken = boot.plug(estate.lab, client, name="vm4", on_host="compute1", network=estate.network, kind=Kind.NETNS)
    sound = boot.plug(estate.lab, client, name="vm5", on_host="compute1", network=estate.network, kind=Kind.NETNS)
    try:
        with estate.logs("compute1", "object.wrong", f"port/{broken.port_id}"):
            client.set_groups(broken.port_id, group)
        estate.wait_status(sound.port_id, "ACTIVE")
        estate.wait_status(broken.port_id, "ERROR")
        with estate.logs("compute1", "filter.repair", "name=filter/warren-o", "groups of port/"):
            group_rule_removed(estate)
        assert f"qvo{broken.port_id[:11]}" not in compute.must("ovs-ofctl", "--names", "dump-flows", "br-int")
        estate.wait_for_ping(SOON_S)
        compute.must("ip6tables", "-D", "INPUT", "-m", "set", "--match-set", in_the_way, "src", "-j", "DROP")
        estate.wait_status(broken.port_id, "ACTIVE")
    finally:
        for instance in (broken, sound):
            boot.remove(estate.lab, client, instance)
        client.delete("security_group", group.id)


def test_a_tap_put_straight_on_br_int_past_its_groups_stays_dead_and_says_why(estate: Estate) -> None:
    compute, client = estate.host("compute1"), estate.client
    port = client.create_port("past", estate.network, "compute1")
    tap = f"tap{port.id[:11]}"
    ids = f"external_ids:iface-id={port.id}"
    try:
        with estate.logs("compute1", "object.wrong", f"port/{port.id}", "past the Linux bridge", f"qvo{port.id[:11]}"):
            compute.must("ovs-vsctl", "add-port", "br-int", tap, "--", "set", "Interface", tap, "type=internal", ids)
        estate.wait_status(port.id, "ERROR")
        assert tap not in compute.must("ovs-ofctl", "--names", "dump-flows", "br-int")
        assert compute.must("ovs-vsctl", "get", "Port", tap, "tag").strip() == "4095"
    finally:
        compute.must("ovs-vsctl", "del-port", tap)
        client.delete("port", port.id)


def test_an_interface_that_ovs_cannot_open_is_a_complaint_until_it_is_there(estate: Estate) -> None:
    network, config = estate.host("network"), estate.lab.host("network") / "run" / "warren" / "agent.toml"
    before = config.read_text()
    estate.kill_agent("network")
    config.write_text(before.replace('interface = "eth1"', 'interface = "eth7"'))
    try:
        with estate.logs("network", "object.wrong", "object=host", "could not open network device eth7"):
            control.run_agent(estate.lab, network)
        with estate.logs("network", "object.right", "object=host"):
            network.must("ip", "link", "add", "eth7", "type", "veth", "peer", "name", "eth8")
    finally:
        estate.kill_agent("network")
        config.write_text(before)
        network.run("ip", "link", "delete", "eth7")
        estate.start_agent("network")
    estate.wait_for_world()


def test_a_state_that_somebody_removes_from_the_disk_is_there_again_with_the_next_pass(estate: Estate) -> None:
    compute, state = estate.host("compute2"), estate.lab.host("compute2") / "run" / "warren" / "state" / "state.json"
    was = state.read_bytes()
    compute.must("rm", "-r", "/run/warren/state")
    compute.must("ovs-ofctl", "del-flows", "br-tun", "table=22")
    api.wait_until(state.exists, f"{state} to be there", PATIENCE_S)
    assert state.read_bytes() == was


def test_a_state_that_cannot_be_put_on_disk_is_followed_and_complained_of_once(estate: Estate) -> None:
    compute, client = estate.host("compute2"), estate.client
    compute.must("mount", "-t", "tmpfs", "-o", "ro", "none", "/run/warren/state")
    try:
        with estate.logs("compute2", "object.wrong", "object=memory", "Read-only file system"):
            instance = boot.plug(
                estate.lab, client, name="vm7", on_host="compute2", network=estate.network, kind=Kind.NETNS
            )
        estate.wait_status(instance.port_id, "ACTIVE")
    finally:
        with estate.logs("compute2", "object.right", "object=memory"):
            compute.must("umount", "/run/warren/state")
        boot.remove(estate.lab, client, instance)
