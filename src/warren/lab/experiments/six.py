"""Experiment 6: machine to machine. Found by one flooded ARP request, then straight between the two hosts."""

import re
from collections import Counter

from warren.lab.experiments import pieces
from warren.lab.experiments.capture import Capture, capturing, tunnel_ends
from warren.lab.experiments.frames import BROADCAST
from warren.lab.experiments.record import Hop
from warren.lab.experiments.scene import Scene
from warren.lab.experiments.sight import HostSight, Sight
from warren.lab.experiments.three import HOST, boot_plugged
from warren.lab.fabric import UNDERLAY_NIC
from warren.lab.instances import Instance, boot

OTHER_HOST = "compute2"
COUNT = 5


def run(scene: Scene) -> None:
    """vm2 on compute2; vm1 and vm2 ping each other."""
    scene.begin(
        6,
        "Machine to machine",
        "How do two machines on different hosts find each other, and does their traffic pass the network host?",
    )
    vm1 = scene.objects.instances["vm1"]
    vm2 = boot_plugged(scene, "vm2", OTHER_HOST)
    boot.start(scene.lab, vm2)
    boot.wait_lease(scene.lab, vm2)
    before = scene.stage("6a-vm2", "vm2 runs on compute2 and has its lease")
    with capturing(scene.lab, scene.places[HOST], UNDERLAY_NIC) as captured:
        first = scene.on("vm1", *pieces.ping_words(scene, "vm1", vm2.address, 1))
    found = scene.stage("6b-first", "vm1 has pinged vm2 once")
    pieces.claim_answered(scene, "vm1's first ping of vm2 is answered", first.stdout, 1, "vm1/ping_vm2")
    _claim_arp(scene, captured, vm2, pieces.arp_answers(found[HOST], vm2.address))
    _claim_entries(scene, found if scene.is_learning else before, vm1, vm2)
    _ping_both_ways(scene, found, vm1, vm2)
    _note_way(scene, vm1, vm2)


def _ping_both_ways(scene: Scene, found: Sight, vm1: Instance, vm2: Instance) -> None:
    """Ping until nobody else spoke in between: a host probes its neighbours now and then, which is not this traffic."""
    before = found
    for name in ("6c-both", "6d-both-again", "6e-both-again"):
        there = scene.on("vm1", *pieces.ping_words(scene, "vm1", vm2.address, COUNT))
        back = scene.on("vm2", *pieces.ping_words(scene, "vm2", vm1.address, COUNT))
        after = scene.stage(name, "vm1 and vm2 have pinged each other")
        if not _moved(before[scene.network_host], after[scene.network_host]):
            break
        before = after
    pieces.claim_answered(scene, "vm1's pings of vm2 are answered", there.stdout, COUNT, "vm1/ping_vm2")
    pieces.claim_answered(scene, "vm2's pings of vm1 are answered", back.stdout, COUNT, "vm2/ping_vm1")
    _claim_direct(scene, before, after)


def _claim_arp(scene: Scene, captured: Capture, vm2: Instance, answered: int) -> None:
    """`answered` says how often vm1's host has answered a request for vm2 itself."""
    evidence = scene.save(f"{HOST}/tcpdump_{UNDERLAY_NIC}", captured.text)
    requests = captured.having(rf"> {BROADCAST}, ethertype ARP.*who-has {re.escape(vm2.address)} ")
    copies = Counter(tunnel_ends(frame)[1] for frame in requests)
    vteps = {planned.vtep_ip for planned in scene.lab.plan.hosts if planned.name != HOST}
    if scene.is_learning:
        scene.claim(
            "vm1's ARP request for vm2 is flooded once to all peers",
            held=dict(copies) == dict.fromkeys(vteps, 1),
            expected=dict.fromkeys(sorted(vteps), 1),
            observed=dict(copies) or "none in the capture of the underlay",
            evidence=evidence,
        )
    else:
        scene.claim(
            "vm1's ARP request for vm2 is answered on its own host and crosses no tunnel",
            held=answered >= 1 and not copies,
            expected="1 or more counted by table 21, none in the capture of the underlay",
            observed=f"{answered} counted by table 21, {dict(copies) or 'none'} in the capture of the underlay",
            evidence=evidence,
        )


def _claim_entries(scene: Scene, seen: Sight, vm1: Instance, vm2: Instance) -> None:
    how = "has learned" if scene.is_learning else "knew before the first packet"
    for name, peer, other in ((HOST, OTHER_HOST, vm2), (OTHER_HOST, HOST, vm1)):
        port = pieces.peers_of(scene, name)[peer]
        entry = seen[name].toward(other.mac_address)
        is_right = entry is not None and entry.outputs == (port,) and entry.is_learned is scene.is_learning
        scene.claim(
            f"{name} {how} {other.name}'s MAC address behind the tunnel port to {peer}",
            held=is_right,
            expected=f"{other.mac_address} behind {port}",
            observed=entry.text if entry else "no entry",
            evidence=seen[name].evidence("dump-flows_br-tun"),
        )


def _claim_direct(scene: Scene, before: Sight, after: Sight) -> None:
    host = scene.network_host
    moved = _moved(before[host], after[host])
    direct = pieces.peers_of(scene, HOST)[OTHER_HOST]
    vm2 = scene.objects.instances["vm2"]
    entry = after[HOST].toward(vm2.mac_address)
    sent = pieces.counted_between(before[HOST].toward(vm2.mac_address), entry)
    is_direct = entry is not None and entry.outputs == (direct,)
    scene.claim(
        f"the traffic goes directly between the compute hosts; the tunnel counters of {host} stand still",
        held=not moved and is_direct and sent >= 2 * COUNT,
        expected=f"no packet at the tunnel ports of {host}; {2 * COUNT} or more by the entry of {HOST} to {direct}",
        observed=f"{moved or 'no packet'} at the tunnel ports of {host}; "
        f"{sent} by the entry of {HOST} to {', '.join(entry.outputs) if entry else 'nobody'}",
        evidence=after[host].evidence("dump-ports_br-tun"),
    )


def _moved(before: HostSight, after: HostSight) -> dict[str, tuple[int, int]]:
    """Tunnel port -> (received, sent) in between, where there was any."""
    changes = {
        port: (received - before.packets.get(port, (0, 0))[0], sent - before.packets.get(port, (0, 0))[1])
        for port, (received, sent) in after.packets.items()
        if port.startswith(("vxlan-", "gre-"))
    }
    return {port: change for port, change in changes.items() if change != (0, 0)}


def _note_way(scene: Scene, vm1: Instance, vm2: Instance) -> None:
    packet = pieces.icmp(vm1.mac_address, vm2.mac_address, (vm1.address, vm2.address))
    flow = f"in_port={pieces.on_switch(scene, vm1)},{packet}"
    out, out_file = pieces.trace(scene, HOST, "br-int", flow, "ofproto_trace_vm1-to-vm2")
    tunnel = pieces.peers_of(scene, OTHER_HOST)[HOST]
    arriving = f"in_port={tunnel},tun_id={pieces.tenant(scene).segmentation_id},{packet}"
    into, into_file = pieces.trace(scene, OTHER_HOST, "br-tun", arriving, "ofproto_trace_vm1-to-vm2")
    scene.way(
        "vm1's echo request to vm2",
        [
            Hop(host=HOST, place="vm1", detail=f"eth0, {vm1.address} → {vm2.address}"),
            *out.hops(HOST, out_file),
            Hop(host=HOST, place=UNDERLAY_NIC, detail=f"{scene.tunnel}, straight to {OTHER_HOST}"),
            *into.hops(OTHER_HOST, into_file),
            Hop(host=OTHER_HOST, place="vm2", detail=f"eth0, {vm2.address}"),
        ],
    )
