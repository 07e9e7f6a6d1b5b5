"""Experiment 4: unicast out. A learned entry carries it, is counted, ages away, and is learned again."""

from warren.core import names
from warren.core.ids import PortId
from warren.lab import api
from warren.lab.experiments import expected, pieces
from warren.lab.experiments.capture import capturing
from warren.lab.experiments.frames import BROADCAST
from warren.lab.experiments.record import Hop
from warren.lab.experiments.scene import Scene
from warren.lab.experiments.sight import Sight
from warren.lab.experiments.three import HOST
from warren.lab.fabric import UNDERLAY_NIC

COUNT = 5


def run(scene: Scene) -> None:
    """Ping the gateway from vm1, wait until the tables forget, ping again."""
    scene.begin(
        4,
        "Unicast out",
        "vm1 pings the router's gateway: by which tables, and for how long do the switches remember the way?",
    )
    gateway = pieces.port_of(scene, pieces.ROUTER_GATEWAY)
    before = scene.stage("4a-before", "before the ping")
    with capturing(scene.lab, scene.places[HOST], UNDERLAY_NIC) as captured:
        done = scene.on("vm1", *pieces.ping_words(scene, "vm1", gateway.address, COUNT))
    after = scene.stage("4b-pinged", f"vm1 has pinged {gateway.address}")
    scene.claim(
        f"vm1's ping of qg ({gateway.address}) is answered",
        held=pieces.received(done.stdout) == COUNT,
        expected=pieces.answers(COUNT),
        observed=pieces.answers(pieces.received(done.stdout)),
        evidence=scene.save("vm1/ping_qg", done.stdout),
    )
    _claim_way(scene, gateway)
    _claim_counted(scene, before, after)
    if scene.is_learning:
        _age(scene)
        _flood_and_learn(scene, gateway)
    else:
        evidence = scene.save(f"{HOST}/tcpdump_{UNDERLAY_NIC}", captured.text)
        _claim_arp_answered_here(scene, after, captured.having(rf"> {BROADCAST}, ethertype ARP"), evidence)
        _claim_stays(scene)


def _claim_way(scene: Scene, gateway: api.Port) -> None:
    vm1, inner = scene.objects.instances["vm1"], pieces.port_of(scene, pieces.ROUTER_INTERFACE)
    packet = pieces.icmp(vm1.mac_address, inner.mac_address, (vm1.address, gateway.address))
    switch = pieces.on_switch(scene, vm1)
    out, out_file = pieces.trace(scene, HOST, "br-int", f"in_port={switch},{packet}", "ofproto_trace_vm1-to-qg")
    scene.claim(
        f"on {HOST} the packet goes 0 → 2 → 20 and out of the tunnel to {scene.network_host} by "
        f"{'a learned entry' if scene.is_learning else 'an entry written ahead'}",
        held=out.tables("br-tun") == (0, 2, 20) and not out.is_dropped,
        expected="br-tun tables 0, 2, 20; sent",
        observed=f"br-tun tables {_words(out.tables('br-tun'))}; {'dropped' if out.is_dropped else 'sent'}",
        evidence=out_file,
    )
    host, table = scene.network_host, expected.TABLE_OF[scene.tunnel]
    tunnel = pieces.peers_of(scene, host)[HOST]
    flow = f"in_port={tunnel},tun_id={pieces.tenant(scene).segmentation_id},{packet}"
    into, into_file = pieces.trace(scene, host, "br-tun", flow, "ofproto_trace_vm1-to-qg")
    interface = names.router_interface(PortId(inner.id))
    is_delivered = f"output:{_ofport(scene, host, interface)}" in into.text
    scene.claim(
        f"on {host} it goes 0 → {table} → 10 and into {interface}",
        held=into.tables("br-tun") == (0, table, 10) and is_delivered,
        expected=f"br-tun tables 0, {table}, 10; into {interface}",
        observed=f"br-tun tables {_words(into.tables('br-tun'))}; {'into' if is_delivered else 'not into'} {interface}",
        evidence=into_file,
    )
    scene.way(
        "vm1's echo request to the gateway",
        [
            Hop(host=HOST, place="vm1", detail=f"eth0, {vm1.address} → {gateway.address}"),
            *out.hops(HOST, out_file),
            Hop(host=HOST, place=UNDERLAY_NIC, detail=f"{scene.tunnel}, to {scene.network_host}"),
            *into.hops(host, into_file),
            Hop(host=host, place=interface, detail=pieces.router_namespace(scene)),
        ],
    )


def _ofport(scene: Scene, host: str, interface: str) -> str:
    return scene.places[host].must("ovs-vsctl", "get", "Interface", interface, "ofport").strip()


def _words(tables: tuple[int, ...]) -> str:
    return ", ".join(map(str, tables)) or "none"


def _claim_counted(scene: Scene, before: Sight, after: Sight) -> None:
    vm1, inner = scene.objects.instances["vm1"], pieces.port_of(scene, pieces.ROUTER_INTERFACE)
    for name, mac, whose in (
        (HOST, inner.mac_address, "the router's"),
        (scene.network_host, vm1.mac_address, "vm1's"),
    ):
        entry, old = after[name].toward(mac), before[name].toward(mac)
        # An entry that expired in between was learned anew, and counts from zero.
        had = old.n_packets if old and entry and old.n_packets <= entry.n_packets else 0
        counted = entry.n_packets - had if entry else 0
        scene.claim(
            f"on {name} the entry for {whose} MAC address counted the packets",
            held=counted >= COUNT - 1,
            expected=f"{COUNT} or more (the one before it was learned is flooded)",
            observed=f"{counted}" if entry else "no entry",
            evidence=after[name].evidence("dump-flows_br-tun"),
        )


def _age(scene: Scene) -> None:
    """Without traffic, until nothing learned is left."""
    hosts = (HOST, scene.network_host)
    gone = {name: pieces.wait_forgotten(scene, name) for name in hosts}
    seen = scene.stage("4c-aged", f"no traffic for the ageing time of {scene.lab.plan.ageing_s} s")
    for name in hosts:
        left = [entry.text for entry in seen[name].learned]
        scene.claim(
            f"with no traffic the learned entries of table 20 on {name} disappear by themselves after the ageing time",
            held=gone[name] and not left,
            expected="no learned entry",
            observed="; ".join(left) or "no learned entry",
            evidence=seen[name].evidence("dump-flows_br-tun"),
        )


def _flood_and_learn(scene: Scene, gateway: api.Port) -> None:
    before = scene.stage("4d-before-again", "nothing is learned; vm1 still has the router in its ARP cache")
    first = scene.on("vm1", *pieces.ping_words(scene, "vm1", gateway.address, 1))
    flooded = scene.stage("4e-first-again", "one more echo request")
    second = scene.on("vm1", *pieces.ping_words(scene, "vm1", gateway.address, 1))
    learned = scene.stage("4f-second-again", "and another one")
    vlan = pieces.local_vlan(scene, HOST, pieces.on_switch(scene, scene.objects.instances["vm1"]))
    match = f"dl_vlan={vlan}"
    by_flood = flooded[HOST].counted(22, match) - before[HOST].counted(22, match)
    again = learned[HOST].counted(22, match) - flooded[HOST].counted(22, match)
    mac = pieces.port_of(scene, pieces.ROUTER_INTERFACE).mac_address
    is_learned = flooded[HOST].toward(mac) is not None
    scene.claim(
        "the next unicast is flooded by table 22 until the way is learned again",
        held=by_flood >= 1 and again == 0 and is_learned and pieces.received(first.stdout + second.stdout) >= 1,
        expected="the first counted by table 22, the second not, an entry for the router in between",
        observed=f"{by_flood} then {again} packets by table 22, {'an entry' if is_learned else 'no entry'} in between",
        evidence=flooded[HOST].evidence("dump-flows_br-tun"),
    )


def _claim_arp_answered_here(scene: Scene, after: Sight, crossed: list[str], evidence: str) -> None:
    inner = pieces.port_of(scene, pieces.ROUTER_INTERFACE)
    match = f"arp_tpa={inner.address}"
    answered = sum(entry.n_packets for entry in after[HOST].tunnels if entry.table == 21 and match in entry.match)
    scene.claim(
        f"vm1's ARP request for the router is answered on {HOST} itself",
        held=answered >= 1,
        expected="counted by table 21",
        observed=f"{answered} counted by table 21",
        evidence=after[HOST].evidence("dump-flows_br-tun"),
    )
    scene.claim(
        "no ARP broadcast crosses a tunnel",
        held=not crossed,
        expected="none in the capture of the underlay",
        observed=f"{len(crossed)} in the capture",
        evidence=evidence,
    )


def _claim_stays(scene: Scene) -> None:
    seen = scene.stage("4c-later", "later, with nothing learned")
    mac = pieces.port_of(scene, pieces.ROUTER_INTERFACE).mac_address
    entry = seen[HOST].toward(mac)
    learned = [found.text for sight in seen.hosts.values() for found in sight.learned]
    scene.claim(
        "the entry has no age, and nothing was learned on any host",
        held=entry is not None and entry.remaining_s is None and not learned,
        expected="an entry without timeout, no learned one",
        observed=(entry.text if entry else "no entry") + ("; " + "; ".join(learned) if learned else ""),
        evidence=seen[HOST].evidence("dump-flows_br-tun"),
    )
