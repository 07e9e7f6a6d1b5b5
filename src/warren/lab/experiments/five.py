"""Experiment 5: from outside. A floating IP is the router's business; the tunnels know nothing of it."""

import re

from warren.core.state import OWNER_ROUTER_INTERFACE
from warren.lab import api
from warren.lab.experiments import pieces
from warren.lab.experiments.capture import capturing, tunnel_ends
from warren.lab.experiments.record import Hop
from warren.lab.experiments.scene import Scene
from warren.lab.experiments.sight import Sight
from warren.lab.experiments.three import HOST
from warren.lab.fabric import UNDERLAY_NIC
from warren.lab.plan import WORLD, WORLD_ADDRESS

OUTSIDE_HOST = "compute2"
COUNT = 3


def run(scene: Scene) -> None:
    """Ping vm1 from inside qrouter, then by a floating IP from the world and from another compute host."""
    scene.begin(
        5,
        "From outside",
        "How does a packet from outside get to vm1, and which part of its way knows the floating IP?",
    )
    vm1 = scene.objects.instances["vm1"]
    before = scene.stage("5a-before", "before anybody asks from outside")
    inside = ("ip", "netns", "exec", pieces.router_namespace(scene))
    done = scene.on(scene.network_host, *inside, *pieces.ping_words(scene, scene.network_host, vm1.address, COUNT))
    scene.stage("5b-from-qrouter", "a ping from inside qrouter")
    claim = "a ping of vm1 from inside qrouter is answered"
    pieces.claim_answered(scene, claim, done.stdout, COUNT, f"{scene.network_host}/ping_vm1")
    floating = _floating_ip(scene)
    scene.stage("5c-floating-ip", f"vm1 has the floating IP {floating}")
    with capturing(scene.lab, scene.places[scene.network_host], UNDERLAY_NIC) as captured:
        outside = {
            name: scene.on(name, *pieces.ping_words(scene, name, floating, COUNT)).stdout
            for name in (WORLD, OUTSIDE_HOST)
        }
    after = scene.stage("5d-from-outside", "pinged by its floating IP, from the world and from another compute host")
    for name, output in outside.items():
        claim = f"a ping of the floating IP from {name} is answered"
        pieces.claim_answered(scene, claim, output, COUNT, f"{name}/ping_floating-ip")
    _claim_tables(scene, before, after)
    _claim_nat(scene, floating, after)
    evidence = scene.save(f"{scene.network_host}/tcpdump_{UNDERLAY_NIC}", captured.text)
    _claim_fixed_inside(scene, floating, captured.frames, evidence)
    _note_way(scene, floating, after, evidence)


def _floating_ip(scene: Scene) -> str:
    """A floating IP for vm1, when the router translates it."""
    assert scene.objects.external is not None
    vm1 = scene.client.port(scene.objects.instances["vm1"].port_id)
    floating = scene.client.create_floating_ip(scene.objects.external, vm1)
    address = floating.floating_ip_address
    inside = ("ip", "netns", "exec", pieces.router_namespace(scene))
    place = scene.places[scene.network_host]

    def is_there() -> bool:
        rules = place.must(*inside, "iptables-save", "-t", "nat")
        return address in rules and address in place.must(*inside, "ip", "address")

    api.wait_until(is_there, f"Translation of {address} on {scene.network_host}", pieces.WITHIN_S, every_s=0.1)
    return address


def _claim_tables(scene: Scene, before: Sight, after: Sight) -> None:
    changed = pieces.changed_only_by_learning(before, after)
    scene.claim(
        "no flow of br-tun on any host came or went but for re-learned entries",
        held=not changed,
        expected="no change, or of learned entries only",
        observed=changed or "no change, or of learned entries only",
        evidence=after[scene.network_host].evidence("dump-flows_br-tun"),
    )


def _claim_nat(scene: Scene, floating: str, after: Sight) -> None:
    name = f"iptables-save_{pieces.router_namespace(scene)}"
    rules = [line for line in after[scene.network_host].text(name).splitlines() if floating in line]
    translated = [rule for rule in rules if "-j DNAT" in rule]
    counted = sum(int(found[1]) for rule in translated if (found := re.match(r"\[(\d+):\d+\]", rule)))
    scene.claim(
        "the NAT happens in qrouter",
        held=counted >= 1,
        expected=f"a DNAT rule for {floating} that counted packets",
        observed="; ".join(translated) or "no such rule",
        evidence=after[scene.network_host].evidence(name),
    )


def _claim_fixed_inside(scene: Scene, floating: str, frames: list[str], evidence: str) -> None:
    fixed = scene.objects.instances["vm1"].address
    requests = [frame for frame in frames if re.search(rf"> {re.escape(fixed)}: ICMP echo request", frame)]
    named = [frame for frame in frames if floating in frame]
    ends = {tunnel_ends(frame) for frame in requests}
    scene.claim(
        "inside the tunnel the packet carries the fixed address, never the floating IP",
        held=len(requests) >= 2 * COUNT and not named,
        expected=f"{2 * COUNT} echo requests to {fixed}, none that names {floating}",
        observed=f"{len(requests)} echo requests to {fixed} ({_arrows(ends)}), {len(named)} that name {floating}",
        evidence=evidence,
    )


def _arrows(ends: set[tuple[str, str]]) -> str:
    return ", ".join(f"{source} → {destination}" for source, destination in sorted(ends)) or "in no tunnel"


def _note_way(scene: Scene, floating: str, seen: Sight, evidence: str) -> None:
    vm1, host = scene.objects.instances["vm1"], scene.network_host
    inner = pieces.port_of(scene, OWNER_ROUTER_INTERFACE)
    packet = pieces.icmp(inner.mac_address, vm1.mac_address, (WORLD_ADDRESS, vm1.address))
    vlan = pieces.vlan_of_tenant(scene, host)
    flow = f"in_port=patch-int,dl_vlan={vlan},{packet}"
    out, out_file = pieces.trace(scene, host, "br-tun", flow, "ofproto_trace_to-vm1")
    tunnel = pieces.peers_of(scene, HOST)[host]
    arriving = f"in_port={tunnel},tun_id={pieces.tenant(scene).segmentation_id},{packet}"
    into, into_file = pieces.trace(scene, HOST, "br-tun", arriving, "ofproto_trace_to-vm1")
    rules = seen[host].evidence(f"iptables-save_{pieces.router_namespace(scene)}")
    scene.way(
        "An echo request from the world to the floating IP",
        [
            Hop(host=WORLD, place="eth0", detail=f"{WORLD_ADDRESS} → {floating}"),
            Hop(host=host, place="br-ex, br-int, qg-", detail=f"still to {floating}"),
            Hop(host=host, place="qrouter", detail=f"DNAT: {floating} becomes {vm1.address}", evidence=rules),
            Hop(host=host, place="qr-, br-int", detail=f"{WORLD_ADDRESS} → {vm1.address}"),
            *out.hops(host, out_file),
            Hop(host=host, place=UNDERLAY_NIC, detail=f"{scene.tunnel}, to {HOST}", evidence=evidence),
            *into.hops(HOST, into_file),
            Hop(host=HOST, place="vm1", detail=f"eth0, {vm1.address}"),
        ],
    )
