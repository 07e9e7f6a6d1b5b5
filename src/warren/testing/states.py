"""Generators of desired states, for laws. The only module that imports hypothesis.

Identities come from small pools, so that two examples overlap as two moments of one host do.
"""

from dataclasses import dataclass
from itertools import chain

from hypothesis import strategies as st

from warren.core.ids import HostName, MacAddress, NetworkId, PortId, SegmentationId, SubnetId
from warren.core.names import qvo
from warren.core.state import (
    OWNER_DHCP,
    OWNER_ROUTER_GATEWAY,
    OWNER_ROUTER_INTERFACE,
    AddressPair,
    Deployment,
    FixedIp,
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

MAX_PORTS = 8
MAX_PEERS = 3
PHYSICAL_NETWORK = "public"
LOCAL_IP = "10.9.0.1"
PAIR_MAC = MacAddress("00:00:5e:00:01:01")


def uuid(kind: int, number: int) -> str:
    """A UUID whose first digits tell objects apart: only those go into cookies."""
    return f"{kind:04x}{number:04x}-0000-4000-8000-{number:012x}"


def network_id(number: int) -> NetworkId:
    return NetworkId(uuid(0xA, number))


def port_id(number: int) -> PortId:
    return PortId(uuid(0xB, number))


def plugged_as(number: int) -> str:
    """The interface by which a port is plugged into br-int, whatever its plug."""
    return qvo(port_id(number))


def neighbour_port_id(number: int) -> PortId:
    return PortId(uuid(0xC, number))


def mac(number: int) -> MacAddress:
    return MacAddress(f"fa:16:3e:00:00:{number:02x}")


def vtep(number: int) -> str:
    """Address of the tunnel endpoint of a peer, numbered from 1."""
    return f"10.9.0.{number + 1}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A desired state, and which of its ports somebody has plugged."""

    state: HostState
    plugged: frozenset[PortId]


NETWORKS = (
    Network(id=network_id(1), network_type=NetworkType.VXLAN, mtu=1450, segmentation_id=SegmentationId(1001)),
    Network(id=network_id(2), network_type=NetworkType.VXLAN, mtu=1450, segmentation_id=SegmentationId(1002)),
    Network(id=network_id(3), network_type=NetworkType.GRE, mtu=1458, segmentation_id=SegmentationId(77)),
    Network(id=network_id(4), network_type=NetworkType.FLAT, mtu=1500, physical_network=PHYSICAL_NETWORK),
    Network(
        id=network_id(5),
        network_type=NetworkType.VLAN,
        mtu=1500,
        physical_network=PHYSICAL_NETWORK,
        segmentation_id=SegmentationId(100),
    ),
    Network(id=network_id(6), network_type=NetworkType.FLAT, mtu=1500, physical_network="not on this host"),
)


@st.composite
def ports(draw: st.DrawFn, number: int, networks: tuple[Network, ...]) -> Port:
    """Port `number` on one of the networks: mostly an ordinary instance's, sometimes anything else."""
    pairs = draw(st.sampled_from([(), (), ("192.168.7.0/24",), ("0.0.0.0/0", "::/0"), ("2001:db8::7",)]))
    pair_mac = draw(st.sampled_from([PAIR_MAC, mac(number)]))
    owner = draw(st.sampled_from(["compute:nova"] * 5 + [OWNER_DHCP, OWNER_ROUTER_INTERFACE, OWNER_ROUTER_GATEWAY]))
    return Port(
        id=port_id(number),
        network_id=draw(st.sampled_from(networks)).id,
        mac_address=mac(number),
        fixed_ips=(FixedIp(subnet_id=SubnetId(uuid(0xD, 1)), ip_address=f"192.168.5.{number}"),),
        device_owner=owner,
        admin_state_up=draw(st.sampled_from([True, True, True, False])),
        plug=draw(st.sampled_from([Plug.HYBRID, Plug.HYBRID, Plug.OVS])),
        port_security_enabled=draw(st.sampled_from([True, True, False])),
        allowed_address_pairs=tuple(AddressPair(mac_address=pair_mac, ip_address=ip) for ip in pairs),
    )


@st.composite
def peers(draw: st.DrawFn, number: int) -> Peer:
    types = draw(st.sampled_from([(NetworkType.VXLAN, NetworkType.GRE), (NetworkType.VXLAN,), (NetworkType.GRE,)]))
    shared = draw(st.sets(st.sampled_from([network.id for network in NETWORKS[:3]])))
    return Peer(
        host=HostName(f"peer{number}"), vtep_ip=vtep(number), tunnel_types=types, network_ids=tuple(sorted(shared))
    )


@st.composite
def neighbours(draw: st.DrawFn, number: int, networks: tuple[Network, ...]) -> Neighbour:
    return Neighbour(
        network_id=draw(st.sampled_from(networks)).id,
        mac_address=mac(0x80 + number),
        host=HostName(f"peer{draw(st.integers(1, MAX_PEERS))}"),
        port_id=neighbour_port_id(number),
        ip_addresses=(f"192.168.5.{0x80 + number}", f"fd00::{0x80 + number:x}"),
    )


@st.composite
def host_states(draw: st.DrawFn) -> HostState:
    """Any state of a host with up to 6 networks, 8 ports, 3 peers, in either mode."""
    chosen = draw(st.sets(st.sampled_from(range(len(NETWORKS))), min_size=1))
    networks = tuple(NETWORKS[index] for index in sorted(chosen))
    deployment = Deployment(
        tunnel_mode=draw(st.sampled_from(list(TunnelMode))), ageing_s=draw(st.sampled_from([300, 5]))
    )
    here = draw(st.sets(st.integers(1, MAX_PORTS)))
    objects: chain[StateObject] = chain(
        (deployment,),
        networks,
        (draw(ports(number, networks)) for number in sorted(here)),
        (draw(peers(number)) for number in range(1, draw(st.integers(0, MAX_PEERS)) + 1)),
        (draw(neighbours(number, networks)) for number in range(draw(st.integers(0, 4)))),
    )
    return HostState({found.key: found for found in objects})


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """A state, and most of its ports plugged."""
    state = draw(host_states())
    plugged = {port.id for port in state.of(Port) if draw(st.sampled_from([True, True, True, False]))}
    return Scene(state=state, plugged=frozenset(plugged))


def full_scene(mode: TunnelMode) -> Scene:
    """One example with something of everything: every type of network, guarded, trusted, service and dead ports."""
    types = (NetworkType.VXLAN, NetworkType.GRE)
    shared = tuple(network.id for network in NETWORKS[:3])
    objects: list[StateObject] = [Deployment(tunnel_mode=mode), *NETWORKS]
    objects += [
        Peer(host=HostName(f"peer{number}"), vtep_ip=vtep(number), tunnel_types=types, network_ids=shared)
        for number in (1, 2)
    ]
    objects += [
        Neighbour(
            network_id=network.id,
            mac_address=mac(0x80 + number),
            host=HostName("peer1"),
            port_id=neighbour_port_id(number),
            ip_addresses=(f"192.168.5.{0x80 + number}",),
        )
        for number, network in enumerate(NETWORKS[:3])
    ]
    objects += [_full_port(number) for number in range(1, MAX_PORTS + 1)]
    state = HostState({found.key: found for found in objects})
    return Scene(state=state, plugged=frozenset(port_id(number) for number in range(1, MAX_PORTS)))


def _full_port(number: int) -> Port:
    owners = {2: OWNER_DHCP, 5: OWNER_ROUTER_GATEWAY}
    pairs = {1: (AddressPair(mac_address=PAIR_MAC, ip_address="192.168.7.0/24"),)}
    return Port(
        id=port_id(number),
        network_id=network_id((1, 1, 6, 3, 4, 5, 1, 1)[number - 1]),
        mac_address=mac(number),
        fixed_ips=(FixedIp(subnet_id=SubnetId(uuid(0xD, 1)), ip_address=f"192.168.5.{number}"),),
        device_owner=owners.get(number, "compute:nova"),
        admin_state_up=number != 7,
        port_security_enabled=number != 4,
        allowed_address_pairs=pairs.get(number, ()),
    )
