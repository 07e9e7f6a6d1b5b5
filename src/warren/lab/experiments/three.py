"""Experiment 3: a virtual machine. Its host gets the network's flows; its first frames teach the hosts where it is."""

import re

import msgspec

from warren.core import names
from warren.core.ids import PortId
from warren.core.state import OWNER_DHCP
from warren.lab.experiments import expected, pieces
from warren.lab.experiments.record import Hop
from warren.lab.experiments.scene import Scene
from warren.lab.experiments.sight import HostSight, Sight
from warren.lab.experiments.tables import difference
from warren.lab.fabric import UNDERLAY_NIC
from warren.lab.instances import Instance, boot
from warren.lab.keys import private_key

HOST = "compute1"
_OPTIONS = re.compile(r"Interface \"?(\S+?)\"?\n\s+type: (?:vxlan|gre)\n\s+options: \{([^}]*)\}")


def run(scene: Scene) -> None:
    """Boot vm1 on compute1 and look before, while it starts, and after its lease."""
    scene.begin(
        3,
        "A virtual machine",
        "What does the first machine of a network change on its host and on the others, and who learns what from it?",
    )
    _let_in(scene)
    before = scene.stage("3a-before", "before vm1 exists")
    vm1 = boot_plugged(scene, "vm1", HOST)
    plugged = scene.stage("3b-starting", "vm1 is plugged and its port is ACTIVE; it starts now")
    boot.start(scene.lab, vm1)
    lease = boot.wait_lease(scene.lab, vm1)
    after = scene.stage("3c-lease", "vm1 has its DHCP lease")
    _claim_tunnel_ports(scene, after)
    _claim_flows(scene, before, plugged)
    _claim_lease(scene, vm1, lease)
    if scene.is_learning:
        _claim_learned(scene, vm1, after)
    else:
        _claim_known_ahead(scene, vm1, plugged, after)
        _claim_flood_list(scene, plugged)
    _claim_active(scene, vm1)
    _claim_ssh(scene, vm1)
    _note_way(scene, vm1)


def boot_plugged(scene: Scene, name: str, host: str) -> Instance:
    """An instance whose port is ACTIVE and that does not run yet."""
    network = pieces.tenant(scene)
    instance = boot.plug(scene.lab, scene.client, name=name, on_host=host, network=network, kind=scene.kind)
    scene.objects.instances[name] = instance
    boot.wait_active(scene.client, instance)
    return instance


def _let_in(scene: Scene) -> None:
    """Echo requests and ssh from outside, where security groups apply."""
    if not pieces.is_filtered(scene):
        return
    # The tenant's own default group: every project has one.
    network = pieces.tenant(scene)
    for group in scene.client.groups(name="default", project_id=network.project_id):
        scene.client.allow(group, "icmp")
        scene.client.allow(group, "tcp", 22)


def _claim_tunnel_ports(scene: Scene, seen: Sight) -> None:
    vteps = {planned.name: planned.vtep_ip for planned in scene.lab.plan.hosts}
    interested = {scene.network_host, HOST}
    for name, sight in seen.hosts.items():
        peers = pieces.peers_of(scene, name)
        if not scene.is_learning:
            peers = {peer: port for peer, port in peers.items() if {peer, name} <= interested}
        wanted = {port: f"{vteps[name]} to {vteps[peer]}, key=flow" for peer, port in peers.items()}
        found = _tunnel_ports(sight)
        to_whom = "every peer" if scene.is_learning else "the peers that share a network, and no other"
        scene.claim(
            f"{name} has a VTEP port to {to_whom} (name, local_ip, remote_ip, key=flow)",
            held=found == wanted,
            expected=wanted or "none",
            observed=found or "none",
            evidence=sight.evidence("ovs-vsctl_show"),
        )


def _tunnel_ports(sight: HostSight) -> dict[str, str]:
    """Tunnel port -> `local to remote, key=…`, from `ovs-vsctl show`."""
    found: dict[str, str] = {}
    for name, text in _OPTIONS.findall(sight.text("ovs-vsctl_show")):
        options = dict(part.strip().split("=", 1) for part in text.replace('"', "").split(","))
        is_flow = options.get("key") == "flow" or options.get("in_key") == options.get("out_key") == "flow"
        key = "flow" if is_flow else "fixed"
        found[name] = f"{options.get('local_ip')} to {options.get('remote_ip')}, key={key}"
    return found


def _claim_flows(scene: Scene, before: Sight, plugged: Sight) -> None:
    network = pieces.tenant(scene)
    vlan = pieces.local_vlan(scene, HOST, pieces.on_switch(scene, scene.objects.instances["vm1"]))
    peers = pieces.peers_of(scene, HOST)
    ports = sorted(peers.values()) if scene.is_learning else [peers[scene.network_host]]
    wanted = set(
        expected.network_flows(
            tunnel=scene.tunnel, segmentation_id=network.segmentation_id or 0, vlan=vlan, ports=ports
        )
    )
    for name, sight in plugged.hosts.items():
        change = difference(before[name].tunnels, sight.tunnels)
        found = expected.keys(entry for entry in change.added if not entry.is_learned)
        if name == HOST:
            scene.claim(
                f"the flows of network {network.name} appear on {name} with its first port there",
                held=wanted <= found and (found == wanted or not scene.is_learning),
                expected=expected.shown(wanted),
                observed=expected.shown(found),
                evidence=sight.evidence("dump-flows_br-tun"),
            )
        elif name != scene.network_host:
            scene.claim(
                f"{name}, without a port of the network, gained nothing",
                held=not found,
                expected="nothing",
                observed=expected.shown(found),
                evidence=sight.evidence("dump-flows_br-tun"),
            )


def _claim_lease(scene: Scene, vm1: Instance, lease: dict[str, str]) -> None:
    server = pieces.port_of(scene, OWNER_DHCP)
    port = scene.client.port(vm1.port_id)
    evidence = scene.save("vm1/lease", "".join(f"{key}={value}\n" for key, value in lease.items()))
    scene.claim(
        "the lease comes from dnsmasq in qdhcp, with the address that the API says",
        held=(lease.get("address"), lease.get("server")) == (port.address, server.address),
        expected=f"{port.address} from {server.address}",
        observed=f"{lease.get('address')} from {lease.get('server')}",
        evidence=evidence,
    )


def _claim_learned(scene: Scene, vm1: Instance, seen: Sight) -> None:
    server = pieces.port_of(scene, OWNER_DHCP)
    to_network, to_compute = _tunnel(scene, HOST, scene.network_host), _tunnel(scene, scene.network_host, HOST)
    learned = pieces.learned_macs(seen[HOST])
    scene.claim(
        f"{HOST} learned the MAC addresses that vm1 talked to",
        held=learned.get(server.mac_address) == (to_network,),
        expected=f"{server.mac_address} (the DHCP server's) behind {to_network}",
        observed=learned or "nothing",
        evidence=seen[HOST].evidence("dump-flows_br-tun"),
    )
    others = pieces.learned_macs(seen[scene.network_host])
    scene.claim(
        f"{scene.network_host} learned vm1's MAC address",
        held=others.get(vm1.mac_address) == (to_compute,),
        expected=f"{vm1.mac_address} behind {to_compute}",
        observed=others or "nothing",
        evidence=seen[scene.network_host].evidence("dump-flows_br-tun"),
    )
    _claim_attributed(scene, seen)


def _claim_attributed(scene: Scene, seen: Sight) -> None:
    """Whoever's MAC address it is must be on the host to which the entry's tunnel leads."""
    interfaces = scene.names(seen).interfaces
    owners: dict[str, str] = {}
    is_right = True
    for name, sight in seen.hosts.items():
        peers = {port: peer for peer, port in pieces.peers_of(scene, name).items()}
        for entry in sight.learned:
            owner = interfaces.get(entry.mac, "nobody's")
            owners[f"{entry.mac} on {name}"] = f"{owner}, behind {', '.join(entry.outputs)}"
            is_right &= [owner.rpartition(" on ")[2]] == [peers.get(port) for port in entry.outputs]
    scene.claim(
        "every learned entry is an interface's on the host that its tunnel leads to",
        held=bool(owners) and is_right,
        expected="for each of them an interface on that host",
        observed=owners or "no learned entry",
        evidence=seen[scene.network_host].evidence("dump-flows_br-tun"),
    )


def _claim_known_ahead(scene: Scene, vm1: Instance, plugged: Sight, seen: Sight) -> None:
    server = pieces.port_of(scene, OWNER_DHCP)
    to_network, to_compute = _tunnel(scene, HOST, scene.network_host), _tunnel(scene, scene.network_host, HOST)
    for name, mac, port in (
        (HOST, server.mac_address, to_network),
        (scene.network_host, vm1.mac_address, to_compute),
    ):
        entry = plugged[name].toward(mac)
        scene.claim(
            f"{name} has the entry for {mac} before the first packet",
            held=entry is not None and entry.outputs == (port,) and not entry.is_learned,
            expected=f"table 20, {mac} to {port}, written ahead",
            observed=entry.text if entry else "no entry",
            evidence=plugged[name].evidence("dump-flows_br-tun"),
        )
    learned = [entry.text for sight in seen.hosts.values() for entry in sight.learned]
    scene.claim(
        "nothing is learned on any host",
        held=not learned,
        expected="no learned entry",
        observed="; ".join(learned) or "no learned entry",
        evidence=seen[scene.network_host].evidence("dump-flows_br-tun"),
    )


def _claim_flood_list(scene: Scene, seen: Sight) -> None:
    host = scene.network_host
    match = f"dl_vlan={pieces.vlan_of_tenant(scene, host)}"
    lists = [entry.outputs for entry in seen[host].tunnels if entry.table == 22 and entry.match == match]
    wanted = [(_tunnel(scene, host, HOST),)]
    scene.claim(
        f"the flood list on {host} names {HOST}, which has the network, and no other host",
        held=lists == wanted,
        expected=wanted[0],
        observed=lists[0] if lists else "no flood list",
        evidence=seen[host].evidence("dump-flows_br-tun"),
    )


def _tunnel(scene: Scene, host: str, peer: str) -> str:
    return pieces.peers_of(scene, host)[peer]


def _claim_active(scene: Scene, vm1: Instance) -> None:
    port = scene.client.port(vm1.port_id)
    scene.claim(
        "vm1's port is ACTIVE",
        held=port.status == "ACTIVE",
        expected="ACTIVE",
        observed=port.status,
        evidence=scene.save("vm1/port.json", msgspec.json.format(msgspec.json.encode(port)).decode() + "\n"),
    )


def _claim_ssh(scene: Scene, vm1: Instance) -> None:
    namespace = pieces.router_namespace(scene)
    options = ("StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "ConnectTimeout=10")
    words = [word for option in options for word in ("-o", option)]
    command = ("ip", "netns", "exec", namespace, "ssh", "-i", str(private_key(scene.lab)), *words)
    done = scene.on(scene.network_host, *command, f"root@{vm1.address}", "hostname")
    said = done.stdout + done.stderr
    scene.claim(
        "ssh from the qrouter namespace into vm1 works",
        held=done.returncode == 0 and done.stdout.strip() == "vm1",
        expected="vm1",
        observed=said.strip(),
        evidence=scene.save(f"{scene.network_host}/ssh_vm1", said),
    )


def _note_way(scene: Scene, vm1: Instance) -> None:
    """The DHCP request: a broadcast, flooded to every peer."""
    switch = pieces.on_switch(scene, vm1)
    packet = (
        f"udp,dl_src={vm1.mac_address},dl_dst=ff:ff:ff:ff:ff:ff,"
        "nw_src=0.0.0.0,nw_dst=255.255.255.255,udp_src=68,udp_dst=67"
    )
    flow = f"in_port={switch},{packet}"
    answer, evidence = pieces.trace(scene, HOST, "br-int", flow, "ofproto_trace_dhcp")
    host = scene.network_host
    server = names.tap(PortId(pieces.port_of(scene, OWNER_DHCP).id))
    tunnel = pieces.peers_of(scene, host)[HOST]
    arriving = f"in_port={tunnel},tun_id={pieces.tenant(scene).segmentation_id},{packet}"
    into, into_file = pieces.trace(scene, host, "br-tun", arriving, "ofproto_trace_dhcp")
    whom = "to every peer" if scene.is_learning else f"to {host}, which shares the network"
    scene.way(
        "vm1's DHCP request",
        [
            Hop(host=HOST, place="vm1", detail="eth0, a broadcast from 0.0.0.0"),
            *answer.hops(HOST, evidence),
            Hop(host=HOST, place=UNDERLAY_NIC, detail=f"{scene.tunnel}, {whom}"),
            *into.hops(host, into_file),
            Hop(host=host, place=server, detail=f"dnsmasq in {pieces.dhcp_namespace(scene)}"),
        ],
    )
