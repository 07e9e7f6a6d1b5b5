"""br-tun and the physical bridges read like Neutron's, stage by stage, but for the cookies."""

from dataclasses import replace

import pytest
from hypothesis import given

from warren.core.ids import HostName, LocalVlan, NetworkId, OfPort, PortId, SegmentationId
from warren.core.names import qvo, tap
from warren.core.state import (
    AddressPair,
    Deployment,
    HostState,
    Neighbour,
    Network,
    NetworkType,
    Peer,
    Plug,
    Port,
    StateObject,
    TunnelMode,
)
from warren.pipeline import Layout, PhysicalNetwork, SwitchView, networks_to_number, refusal, render, unwired_reason
from warren.pipeline.br_int import of_port
from warren.testing.states import MAX_PORTS, NETWORKS, Scene, mac, network_id, plugged_as, port_id, scenes

LEARN = (
    "learn(table=20,hard_timeout=300,priority=1,cookie=0xff000000000000,NXM_OF_VLAN_TCI[0..11],"
    "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],"
    "output:OXM_OF_IN_PORT[])"
)
INITIAL = f"""\
table=0, priority=1,in_port=1 actions=resubmit(,2)
table=0, priority=0 actions=drop
table=2, priority=0,dl_dst=00:00:00:00:00:00/01:00:00:00:00:00 actions=resubmit(,20)
table=2, priority=0,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=resubmit(,22)
table=3, priority=0 actions=drop
table=4, priority=0 actions=drop
table=6, priority=0 actions=drop
table=10, priority=2,arp,arp_tha=ff:ff:ff:ff:ff:ff actions={LEARN},output:1
table=10, priority=2,icmp6,icmp_type=134 actions={LEARN},output:1
table=10, priority=2,icmp6,icmp_type=136 actions={LEARN},output:1
table=10, priority=1 actions={LEARN},output:1
table=20, priority=0 actions=resubmit(,22)
table=22, priority=0 actions=drop
"""
PEERS_KNOWN = """\
table=0, priority=1,in_port=2 actions=resubmit(,4)
table=0, priority=1,in_port=3 actions=resubmit(,4)
table=0, priority=1,in_port=4 actions=resubmit(,3)
"""
NETWORKS_WIRED = """\
table=3, priority=1,tun_id=0x4d actions=mod_vlan_vid:2,resubmit(,10)
table=4, priority=1,tun_id=0x3e9 actions=mod_vlan_vid:1,resubmit(,10)
table=22, priority=1,dl_vlan=1 actions=strip_vlan,load:0x3e9->NXM_NX_TUN_ID[],output:2,output:3
table=22, priority=1,dl_vlan=2 actions=strip_vlan,load:0x4d->NXM_NX_TUN_ID[],output:4
"""
NEIGHBOUR_KNOWN = """\
table=20, priority=2,dl_vlan=1,dl_dst=fa:16:3e:00:00:03 actions=strip_vlan,load:0x3e9->NXM_NX_TUN_ID[],output:2
table=22, priority=1,dl_vlan=1 actions=strip_vlan,load:0x3e9->NXM_NX_TUN_ID[],output:2
table=2, priority=1,arp,dl_dst=ff:ff:ff:ff:ff:ff actions=resubmit(,21)
table=21, priority=0 actions=resubmit(,22)
table=21, priority=1,arp,dl_vlan=1,arp_tpa=192.168.5.3 actions=load:0x2->NXM_OF_ARP_OP[],\
move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],\
load:0xfa163e000003->NXM_NX_ARP_SHA[],load:0xc0a80503->NXM_OF_ARP_SPA[],\
move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],mod_dl_src:fa:16:3e:00:00:03,IN_PORT
"""
PHYSICAL = """\
table=0, priority=4,in_port=1,dl_vlan=3 actions=strip_vlan,NORMAL
table=0, priority=4,in_port=1,dl_vlan=4 actions=mod_vlan_vid:100,NORMAL
table=0, priority=2,in_port=1 actions=drop
table=0, priority=0 actions=NORMAL
"""

LAYOUT = Layout(local_ip="10.9.0.1", physical_networks={"public": PhysicalNetwork(bridge="br-ex")})
OFPORTS = {
    "br-int": {"patch-tun": OfPort(1), "int-br-ex": OfPort(2)},
    "br-tun": {"patch-int": OfPort(1)},
    "br-ex": {"phy-br-ex": OfPort(1)},
}
TUNNELS = {"vxlan-0a090002": OfPort(2), "vxlan-0a090003": OfPort(3), "gre-0a090002": OfPort(4)}
PEERS = (
    Peer(host=HostName("h2"), vtep_ip="10.9.0.2"),
    Peer(host=HostName("h3"), vtep_ip="10.9.0.3", tunnel_types=(NetworkType.VXLAN,)),
)
TENANT = (
    Network(id=network_id(1), network_type=NetworkType.VXLAN, mtu=1450, segmentation_id=SegmentationId(1001)),
    Network(id=network_id(2), network_type=NetworkType.GRE, mtu=1458, segmentation_id=SegmentationId(77)),
)
OUTSIDE = (
    Network(id=network_id(3), network_type=NetworkType.FLAT, mtu=1500, physical_network="public"),
    Network(
        id=network_id(4),
        network_type=NetworkType.VLAN,
        mtu=1500,
        physical_network="public",
        segmentation_id=SegmentationId(100),
    ),
)


def state(*objects: StateObject) -> HostState:
    return HostState({found.key: found for found in objects})


def on(network: Network, number: int) -> Port:
    return Port(id=port_id(number), network_id=network.id, mac_address=mac(number))


def view(*networks: Network) -> SwitchView:
    """Every network has one port here, at `plugged_as(<number>)`, and the local VLAN that its number says."""
    ofports = {**OFPORTS, "br-tun": {**OFPORTS["br-tun"], **TUNNELS}}
    numbers = range(1, len(networks) + 1)
    ofports["br-int"] = {**OFPORTS["br-int"], **{plugged_as(number): OfPort(8 + number) for number in numbers}}
    vlans: dict[NetworkId, LocalVlan] = {network.id: LocalVlan(int(network.id[4:8], 16)) for network in networks}
    interfaces: dict[PortId, str] = {port_id(number): plugged_as(number) for number in numbers}
    return SwitchView(ofports=ofports, interfaces=interfaces, local_vlans=vlans)


def lines(rendered: HostState, seen: SwitchView, bridge: str) -> set[str]:
    flows = render(rendered, seen, LAYOUT)[bridge].desired.values()
    return {str(flow).partition(", ")[2] for flow in flows}


def test_a_host_without_networks_has_the_initial_flows_and_nothing_else() -> None:
    assert lines(state(Deployment()), SwitchView(ofports=OFPORTS), "br-tun") == set(INITIAL.splitlines())


def test_a_peer_adds_one_flow_for_each_of_its_tunnels() -> None:
    expected = set((INITIAL + PEERS_KNOWN).splitlines())
    assert lines(state(Deployment(), *PEERS), view(), "br-tun") == expected


def test_the_first_port_of_a_network_adds_its_way_in_and_its_flood_list() -> None:
    ports = (on(TENANT[0], 1), on(TENANT[1], 2))
    expected = set((INITIAL + PEERS_KNOWN + NETWORKS_WIRED).splitlines())
    assert lines(state(Deployment(), *PEERS, *TENANT, *ports), view(*TENANT), "br-tun") == expected


def test_two_peers_with_one_endpoint_are_sent_one_copy() -> None:
    """A host that came back under another name: the old one is a peer until somebody deletes it."""
    ports, renamed = (on(TENANT[0], 1), on(TENANT[1], 2)), replace(PEERS[0], host=HostName("h2-again"))
    expected = set((INITIAL + PEERS_KNOWN + NETWORKS_WIRED).splitlines())
    assert lines(state(Deployment(), *PEERS, renamed, *TENANT, *ports), view(*TENANT), "br-tun") == expected


def test_a_network_without_a_plugged_port_adds_nothing() -> None:
    ports = (on(TENANT[0], 1), on(TENANT[1], 2))
    bare = SwitchView(ofports=view().ofports)
    expected = set((INITIAL + PEERS_KNOWN).splitlines())
    assert lines(state(Deployment(), *PEERS, *TENANT, *ports), bare, "br-tun") == expected


def test_in_l2pop_the_server_knows_ahead_and_only_interested_hosts_are_flooded() -> None:
    interested = replace(PEERS[0], network_ids=(TENANT[0].id,))
    far = Neighbour(
        network_id=TENANT[0].id,
        mac_address=mac(3),
        host=HostName("h2"),
        port_id=port_id(3),
        ip_addresses=("192.168.5.3", "fd00::3"),
    )
    desired = state(Deployment(tunnel_mode=TunnelMode.L2POP), interested, PEERS[1], TENANT[0], far, on(TENANT[0], 1))
    without_learning = [line for line in INITIAL.splitlines() if "learn(" not in line]
    expected = {
        *without_learning,
        "table=10, priority=1 actions=output:1",
        "table=0, priority=1,in_port=2 actions=resubmit(,4)",
        "table=4, priority=1,tun_id=0x3e9 actions=mod_vlan_vid:1,resubmit(,10)",
        *NEIGHBOUR_KNOWN.splitlines(),
    }
    assert lines(desired, view(TENANT[0]), "br-tun") == expected


def test_a_physical_bridge_translates_between_local_and_wire_tags() -> None:
    ports = (on(OUTSIDE[0], 1), on(OUTSIDE[1], 2))
    desired = state(Deployment(), *OUTSIDE, *ports)
    assert lines(desired, view(*OUTSIDE), "br-ex") == set(PHYSICAL.splitlines())
    assert {
        "table=0, priority=3,in_port=2,vlan_tci=0x0000/0x1fff actions=mod_vlan_vid:3,resubmit(,60)",
        "table=0, priority=3,in_port=2,dl_vlan=100 actions=mod_vlan_vid:4,resubmit(,60)",
        "table=0, priority=2,in_port=2 actions=drop",
    } <= lines(desired, view(*OUTSIDE), "br-int")


def test_two_objects_that_ask_for_the_same_frames_are_named_and_the_first_has_them() -> None:
    twin = replace(OUTSIDE[0], id=network_id(5))
    desired = state(Deployment(), OUTSIDE[0], twin, on(OUTSIDE[0], 1), on(twin, 2))
    flows = render(desired, view(OUTSIDE[0], twin), LAYOUT)["br-int"]
    assert flows.conflicts.keys() == {twin.key}
    assert OUTSIDE[0].key in flows.conflicts[twin.key]


def test_a_ports_own_address_is_its_own_although_another_port_may_use_it_too() -> None:
    pair = AddressPair(mac_address=mac(1), ip_address="192.168.7.0/24")
    sharer = replace(on(TENANT[0], 2), allowed_address_pairs=(pair,))
    seen = view(TENANT[0], TENANT[0])
    flows = render(state(Deployment(), TENANT[0], on(TENANT[0], 1), sharer), seen, LAYOUT)["br-int"]
    (to_first,) = [flow for flow in flows.desired.values() if flow.table == 61 and f"dl_dst={mac(1)}" in flow.match]
    assert (to_first.actions, flows.conflicts) == (f"output:{seen.port_ofport(port_id(1))}", {})


def test_kept_flows_of_a_port_are_those_that_would_be_rendered_afresh() -> None:
    desired, seen = state(Deployment(), *PEERS, *TENANT, on(TENANT[0], 1), on(TENANT[1], 2)), view(*TENANT)
    first = render(desired, seen, LAYOUT)["br-int"]
    swapped = {**seen.ofports["br-int"], plugged_as(1): OfPort(10), plugged_as(2): OfPort(9)}
    moved = replace(seen, ofports={**seen.ofports, "br-int": swapped})
    assert render(desired, moved, LAYOUT)["br-int"] != first
    kept = render(desired, seen, LAYOUT)["br-int"]
    of_port.cache_clear()
    assert render(desired, seen, LAYOUT)["br-int"] == kept == first


def test_bridges_whose_ports_are_not_there_yet_have_what_needs_no_port() -> None:
    desired = state(Deployment(), *PEERS, *TENANT, *OUTSIDE, on(TENANT[0], 1), on(OUTSIDE[0], 2))
    only = {"br-int": {plugged_as(1): OfPort(9)}, "br-tun": {}, "br-ex": {}}
    bare = replace(view(TENANT[0], OUTSIDE[0]), ofports=only)
    assert lines(desired, bare, "br-ex") == {"table=0, priority=0 actions=NORMAL"}
    assert not [line for line in lines(desired, bare, "br-tun") if "in_port" in line or "table=10" in line]
    assert "table=62, priority=2,reg6=0x1,dl_dst=01:00:00:00:00:00/01:00:00:00:00:00 actions=output:9" in lines(
        desired, bare, "br-int"
    )


def test_a_bridge_has_the_networks_of_its_own_wire_only() -> None:
    wires = {"public": PhysicalNetwork(bridge="br-ex"), "other": PhysicalNetwork(bridge="br-other")}
    layout = replace(LAYOUT, physical_networks=wires)
    seen = view(OUTSIDE[0])
    seen = replace(seen, ofports={**seen.ofports, "br-other": {"phy-br-other": OfPort(1)}})
    rendered = render(state(Deployment(), OUTSIDE[0], on(OUTSIDE[0], 1)), seen, layout)
    assert not [key for key in rendered["br-other"].desired if key.priority == 4]
    assert [key for key in rendered["br-ex"].desired if key.priority == 4]


def test_a_peer_without_an_address_and_this_host_itself_get_no_tunnel() -> None:
    nameless = Peer(host=HostName("new"), vtep_ip="")
    odd = Peer(host=HostName("odd"), vtep_ip="fd00::1")
    myself = Peer(host=HostName("me"), vtep_ip=LAYOUT.local_ip)
    assert lines(state(Deployment(), nameless, odd, myself), view(), "br-tun") == set(INITIAL.splitlines())


def test_what_is_plugged_before_its_network_is_known_stays_dead() -> None:
    orphan = on(TENANT[0], 1)
    assert lines(state(Deployment(), orphan), view(TENANT[0]), "br-int") == lines(state(Deployment()), view(), "br-int")
    assert "is not known here" in (unwired_reason(orphan, state(Deployment()), plugged_as(1)) or "")


@given(scene=scenes())
def test_br_int_never_forwards_by_normal(scene: Scene) -> None:
    numbers = range(1, MAX_PORTS + 1)
    seen = SwitchView(
        ofports={"br-int": {"patch-tun": OfPort(1), **{plugged_as(number): OfPort(8 + number) for number in numbers}}},
        interfaces={port: qvo(port) for port in scene.plugged},
        local_vlans={network.id: LocalVlan(number) for number, network in enumerate(NETWORKS, 1)},
    )
    flows = render(scene.state, seen, LAYOUT)["br-int"].desired.values()
    assert not [flow for flow in flows if "NORMAL" in flow.actions]


SECURED = on(TENANT[0], 1)


@pytest.mark.parametrize(
    ("port", "interface", "expected"),
    [
        (replace(SECURED, plug=Plug.OVS), tap(SECURED.id), "refused"),
        (replace(SECURED, plug=Plug.OVS, port_security_enabled=False), tap(SECURED.id), "wired"),
        (replace(SECURED, plug=Plug.OVS, device_owner="network:dhcp"), tap(SECURED.id), "wired"),
        (SECURED, qvo(SECURED.id), "wired"),
        (SECURED, tap(SECURED.id), "refused"),
        (SECURED, "vnet0", "refused"),
        (replace(SECURED, port_security_enabled=False), "vnet0", "wired"),
        (replace(SECURED, device_owner="network:dhcp"), tap(SECURED.id), "wired"),
    ],
)
def test_a_port_whose_groups_nothing_enforces_is_refused_and_stays_dead(
    port: Port, interface: str, expected: str
) -> None:
    seen = view(TENANT[0])
    ofports = {**seen.ofports, "br-int": {**OFPORTS["br-int"], interface: OfPort(9)}}
    plugged = replace(seen, ofports=ofports, interfaces={port.id: interface})
    rendered = lines(state(Deployment(), TENANT[0], port), plugged, "br-int")
    is_wired = any("in_port=9" in line for line in rendered)
    numbered = networks_to_number(state(Deployment(), TENANT[0], port), plugged.interfaces)
    outcome = (is_wired, bool(numbered), refusal(port, interface) is None)
    assert outcome == ((True, True, True) if expected == "wired" else (False, False, False))
