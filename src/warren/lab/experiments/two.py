"""Experiment 2: networks. The network host gets namespaces and the flows of one network; compute hosts get nothing."""

import re

from warren.core import names
from warren.core.ids import PortId
from warren.core.state import OWNER_DHCP, OWNER_ROUTER_GATEWAY, OWNER_ROUTER_INTERFACE
from warren.lab.control import PHYSICAL_NETWORK
from warren.lab.experiments import expected, pieces
from warren.lab.experiments.record import Hop
from warren.lab.experiments.scene import Scene
from warren.lab.experiments.sight import Sight
from warren.lab.experiments.tables import difference
from warren.lab.plan import EXTERNAL_CIDR, EXTERNAL_POOL, WORLD, WORLD_ADDRESS

TENANT_CIDR = "192.168.5.0/24"
TENANT_GATEWAY = "192.168.5.1"
COUNT = 3


def run(scene: Scene) -> None:
    """An external network, a tenant network with a subnet, a router between them."""
    scene.begin(
        2,
        "Networks",
        "What do a network, a subnet and a router make on the hosts, before any machine uses them?",
    )
    before = scene.stage("2a-before", "before the first network")
    _external_network(scene)
    scene.stage("2b-external-network", "an external network: flat, so nothing for the tunnels")
    _tenant_network(scene)
    pieces.wait_active(scene, OWNER_DHCP)
    scene.stage("2c-tenant-network", "a tenant network with a subnet: its DHCP server is the first port")
    _router(scene)
    pieces.wait_active(scene, OWNER_ROUTER_GATEWAY, OWNER_ROUTER_INTERFACE)
    after = scene.stage("2d-router", "a router with its gateway and an interface")
    _claim_router_namespace(scene, after)
    _claim_dhcp_namespace(scene, after)
    _claim_flows(scene, before, after)
    _claim_gateway_answers(scene)


def _external_network(scene: Scene) -> None:
    external = scene.client.create_external_network("public", PHYSICAL_NETWORK)
    scene.client.create_subnet("public-v4", external, EXTERNAL_CIDR, WORLD_ADDRESS, pool=EXTERNAL_POOL)
    scene.objects.external = external


def _tenant_network(scene: Scene) -> None:
    scene.objects.tenant = scene.client.create_network("red", port_security=pieces.is_filtered(scene))
    scene.objects.tenant_subnet = scene.client.create_subnet(
        "red-v4", pieces.tenant(scene), TENANT_CIDR, TENANT_GATEWAY
    )


def _router(scene: Scene) -> None:
    assert scene.objects.external is not None
    assert scene.objects.tenant_subnet is not None
    router = scene.client.create_router("r1")
    scene.objects.router = router
    scene.client.set_gateway(router, scene.objects.external)
    scene.client.add_interface(router, scene.objects.tenant_subnet)


def _claim_router_namespace(scene: Scene, seen: Sight) -> None:
    host, namespace = scene.network_host, pieces.router_namespace(scene)
    inner, outer = pieces.port_of(scene, OWNER_ROUTER_INTERFACE), pieces.port_of(scene, OWNER_ROUTER_GATEWAY)
    wanted = {
        names.router_interface(PortId(inner.id)): f"{inner.address}/24",
        names.router_gateway(PortId(outer.id)): f"{outer.address}/24",
    }
    addresses = seen[host].text(f"ip_addr_{namespace}")
    found = {name: _address_of(addresses, name) for name in wanted}
    routes = seen[host].text(f"ip_route_{namespace}")
    default = re.search(r"^default via (\S+)", routes, re.MULTILINE)
    has_route = default is not None and default[1] == WORLD_ADDRESS
    scene.claim(
        f"on {host}, qrouter has qr- and qg- with their addresses and a default route",
        held=found == wanted and has_route,
        expected=f"{pieces.listed(wanted)}, default via {WORLD_ADDRESS}",
        observed=f"{pieces.listed(found)}, {default[0] if default else 'no default route'}",
        evidence=seen[host].evidence(f"ip_addr_{namespace}"),
    )


def _address_of(addresses: str, interface: str) -> str:
    """The first IPv4 address of an interface, in the output of `ip address`."""
    part = re.search(rf"^\d+: {re.escape(interface)}[@:].*?(?=^\d+: |\Z)", addresses, re.MULTILINE | re.DOTALL)
    found = re.search(r"inet (\S+)", part[0]) if part else None
    return found[1] if found else "none"


def _claim_dhcp_namespace(scene: Scene, seen: Sight) -> None:
    host, namespace = scene.network_host, pieces.dhcp_namespace(scene)
    port = pieces.port_of(scene, OWNER_DHCP)
    interface = names.tap(PortId(port.id))
    address = _address_of(seen[host].text(f"ip_addr_{namespace}"), interface)
    running = seen[host].text(f"pids_{namespace}")
    scene.claim(
        f"on {host}, qdhcp has its port with its address, and dnsmasq runs in it",
        held=address == f"{port.address}/24" and "dnsmasq" in running,
        expected=f"{interface} {port.address}/24, dnsmasq",
        observed=f"{interface} {address}, {'dnsmasq' if 'dnsmasq' in running else 'no dnsmasq'}",
        evidence=seen[host].evidence(f"pids_{namespace}"),
    )


def _claim_flows(scene: Scene, before: Sight, after: Sight) -> None:
    network, host = pieces.tenant(scene), scene.network_host
    vlan = pieces.vlan_of_tenant(scene, host)
    peers = sorted(pieces.peers_of(scene, host).values()) if scene.is_learning else []
    wanted = set(
        expected.network_flows(
            tunnel=scene.tunnel, segmentation_id=network.segmentation_id or 0, vlan=vlan, ports=peers
        )
    )
    for name, sight in after.hosts.items():
        change = difference(before[name].tunnels, sight.tunnels)
        is_here = name == host
        lacks = "" if scene.is_learning else "; no flood list, since no other host has a port of it"
        found, mine = expected.keys(change.added), wanted if is_here else set()
        scene.claim(
            f"br-tun on {name} gained exactly the flows for segmentation id {network.segmentation_id} and local VLAN "
            f"{vlan}{lacks}"
            if is_here
            else f"br-tun on {name} gained nothing",
            held=found == mine and not change.removed,
            expected=expected.shown(mine),
            observed=expected.shown(found) + (f"; gone: {len(change.removed)}" if change.removed else ""),
            evidence=sight.evidence("dump-flows_br-tun"),
        )


def _claim_gateway_answers(scene: Scene) -> None:
    gateway = pieces.port_of(scene, OWNER_ROUTER_GATEWAY)
    done = scene.on(WORLD, *pieces.ping_words(scene, WORLD, gateway.address, COUNT))
    pieces.claim_answered(scene, "the world host can ping qg", done.stdout, COUNT, f"{WORLD}/ping_qg")
    scene.way(
        "An echo request from the world to the router's gateway",
        [
            Hop(host=WORLD, place="eth0", detail=f"{WORLD_ADDRESS} → {gateway.address}"),
            Hop(host=scene.network_host, place="br-ex", detail="from eth1, by NORMAL, to phy-br-ex"),
            Hop(host=scene.network_host, place="br-int", detail="from int-br-ex: the external network's local VLAN"),
            Hop(
                host=scene.network_host,
                place=names.router_gateway(PortId(gateway.id)),
                detail=f"in {pieces.router_namespace(scene)}; no tunnel is involved",
            ),
        ],
    )
