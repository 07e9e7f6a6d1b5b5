"""Deleting what the lab has of networks and instances, so that the first experiment finds nothing again."""

from warren.core.names import DHCP_NAMESPACE_PREFIX, ROUTER_NAMESPACE_PREFIX
from warren.core.state import OWNER_ROUTER_INTERFACE
from warren.lab import api
from warren.lab.experiments.pieces import WITHIN_S
from warren.lab.experiments.scene import Scene
from warren.lab.instances import boot, load_all


def sweep(scene: Scene) -> None:
    """Delete every instance and every object of the lab's networks by the API, and wait until the hosts have followed.

    Raises:
        Refused: the API would not delete something.
        Unreachable: the hosts did not follow in time.
    """
    client = scene.client
    instances, networks = load_all(scene.lab), client.networks()
    for instance in instances.values():
        boot.remove(scene.lab, client, instance)
    for floating in client.floating_ips():
        client.delete("floatingip", floating.id)
    for router in client.routers():
        for port in client.ports(device_id=router.id, device_owner=OWNER_ROUTER_INTERFACE):
            client.remove_interface(router, port)
        client.delete("router", router.id)
    for network in networks:
        for port in client.ports(network_id=network.id):
            if not port.device_owner.startswith("network:"):
                client.delete("port", port.id)
        client.delete("network", network.id)
    for group in client.groups():
        _sweep_rules(client, group)
    if instances or networks:  # else nothing goes, and what hosts have all the same is for the experiments to find
        api.wait_until(
            lambda: _is_quiet(scene), "Every host following the deletion of all networks", WITHIN_S, every_s=0.1
        )


def _sweep_rules(client: api.Client, group: api.Group) -> None:
    """A default group keeps what it was made with: rules that name no protocol."""
    for rule in client.rules(security_group_id=group.id):
        if rule.protocol:
            client.delete("security_group_rule", rule.id)


def _is_quiet(scene: Scene) -> bool:
    """No namespace of a network is left, and no flow of one in br-tun."""
    for place in scene.places.values():
        namespaces = place.must("ip", "netns")
        if DHCP_NAMESPACE_PREFIX in namespaces or ROUTER_NAMESPACE_PREFIX in namespaces:
            return False
        flows = place.must("ovs-ofctl", "dump-flows", "br-tun")
        if "tun_id=" in flows or "dl_vlan=" in flows or "vlan_tci=0x" in flows:
            return False
    return True
