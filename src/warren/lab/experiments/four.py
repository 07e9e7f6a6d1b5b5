"""Experiment 4: unicast out. A learned entry carries it, is counted, ages away, and is learned again."""

from warren.core import names
from warren.core.ids import PortId
from warren.core.state import OWNER_ROUTER_GATEWAY, OWNER_ROUTER_INTERFACE
from warren.lab import api
from warren.lab.experiments import expected, pieces
from warren.lab.experiments.capture import capturing
from warren.lab.experiments.frames import BROADCAST
from warren.lab.experiments.record import Hop
from warren.lab.experiments.scene import Scene
from warren.lab.experiments.sight import Sight
from warren.lab.experiments.tables import Entry
from warren.lab.experiments.three import HOST
from warren.lab.experiments.trace import Trace
from warren.lab.fabric import UNDERLAY_NIC

COUNT = 5
ROUNDING_S = 2
"""The switch tells ages in whole seconds, and looks once a second for what has expired."""


def run(scene: Scene) -> None:
    """Ping the gateway from vm1, wait until the tables forget, ping again."""
    scene.begin(
        4,
        "Unicast out",
        "vm1 pings the router's gateway: by which tables, and for how long do the switches remember the way?",
    )
    gateway = pieces.port_of(scene, OWNER_ROUTER_GATEWAY)
    before = scene.stage("4a-before", "before the ping")
    if not scene.is_learning:
        scene.on("vm1", "ip", "neigh", "flush", "dev", "eth0")  # so that it asks for the router's MAC address again
    with capturing(scene.lab, scene.places[HOST], UNDERLAY_NIC) as captured:
        done = scene.on("vm1", *pieces.ping_words(scene, "vm1", gateway.address, COUNT))
    after = scene.stage("4b-pinged", f"vm1 has pinged {gateway.address}")
    claim = f"vm1's ping of qg ({gateway.address}) is answered"
    pieces.claim_answered(scene, claim, done.stdout, COUNT, "vm1/ping_qg")
    _claim_way(scene, gateway, after)
    _claim_counted(scene, before, after)
    if scene.is_learning:
        _age(scene, after)
        _flood_and_learn(scene, gateway)
    else:
        evidence = scene.save(f"{HOST}/tcpdump_{UNDERLAY_NIC}", captured.text)
        _claim_arp_answered_here(scene, before, after)
        _claim_no_arp(scene, captured.having(rf"> {BROADCAST}, ethertype ARP"), evidence)
        _claim_stays(scene)


def _claim_way(scene: Scene, gateway: api.Port, seen: Sight) -> None:
    vm1, inner = scene.objects.instances["vm1"], pieces.port_of(scene, OWNER_ROUTER_INTERFACE)
    packet = pieces.icmp(vm1.mac_address, inner.mac_address, (vm1.address, gateway.address))
    switch = pieces.on_switch(scene, vm1)
    out, out_file = pieces.trace(scene, HOST, "br-int", f"in_port={switch},{packet}", "ofproto_trace_vm1-to-qg")
    _claim_way_out(scene, out, seen[HOST].toward(inner.mac_address), out_file)
    host, table = scene.network_host, expected.TABLE_OF[scene.tunnel]
    tunnel = pieces.peers_of(scene, host)[HOST]
    flow = f"in_port={tunnel},tun_id={pieces.tenant(scene).segmentation_id},{packet}"
    into, into_file = pieces.trace(scene, host, "br-tun", flow, "ofproto_trace_vm1-to-qg")
    interface = names.router_interface(PortId(inner.id))
    is_delivered = into.outputs("br-int") == (_ofport(scene, host, interface),)
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


def _claim_way_out(scene: Scene, out: Trace, entry: Entry | None, evidence: str) -> None:
    """By which tables, by what kind of entry, and out of which port."""
    tunnel = pieces.peers_of(scene, HOST)[scene.network_host]
    kind, found = _kind(is_learned=scene.is_learning), "no entry"
    if entry is not None:
        found = f"{_kind(is_learned=entry.is_learned)} to {', '.join(entry.outputs)}"
    is_sent = out.outputs("br-tun") == (_ofport(scene, HOST, tunnel),) and not out.is_dropped
    scene.claim(
        f"on {HOST} the packet goes 0 → 2 → 20 and out of the tunnel to {scene.network_host} by {kind}",
        held=out.tables("br-tun") == (0, 2, 20) and is_sent and found == f"{kind} to {tunnel}",
        expected=f"br-tun tables 0, 2, 20; {kind} to {tunnel}; sent there",
        observed=f"br-tun tables {_words(out.tables('br-tun'))}; {found}; {'sent' if is_sent else 'not sent'} there",
        evidence=evidence,
    )


def _kind(*, is_learned: bool) -> str:
    return "a learned entry" if is_learned else "an entry written ahead"


def _ofport(scene: Scene, host: str, interface: str) -> str:
    return scene.places[host].must("ovs-vsctl", "get", "Interface", interface, "ofport").strip()


def _words(tables: tuple[int, ...]) -> str:
    return ", ".join(map(str, tables)) or "none"


def _claim_counted(scene: Scene, before: Sight, after: Sight) -> None:
    vm1, inner = scene.objects.instances["vm1"], pieces.port_of(scene, OWNER_ROUTER_INTERFACE)
    for name, mac, whose in (
        (HOST, inner.mac_address, "the router's"),
        (scene.network_host, vm1.mac_address, "vm1's"),
    ):
        entry = after[name].toward(mac)
        counted = pieces.counted_between(before[name].toward(mac), entry)
        scene.claim(
            f"on {name} the entry for {whose} MAC address counted the packets",
            held=counted >= COUNT - 1,
            expected=f"{COUNT - 1} or more of {COUNT} (one before it was learned would be flooded)",
            observed=f"{counted}" if entry else "no entry",
            evidence=after[name].evidence("dump-flows_br-tun"),
        )


def _age(scene: Scene, learned: Sight) -> None:
    """Without traffic, until nothing learned is left; `learned` is what there was after the last packet."""
    hosts = (HOST, scene.network_host)
    lasted = pieces.wait_forgotten(scene, hosts, learned)
    seen = scene.stage("4c-aged", f"no traffic for the ageing time of {scene.lab.plan.ageing_s} s")
    for name in hosts:
        left = [entry.text for entry in seen[name].learned]
        had = [entry.remaining_s for entry in learned[name].learned if entry.remaining_s is not None]
        least = max(0.0, max(had, default=0.0) - ROUNDING_S)
        took = lasted.get(name)
        scene.claim(
            f"with no traffic the learned entries of table 20 on {name} disappear by themselves after the ageing time",
            held=bool(had) and not left and took is not None and took >= least,
            expected=f"1 or more learned entries, and none any more after {least:.0f} s or later",
            observed=f"{len(had)} learned entries, "
            + ("some still there: " + "; ".join(left) if took is None or left else f"none any more after {took:.1f} s"),
            evidence=seen[name].evidence("dump-flows_br-tun"),
        )


def _flood_and_learn(scene: Scene, gateway: api.Port) -> None:
    before = scene.stage("4d-before-again", "nothing is learned; vm1 still has the router in its ARP cache")
    first = scene.on("vm1", *pieces.ping_words(scene, "vm1", gateway.address, 1))
    flooded = scene.stage("4e-first-again", "one more echo request")
    second = scene.on("vm1", *pieces.ping_words(scene, "vm1", gateway.address, 1))
    learned = scene.stage("4f-second-again", "and another one")
    scene.save("vm1/ping_qg", first.stdout + second.stdout)
    missed, again = _flooded(scene, before, flooded), _flooded(scene, flooded, learned)
    answers = [pieces.received(done.stdout) for done in (first, second)]
    mac = pieces.port_of(scene, OWNER_ROUTER_INTERFACE).mac_address
    is_learned = flooded[HOST].toward(mac) is not None
    scene.claim(
        "the next unicast is flooded by table 22 until the way is learned again",
        held=min(missed) >= 1 and again == (0, 0) and is_learned and answers == [1, 1],
        expected="the first missed by table 20 and flooded by table 22, the second not, an entry for the router in "
        "between, both answered",
        observed=f"{missed[0]} then {again[0]} missed by table 20, {missed[1]} then {again[1]} flooded by table 22, "
        f"{'an entry' if is_learned else 'no entry'} in between, {sum(answers)} answered",
        evidence=flooded[HOST].evidence("dump-flows_br-tun"),
    )


def _flooded(scene: Scene, before: Sight, after: Sight) -> tuple[int, int]:
    """Unicasts that table 20 had no entry for, and frames that the flood list took, in between."""
    vlan = pieces.local_vlan(scene, HOST, pieces.on_switch(scene, scene.objects.instances["vm1"]))
    counted = [after[HOST].counted(*flow) - before[HOST].counted(*flow) for flow in ((20, ""), (22, f"dl_vlan={vlan}"))]
    return counted[0], counted[1]


def _claim_arp_answered_here(scene: Scene, before: Sight, after: Sight) -> None:
    router = pieces.port_of(scene, OWNER_ROUTER_INTERFACE).address
    answered = pieces.arp_answers(after[HOST], router) - pieces.arp_answers(before[HOST], router)
    scene.claim(
        f"vm1's ARP request for the router is answered on {HOST} itself",
        held=answered >= 1,
        expected="1 or more counted by table 21",
        observed=f"{answered} counted by table 21",
        evidence=after[HOST].evidence("dump-flows_br-tun"),
    )


def _claim_no_arp(scene: Scene, crossed: list[str], evidence: str) -> None:
    scene.claim(
        "no ARP broadcast crosses a tunnel",
        held=not crossed,
        expected="none in the capture of the underlay",
        observed=f"{len(crossed)} in the capture",
        evidence=evidence,
    )


def _claim_stays(scene: Scene) -> None:
    seen = scene.stage("4c-later", "later, with nothing learned")
    mac = pieces.port_of(scene, OWNER_ROUTER_INTERFACE).mac_address
    entry = seen[HOST].toward(mac)
    learned = [found.text for sight in seen.hosts.values() for found in sight.learned]
    scene.claim(
        "the entry has no age, and nothing was learned on any host",
        held=entry is not None and entry.remaining_s is None and not learned,
        expected="an entry without timeout, no learned one",
        observed=(entry.text if entry else "no entry") + ("; " + "; ".join(learned) if learned else ""),
        evidence=seen[HOST].evidence("dump-flows_br-tun"),
    )
