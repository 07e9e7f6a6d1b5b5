"""Experiment 1: nothing yet. No tenant network exists; whatever reaches br-tun is dropped there."""

from warren.lab.experiments import expected, frames, pieces
from warren.lab.experiments.record import Hop
from warren.lab.experiments.scene import Scene
from warren.lab.experiments.sight import HostSight, Sight
from warren.lab.experiments.trace import Trace, read_trace

UNUSED_ID = 0x2A2A
"""A segmentation id that no network has."""


def run(scene: Scene) -> None:
    """Look at the initial flows, send frames that nobody wants, look again."""
    scene.begin(
        1,
        "Nothing yet",
        "Before any tenant network exists: what is in the tunnel bridge, and what becomes of a frame that gets there?",
    )
    before = scene.stage("1a-nothing-yet", "no tenant network exists")
    _claim_initial_flows(scene, before)
    _send_from_br_int(scene)
    between = scene.stage("1b-frames-from-br-int", "a broadcast and a unicast came out of br-int on every host")
    _claim_dropped(scene, before, between)
    if scene.is_learning:
        _send_through_tunnels(scene)
        pieces.wait_received(scene, between, 2)
        after = scene.stage("1c-frames-from-tunnels", "a broadcast and a unicast came by every tunnel")
        _claim_dropped_from_tunnels(scene, between, after)
    _claim_traces(scene, between)


def _claim_initial_flows(scene: Scene, seen: Sight) -> None:
    for name, sight in seen.hosts.items():
        wanted = set(expected.initial_flows(is_learning=scene.is_learning, ageing_s=scene.lab.plan.ageing_s))
        if scene.is_learning:
            wanted |= {expected.tunnel_port_flow(port, scene.tunnel) for port in pieces.peers_of(scene, name).values()}
        found = expected.keys(sight.tunnels)
        tunnels = "one per tunnel port" if scene.is_learning else "none for a tunnel, since no host needs one yet"
        scene.claim(
            f"br-tun on {name} holds the initial flows and {tunnels}, nothing else",
            held=found == wanted,
            expected=expected.shown(wanted),
            observed=expected.shown(found)
            if found == wanted
            else f"missing: {expected.shown(wanted - found)}; beyond: {expected.shown(found - wanted)}",
            evidence=sight.evidence("dump-flows_br-tun"),
        )


def _send_from_br_int(scene: Scene) -> None:
    for name in scene.places:
        for frame in (frames.broadcast(), frames.unicast()):
            _packet_out(scene, name, "br-int", frame, "mod_vlan_vid:1,output:patch-tun")


def _send_through_tunnels(scene: Scene) -> None:
    for name in scene.places:
        for port in pieces.peers_of(scene, name).values():
            for frame in (frames.broadcast(), frames.unicast()):
                _packet_out(scene, name, "br-tun", frame, f"set_tunnel:{UNUSED_ID:#x},output:{port}")


def _packet_out(scene: Scene, name: str, bridge: str, frame: str, actions: str) -> None:
    scene.step(f"[{name}] ovs-ofctl packet-out {bridge} 'in_port=LOCAL packet={frame[:24]}… actions={actions}'")
    scene.places[name].must("ovs-ofctl", "packet-out", bridge, f"in_port=LOCAL packet={frame} actions={actions}")


def _claim_dropped(scene: Scene, before: Sight, after: Sight) -> None:
    for name, sight in after.hosts.items():
        dropped = sight.counted(22, "") - before[name].counted(22, "")
        sent = _sent(sight) - _sent(before[name])
        scene.claim(
            f"a broadcast and a unicast from patch-int end in a drop on {name} and nothing leaves by a tunnel",
            held=dropped == 2 and sent == 0,
            expected="2 more packets at the drop of table 22, 0 more sent by tunnel ports",
            observed=f"{dropped} more packets at the drop of table 22, {sent} more sent by tunnel ports",
            evidence=sight.evidence("dump-flows_br-tun"),
        )


def _claim_dropped_from_tunnels(scene: Scene, before: Sight, after: Sight) -> None:
    table = expected.TABLE_OF[scene.tunnel]
    for name, sight in after.hosts.items():
        peers = pieces.peers_of(scene, name)
        dropped = sight.counted(table, "") - before[name].counted(table, "")
        arrived = {port: sight.packets[port][0] - before[name].packets[port][0] for port in peers.values()}
        own = 2 * len(peers)
        scene.claim(
            f"a broadcast and a unicast from each tunnel port end in a drop on {name}, and no host passes one on",
            held=dropped == own and set(arrived.values()) == {2},
            expected=f"2 received by each of {', '.join(peers.values())} (more, had a peer passed one on), "
            f"all {own} dropped by table {table}",
            observed=f"received: {pieces.listed(arrived)}, dropped by table {table}: {dropped}",
            evidence=sight.evidence("dump-flows_br-tun"),
        )


def _claim_traces(scene: Scene, seen: Sight) -> None:
    for name, sight in seen.hosts.items():
        traces = {port: _traces(scene, name, port) for port in ("patch-int", *_tunnel_ports(sight))}
        alive = [port for port, found in traces.items() if not all(trace.is_dropped for trace in found)]
        text = "\n".join(trace.text for found in traces.values() for trace in found)
        evidence = scene.save(f"{name}/ofproto_trace_br-tun", text)
        scene.claim(
            f"ofproto/trace on {name} ends in a drop for both frames from every port of br-tun",
            held=not alive,
            expected="Datapath actions: drop",
            observed="Datapath actions: drop" if not alive else f"not dropped from {', '.join(alive)}",
            evidence=evidence,
        )
        if name == scene.network_host:
            hops = [Hop(host=name, place="br-int", detail="sent out of patch-tun")]
            hops += traces["patch-int"][1].hops(name, evidence)
            scene.way(
                "A unicast frame to nobody", [*hops, Hop(host=name, place="drop", detail="table 22 has no flood list")]
            )


def _traces(scene: Scene, name: str, port: str) -> list[Trace]:
    tagged = "dl_vlan=1" if port == "patch-int" else f"tun_id={UNUSED_ID:#x}"
    flows = [
        f"in_port={port},{tagged},dl_src={frames.PROBE_SOURCE},dl_dst={mac}"
        for mac in (frames.BROADCAST, frames.PROBE_TARGET)
    ]
    return [read_trace(scene.places[name].must("ovs-appctl", "ofproto/trace", "br-tun", flow)) for flow in flows]


def _tunnel_ports(sight: HostSight) -> list[str]:
    return [port for port in sight.packets if port.startswith(("vxlan-", "gre-"))]


def _sent(sight: HostSight) -> int:
    return sum(sight.packets[port][1] for port in _tunnel_ports(sight))
