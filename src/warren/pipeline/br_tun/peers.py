"""Which tunnel ports there should be, and which of them a network's frames are flooded to."""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address

from warren.core.ids import NetworkId, OfPort
from warren.core.names import TUNNEL_BRIDGE, tunnel_port
from warren.core.state import HostState, Network, NetworkType, Peer, TunnelMode
from warren.pipeline.view import Layout, SwitchView


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """A tunnel port towards a peer."""

    peer: Peer
    tunnel_type: NetworkType

    @property
    def name(self) -> str:
        return tunnel_port(self.tunnel_type.value, self.peer.vtep_ip)


def tunnels(state: HostState, layout: Layout) -> Iterator[Tunnel]:
    """Every tunnel port that this host should have.

    learning: one for each type that both ends speak. l2pop: only the types of networks that both hosts have ports on.
    """
    for peer in state.of(Peer):
        if peer.vtep_ip == layout.local_ip or not _is_ipv4(peer.vtep_ip):
            continue
        for tunnel_type in NetworkType:
            is_spoken = tunnel_type in peer.tunnel_types and tunnel_type in layout.tunnel_types
            if is_spoken and (state.deployment.tunnel_mode is TunnelMode.LEARNING or _share(state, peer, tunnel_type)):
                yield Tunnel(peer=peer, tunnel_type=tunnel_type)


def _is_ipv4(address: str) -> bool:
    """A host that has not said its endpoint yet, or says nonsense, must not cost the others theirs."""
    try:
        IPv4Address(address)
    except AddressValueError:
        return False
    return True


def _share(state: HostState, peer: Peer, tunnel_type: NetworkType) -> bool:
    networks = (state.network(network_id) for network_id in peer.network_ids)
    return any(network is not None and network.network_type is tunnel_type for network in networks)


def tunnel_ofports(state: HostState, view: SwitchView, layout: Layout) -> dict[Tunnel, OfPort]:
    """The tunnels whose port is on br-tun, and its number."""
    found = ((tunnel, view.ofport(TUNNEL_BRIDGE, tunnel.name)) for tunnel in tunnels(state, layout))
    return {tunnel: ofport for tunnel, ofport in found if ofport is not None}


def flood_list(network: Network, mode: TunnelMode, ofports: dict[Tunnel, OfPort]) -> list[OfPort]:
    """Where a network's broadcasts go: in `learning` to all peers of its type, in `l2pop` to those that have it."""

    def interested(has: tuple[NetworkId, ...]) -> bool:
        return mode is TunnelMode.LEARNING or network.id in has

    # A host that came back under another name has the endpoint, and so the port, of what is still a peer: one copy.
    return sorted(
        {
            ofport
            for tunnel, ofport in ofports.items()
            if tunnel.tunnel_type is network.network_type and interested(tunnel.peer.network_ids)
        }
    )
