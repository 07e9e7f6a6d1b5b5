"""Laws of OVSDB's rows on a real ovsdb-server and ovs-vswitchd: what is ours is mended, nothing else is touched."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from warren.agent.drivers.ovsdb import Ovsdb
from warren.core.errors import Rejected, Unreachable
from warren.core.state import Deployment, HostState, Peer, Port, StateObject, TunnelMode
from warren.pipeline import Layout, PhysicalNetwork, Row, Switch, desired_rows, present_rows, switch_view
from warren.pipeline.switch_rows import AccessRow
from warren.reconcile.plan import Plan, plan
from warren.testing.ovs import PrivateOvs, private_ovs
from warren.testing.states import LOCAL_IP, PHYSICAL_NETWORK, Scene, full_scene, network_id, plugged_as, port_id, scenes

LAYOUT = Layout(
    datapath_type="netdev",
    local_ip=LOCAL_IP,
    underlay_interface="eth0",
    physical_networks={PHYSICAL_NETWORK: PhysicalNetwork(bridge="br-ex", interface="eth1")},
)
LEARNING = full_scene(TunnelMode.LEARNING).state


@pytest.fixture(scope="module")
def ovs() -> Iterator[PrivateOvs]:
    with private_ovs() as running:
        yield running


def read(ovs: PrivateOvs) -> Switch:
    with closing(Ovsdb(ovs.db)) as database:
        return database.read()


def pass_once(ovs: PrivateOvs, state: HostState, layout: Layout = LAYOUT) -> Plan[str, Row]:
    """One pass of the bridges stage; its plan."""
    with closing(Ovsdb(ovs.db)) as database:
        switch = database.read()
        desired = desired_rows(state, switch, layout)
        change = plan(desired, present_rows(switch, desired))
        database.apply(change, switch)
        return change


def converge(ovs: PrivateOvs, state: HostState, layout: Layout = LAYOUT) -> None:
    """Passes until nothing is left: ports are made in the first, and tagged in the second, when they have numbers."""
    for _ in range(3):
        if not pass_once(ovs, state, layout):
            return
    raise AssertionError("the rows do not come to rest")


def plug(ovs: PrivateOvs, name: str, number: int) -> None:
    """What os-vif does: an interface with the port's id, and no tag."""
    ids = f"external_ids:iface-id={port_id(number)}"
    ovs.vsctl("--may-exist", "add-port", "br-int", name, "--", "set", "Interface", name, ids)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(scene=scenes())
def test_whatever_was_before_two_passes_give_the_rows_and_a_third_does_nothing(ovs: PrivateOvs, scene: Scene) -> None:
    pass_once(ovs, scene.state)
    pass_once(ovs, scene.state)
    assert not pass_once(ovs, scene.state)


def test_bridges_and_tunnels_look_as_neutron_makes_them(ovs: PrivateOvs) -> None:
    converge(ovs, LEARNING)
    switch = read(ovs)
    assert {"br-int", "br-tun", "br-ex", "br-phy"} <= switch.bridges.keys()
    assert switch.bridges["br-int"].fail_mode == switch.bridges["br-tun"].fail_mode == "secure"
    assert switch.ports["vxlan-0a090002"].options == {
        "df_default": "true",
        "egress_pkt_mark": "0",
        "in_key": "flow",
        "local_ip": LOCAL_IP,
        "out_key": "flow",
        "remote_ip": "10.9.0.2",
    }
    pairs = {
        name: switch.ports[name].options.get("peer") for name in ("patch-tun", "patch-int", "int-br-ex", "phy-br-ex")
    }
    assert pairs == {
        "patch-tun": "patch-int",
        "patch-int": "patch-tun",
        "int-br-ex": "phy-br-ex",
        "phy-br-ex": "int-br-ex",
    }
    tap = switch.ports[f"tap{port_id(2)[:11]}"]
    assert tap.interface_ids["iface-id"] == port_id(2)
    assert tap.type == "internal"


def test_another_vxlan_port_is_said_and_the_usual_one_is_not(ovs: PrivateOvs) -> None:
    odd = replace(LEARNING, objects={**LEARNING.objects, "deployment": Deployment(vxlan_port=8472)})
    converge(ovs, odd)
    options = read(ovs).ports["vxlan-0a090002"].options
    assert options["dst_port"] == "8472"
    converge(ovs, LEARNING)
    assert "dst_port" not in read(ovs).ports["vxlan-0a090002"].options


def test_a_plugged_port_gets_its_networks_tag_and_remembers_why(ovs: PrivateOvs) -> None:
    converge(ovs, LEARNING)
    plug(ovs, plugged_as(1), 1)
    converge(ovs, LEARNING)
    switch = read(ovs)
    vlan = switch_view(switch, LEARNING).local_vlans[network_id(1)]
    assert switch.ports[plugged_as(1)].tag == vlan
    assert switch.ports[plugged_as(1)].other_config == {
        "net_uuid": network_id(1),
        "network_type": "vxlan",
        "physical_network": "None",
        "segmentation_id": "1001",
        "tag": str(vlan),
    }
    ovs.vsctl("del-port", plugged_as(1))


@pytest.mark.parametrize("number", [7, 15], ids=["administratively down", "not known here"])
def test_a_plugged_port_that_is_not_to_be_wired_gets_the_dead_tag(ovs: PrivateOvs, number: int) -> None:
    converge(ovs, LEARNING)
    plug(ovs, plugged_as(number), number)
    converge(ovs, LEARNING)
    port = read(ovs).ports[plugged_as(number)]
    assert (port.tag, port.other_config) == (4095, {})
    ovs.vsctl("del-port", plugged_as(number))


@pytest.mark.parametrize(
    "damage",
    [
        "del-port patch-tun",
        "del-port vxlan-0a090002",
        "del-br br-tun",
        "set Interface patch-int options:peer=elsewhere",
        "set Interface vxlan-0a090002 options:remote_ip=10.9.0.99",
        "set Interface gre-0a090003 options:key=5",
        "remove Interface gre-0a090003 options in_key",
        "set Bridge br-int fail_mode=standalone",
        "clear Bridge br-int fail_mode",
        "set Bridge br-tun protocols=OpenFlow10",
        "set Bridge br-int other_config:disable-in-band=false",
        "set Bridge br-int stp_enable=true",
        "set Bridge br-tun rstp_enable=true",
        "set Bridge br-int mcast_snooping_enable=true",
        "set Bridge br-int flood_vlans=5,6",
        "set-controller br-int tcp:127.0.0.1:6653 tcp:127.0.0.1:6654",
        "set Port patch-tun tag=5",
        "set Port vxlan-0a090002 vlan_mode=access tag=7",
        f"set Port {plugged_as(1)} vlan_mode=trunk trunks=5,6",
        f"set Port {plugged_as(3)} protected=true",
        f"clear Port {plugged_as(1)} tag",
        f"set Port {plugged_as(1)} tag=77",
        f"set Port {plugged_as(1)} other_config:tag=77",
        f"clear Port {plugged_as(1)} other_config",
        "add-port br-tun vxlan-0a0900fe -- set Interface vxlan-0a0900fe type=vxlan options:remote_ip=10.9.0.254",
        f"set Interface tap{port_id(2)[:11]} external_ids:iface-id=wrong",
    ],
)
def test_what_somebody_changed_by_hand_is_put_back(ovs: PrivateOvs, damage: str) -> None:
    converge(ovs, LEARNING)
    plug(ovs, plugged_as(1), 1)
    plug(ovs, plugged_as(3), 3)
    converge(ovs, LEARNING)
    before = comparable(ovs)
    ovs.vsctl(*damage.split())
    assert comparable(ovs) != before
    converge(ovs, LEARNING)
    assert comparable(ovs) == before


def comparable(ovs: PrivateOvs) -> dict[str, Row]:
    switch = read(ovs)
    return present_rows(switch, desired_rows(LEARNING, switch, LAYOUT))


def test_what_is_not_ours_is_left_alone(ovs: PrivateOvs) -> None:
    converge(ovs, LEARNING)
    ovs.vsctl("add-br", "br-foreign", "--", "set", "Bridge", "br-foreign", "other_config:hwaddr=02:00:00:00:00:01")
    ovs.vsctl("add-port", "br-foreign", "vxlan-0a090063", "--", "set", "Interface", "vxlan-0a090063", "type=vxlan")
    ovs.vsctl("add-port", "br-int", "debug0", "tag=5")
    ovs.vsctl("set", "Bridge", "br-int", "external_ids:note=mine", "other_config:mac-table-size=1000")
    ovs.vsctl("set", "Port", "patch-tun", "other_config:mcast-snooping-flood=false")
    ovs.vsctl("set", "Bridge", "br-foreign", "stp_enable=true", "--", "set-controller", "br-foreign", "ptcp:0")
    ovs.vsctl("set", "Port", "debug0", "vlan_mode=native-tagged", "--", "set", "Port", "eth1", "tag=4")
    assert not pass_once(ovs, LEARNING)
    converge(ovs, HostState({}), Layout(datapath_type="netdev", local_ip=LOCAL_IP))
    switch = read(ovs)
    assert switch.bridges.keys() == {"br-int", "br-tun", "br-foreign"} | ({"br-phy"} & switch.bridges.keys())
    assert {"debug0", "vxlan-0a090063"} <= switch.ports.keys()
    assert (switch.ports["debug0"].tag, switch.ports["debug0"].strays) == (5, {"vlan_mode": "native-tagged"})
    assert switch.bridges["br-foreign"].strays == {"stp_enable": "true", "controller": "ptcp:0"}
    assert switch.bridges["br-int"].external_ids["note"] == "mine"
    assert switch.ports["patch-tun"].other_config == {"mcast-snooping-flood": "false"}
    ovs.vsctl("del-br", "br-foreign", "--", "del-port", "debug0")


def test_an_operators_own_external_bridge_keeps_its_settings_and_gets_our_patch_port(ovs: PrivateOvs) -> None:
    converge(ovs, HostState({}), Layout(datapath_type="netdev", local_ip=LOCAL_IP))
    ovs.vsctl("add-br", "br-ex", "--", "add-port", "br-ex", "eth1")
    converge(ovs, LEARNING)
    switch = read(ovs)
    assert switch.bridges["br-ex"].fail_mode == ""
    assert switch.ports["phy-br-ex"].bridge == "br-ex"
    assert switch.ports["eth1"].external_ids == {}
    converge(ovs, HostState({}), Layout(datapath_type="netdev", local_ip=LOCAL_IP))
    switch = read(ovs)
    assert switch.ports["eth1"].bridge == "br-ex"
    assert "phy-br-ex" not in switch.ports
    ovs.vsctl("del-br", "br-ex")


def test_a_bridge_of_ours_goes_when_nothing_wants_it_unless_somebody_else_uses_it(ovs: PrivateOvs) -> None:
    nothing = Layout(datapath_type="netdev", local_ip=LOCAL_IP)
    converge(ovs, LEARNING)
    ovs.vsctl("add-port", "br-ex", "theirs")
    converge(ovs, HostState({}), nothing)
    assert {port.name for port in read(ovs).on("br-ex")} == {"br-ex", "theirs"}
    ovs.vsctl("del-port", "theirs")
    converge(ovs, HostState({}), nothing)
    assert "br-ex" not in read(ovs).bridges


def test_one_refused_row_changes_nothing(ovs: PrivateOvs) -> None:
    converge(ovs, LEARNING)
    good = replace(comparable(ovs)["port/patch-int"], name="patch-new")
    bad = AccessRow(name="patch-tun", tag=5000, other_config=())
    switch = read(ovs)
    with closing(Ovsdb(ovs.db)) as database, pytest.raises(Rejected, match="5000"):
        database.apply(Plan(add={"port/patch-new": good, "access/patch-tun": bad}, change={}, remove={}), switch)
    assert read(ovs) == switch


def test_a_database_that_is_not_there_is_unreachable(ovs: PrivateOvs) -> None:
    with closing(Ovsdb(f"unix:{ovs.directory}/no-such.sock")) as database, pytest.raises(Unreachable, match="no-such"):
        database.read()


def test_l2pop_keeps_tunnels_to_interested_hosts_only(ovs: PrivateOvs) -> None:
    objects: list[StateObject] = list(full_scene(TunnelMode.L2POP).state.objects.values())
    bored = [
        replace(found, network_ids=()) if isinstance(found, Peer) and found.host == "peer2" else found
        for found in objects
    ]
    converge(ovs, HostState({found.key: found for found in bored}))
    tunnels = {port.name for port in read(ovs).on("br-tun") if port.type in ("vxlan", "gre")}
    assert tunnels == {"vxlan-0a090002", "gre-0a090002"}


def test_a_pass_waits_until_ovs_vswitchd_has_acted_and_says_so_when_it_is_dead() -> None:
    with private_ovs() as ovs:
        converge(ovs, LEARNING)
        assert all(port.has_ofport for port in read(ovs).ports.values() if port.type in ("patch", "vxlan"))
        ovs.stop_vswitchd()
        switch = read(ovs)
        empty: dict[str, Row] = {}
        everything_goes = plan(empty, present_rows(switch, desired_rows(LEARNING, switch, LAYOUT)))
        with closing(Ovsdb(ovs.db, timeout_s=0.3)) as database, pytest.raises(Unreachable, match="is it running"):
            database.apply(everything_goes, switch)


def test_service_ports_vanish_with_the_object_that_wanted_them(ovs: PrivateOvs) -> None:
    converge(ovs, LEARNING)
    service = [port for port in LEARNING.of(Port) if port.is_service]
    without = {key: found for key, found in LEARNING.objects.items() if key not in {port.key for port in service}}
    converge(ovs, HostState(without))
    assert not [port for port in read(ovs).on("br-int") if port.type == "internal" and port.name != "br-int"]
