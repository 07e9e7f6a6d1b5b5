"""Who may talk is what the networks say; who does, ovs-vswitchd says (`ofproto/trace`). They agree for every pair."""

from collections.abc import Iterator

from hypothesis import HealthCheck, given, settings

from warren.core.ids import MacAddress, SegmentationId
from warren.core.names import INTEGRATION_BRIDGE, TUNNEL_BRIDGE
from warren.core.state import Neighbour, NetworkType, Port, TunnelMode
from warren.pipeline import br_int, br_tun
from warren.pipeline.br_tun.peers import Tunnel, flood_list, tunnel_ofports
from warren.pipeline.wiring import WiredNetwork, WiredPort, wired_ports, wiring
from warren.testing.bench import LAYOUT, Bench
from warren.testing.states import PAIR_MAC, Scene, full_scene, mac, scenes
from warren.testing.trace import Trace

on_a_switch = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
EVERYBODY = MacAddress("ff:ff:ff:ff:ff:ff")
NOBODY = mac(0x7F)
REACHABLE = {
    INTEGRATION_BRIDGE: set(br_int.tables.PIPELINE),
    TUNNEL_BRIDGE: set(br_tun.tables.PIPELINE) - {br_tun.tables.GENEVE_TUN_TO_LV},
}
"""The tables that a frame can come to; nothing leads to Geneve's."""


def sent(bench: Bench, port: Port, destination: MacAddress, more: str = "") -> Trace:
    """An honest IPv4 frame of a port, plugged or not."""
    frame = f"in_port={bench.interface(port.id)},dl_src={port.mac_address},dl_dst={destination},dl_type=0x0800"
    return bench.trace(INTEGRATION_BRIDGE, frame + more)


def plugged_ports(scene: Scene) -> Iterator[Port]:
    return (port for port in scene.state.of(Port) if port.id in scene.plugged)


def networks_of(bench: Bench, scene: Scene) -> tuple[WiredNetwork, ...]:
    return wiring(scene.state, bench.view(scene), LAYOUT).networks


@on_a_switch
@given(scene=scenes())
def test_two_ports_talk_exactly_when_both_are_wired_on_one_network(bench: Bench, scene: Scene) -> None:
    bench.apply(scene)
    wired = {found.port.id: found for found in wired_ports(scene.state, bench.view(scene))}
    for sender in plugged_ports(scene):
        for receiver in plugged_ports(scene):
            reached = bench.interface(receiver.id) in sent(bench, sender, receiver.mac_address).interfaces
            both_wired = sender.id in wired and receiver.id in wired
            may_talk = both_wired and sender.network_id == receiver.network_id and sender != receiver
            assert reached == may_talk


@on_a_switch
@given(scene=scenes())
def test_a_unicast_frame_to_a_local_port_goes_there_and_nowhere_else(bench: Bench, scene: Scene) -> None:
    bench.apply(scene)
    for network in networks_of(bench, scene):
        for sender in network.ports:
            for receiver in network.ports:
                if sender is not receiver:
                    trace = sent(bench, sender.port, receiver.port.mac_address)
                    assert trace.delivered == {(bench.interface(receiver.port.id), None)}


@on_a_switch
@given(scene=scenes())
def test_a_broadcast_reaches_every_other_port_of_its_network_and_every_host_on_the_flood_list(
    bench: Bench, scene: Scene
) -> None:
    bench.apply(scene)
    for network in networks_of(bench, scene):
        for sender in network.ports:
            others = {(bench.interface(found.port.id), None) for found in network.ports if found is not sender}
            trace = sent(bench, sender.port, EVERYBODY)
            assert trace.delivered == others | beyond(bench, scene, network)
            if network.network.network_type.is_tunnelled and trace.segmentation_ids:
                assert trace.segmentation_ids == {network.network.segmentation_id}


def beyond(bench: Bench, scene: Scene, network: WiredNetwork) -> set[tuple[str, int | None]]:
    """Where a flooded frame of a network leaves this host, with the tag that it then has."""
    kind = network.network.network_type
    if network.uplink is None:
        return set()
    if not kind.is_tunnelled:
        tag = network.network.segmentation_id if kind is NetworkType.VLAN else None
        # br-ex itself, its NIC: a plain switch forwards to all its ports.
        return {("br-ex", tag), ("eth1", tag)}
    ofports: dict[Tunnel, int] = dict(tunnel_ofports(scene.state, bench.view(scene), LAYOUT))
    names = {ofport: tunnel.name for tunnel, ofport in ofports.items()}
    mode = scene.state.deployment.tunnel_mode
    flooded = flood_list(network.network, mode, tunnel_ofports(scene.state, bench.view(scene), LAYOUT))
    return {(names[ofport], None) for ofport in flooded}


@on_a_switch
@given(scene=scenes())
def test_a_port_that_is_not_wired_is_dead_in_both_directions(bench: Bench, scene: Scene) -> None:
    bench.apply(scene)
    wired = {found.port.id: found for found in wired_ports(scene.state, bench.view(scene))}
    dead = [port for port in scene.state.of(Port) if port.id not in wired]
    for port in dead:
        assert not sent(bench, port, EVERYBODY).delivered
        assert not sent(bench, port, EVERYBODY, ",dl_vlan=1").delivered
    for network in networks_of(bench, scene):
        reached = sent(bench, network.ports[0].port, EVERYBODY).interfaces
        assert not reached & {bench.interface(port.id) for port in dead}


@on_a_switch
@given(scene=scenes())
def test_a_guarded_port_speaks_only_for_its_own_addresses(bench: Bench, scene: Scene) -> None:
    bench.apply(scene)
    for wired in wired_ports(scene.state, bench.view(scene)):
        port, name = wired.port, bench.interface(wired.port.id)
        pairs = {pair.ip_address for pair in port.allowed_address_pairs}
        for lie, is_allowed in lies(wired, pairs):
            passed = ("br-int", 60) in bench.trace(INTEGRATION_BRIDGE, f"in_port={name},{lie}").hits
            assert passed == (is_allowed or not wired.is_guarded), lie


def lies(wired: WiredPort, pairs: set[str]) -> Iterator[tuple[str, bool]]:
    """Frames, and whether a guarded port may send them."""
    own = wired.port.mac_address
    arp = f"dl_src={own},dl_dst={EVERYBODY},dl_type=0x0806,arp_op=1,arp_sha={own}"
    advertisement = f"dl_src={own},dl_dst={NOBODY},icmp6,icmpv6_type=136,nd_target"
    any_address = "0.0.0.0/0" in pairs
    pair_mac = {pair.mac_address for pair in wired.port.allowed_address_pairs}
    yield f"{arp},arp_spa={wired.port.fixed_ips[0].ip_address}", True
    yield f"{arp},arp_spa=192.168.5.250", any_address
    yield f"{arp},arp_spa=192.168.7.9", any_address or "192.168.7.0/24" in pairs
    yield f"{advertisement}=fe80::f816:3eff:fe00:{int(own[-2:], 16):x}", True
    yield f"{advertisement}=fe80::1", any_address
    yield f"{advertisement}=2001:db8::7", any_address or "2001:db8::7" in pairs
    yield f"dl_src={NOBODY},dl_dst={EVERYBODY},dl_type=0x0800", False
    yield f"dl_src={PAIR_MAC},dl_dst={EVERYBODY},dl_type=0x0800", PAIR_MAC in pair_mac
    udp = f"udp,dl_src={own},dl_dst={EVERYBODY}"
    yield f"{udp},udp_src=67,udp_dst=68", False
    yield f"{udp},udp_src=68,udp_dst=67", True
    addressed = f"dl_src={own},dl_dst={NOBODY}"
    yield f"udp6,{addressed},udp_src=547,udp_dst=546", False
    yield f"icmp6,{addressed},icmpv6_type=134", False
    yield f"icmp6,{addressed},icmpv6_type=135,nd_target=fe80::1", True


@on_a_switch
@given(scene=scenes())
def test_an_access_port_sends_and_receives_no_tags(bench: Bench, scene: Scene) -> None:
    bench.apply(scene)
    for network in networks_of(bench, scene):
        for wired in network.ports:
            for tag in (1, 2, 3, 100):
                assert not sent(bench, wired.port, EVERYBODY, f",dl_vlan={tag}").delivered


@on_a_switch
@given(scene=scenes())
def test_a_tunnelled_frame_reaches_its_network_and_no_other_tunnel(bench: Bench, scene: Scene) -> None:
    bench.apply(scene)
    here = {
        (network.network.network_type, network.network.segmentation_id): network
        for network in networks_of(bench, scene)
    }
    for tunnel in tunnel_ofports(scene.state, bench.view(scene), LAYOUT):
        for segmentation_id in (1001, 1002, 77, 4711):
            network = here.get((tunnel.tunnel_type, SegmentationId(segmentation_id)))
            frame = f"in_port={tunnel.name},tun_id={segmentation_id},dl_src={mac(0x99)},dl_type=0x0800"
            everywhere = bench.trace(TUNNEL_BRIDGE, f"{frame},dl_dst={EVERYBODY}").delivered
            ports = network.ports if network else ()
            assert everywhere == {(bench.interface(wired.port.id), None) for wired in ports}
            for wired in ports:
                to_one = bench.trace(TUNNEL_BRIDGE, f"{frame},dl_dst={wired.port.mac_address}").delivered
                assert to_one == {(bench.interface(wired.port.id), None)}


def test_every_table_is_hit_and_missed_by_these_frames(bench: Bench) -> None:
    """Reach: a law that no frame ever tests in some table says nothing about it."""
    hits: set[tuple[str, int]] = set()
    misses: set[tuple[str, int]] = set()
    for mode in TunnelMode:
        scene = full_scene(mode)
        bench.apply(scene)
        for trace in all_frames(bench, scene):
            hits.update(trace.hits)
            misses.update(trace.misses)
    reachable = {(bridge, table) for bridge, tables in REACHABLE.items() for table in tables}
    assert {(bridge, table.id) for bridge, table in reachable} - hits == set()
    assert {(bridge, table.id) for bridge, table in reachable if table.miss is not None} - misses == set()


def all_frames(bench: Bench, scene: Scene) -> Iterator[Trace]:
    for port in scene.state.of(Port):
        yield sent(bench, port, NOBODY)
        yield sent(bench, port, EVERYBODY)
        yield sent(bench, port, EVERYBODY, ",dl_vlan=1")
        yield sent(bench, port, mac(0x80))
    for wired in wired_ports(scene.state, bench.view(scene)):
        name = bench.interface(wired.port.id)
        for address in (0x80, 0x81, 0x7F):
            arp = f"dl_src={wired.port.mac_address},dl_dst={EVERYBODY},dl_type=0x0806,arp_op=1"
            own = wired.port.fixed_ips[0].ip_address
            yield bench.trace(INTEGRATION_BRIDGE, f"in_port={name},{arp},arp_spa={own},arp_tpa=192.168.5.{address}")
        for lie, _ in lies(wired, set()):
            yield bench.trace(INTEGRATION_BRIDGE, f"in_port={name},{lie}")
    for tunnel in tunnel_ofports(scene.state, bench.view(scene), LAYOUT):
        for segmentation_id in (1001, 77, 4711):
            frame = f"in_port={tunnel.name},tun_id={segmentation_id},dl_src={mac(0x99)},dl_type=0x0800"
            yield bench.trace(TUNNEL_BRIDGE, f"{frame},dl_dst={EVERYBODY}")
    yield bench.trace(TUNNEL_BRIDGE, f"in_port=br-tun,dl_src={mac(1)},dl_dst={EVERYBODY}")
    yield bench.trace(TUNNEL_BRIDGE, f"in_port=patch-int,dl_vlan=4000,dl_src={mac(1)},dl_dst={EVERYBODY}")


@on_a_switch
@given(scene=scenes())
def test_l2pop_answers_arp_for_far_ports_here_and_no_request_crosses_a_tunnel(bench: Bench, scene: Scene) -> None:
    bench.apply(scene)
    if scene.state.deployment.tunnel_mode is not TunnelMode.L2POP:
        return
    tunnelled = {
        found.network.id: found for found in networks_of(bench, scene) if found.network.network_type.is_tunnelled
    }
    for number in range(4):
        neighbour = next((n for n in scene.state.of(Neighbour) if n.mac_address == mac(0x80 + number)), None)
        network = tunnelled.get(neighbour.network_id) if neighbour else None
        if neighbour is None or network is None:
            continue
        asker = network.ports[0]
        request = (
            f"in_port={bench.interface(asker.port.id)},dl_src={asker.port.mac_address},dl_dst={EVERYBODY},"
            f"dl_type=0x0806,arp_op=1,arp_spa={asker.port.fixed_ips[0].ip_address},"
            f"arp_tpa={neighbour.ip_addresses[0]}"
        )
        trace = bench.trace(INTEGRATION_BRIDGE, request)
        assert bench.interface(asker.port.id) in trace.interfaces
        assert not [name for name in trace.interfaces if name.startswith(("vxlan-", "gre-"))]
