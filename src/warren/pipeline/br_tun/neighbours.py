"""l2pop: far ports that the server knows of. Table 20 says where they are, table 21 answers ARP for them.

IPv6 neighbour solicitations are not answered here but flooded to the interested hosts.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, ip_address

from warren.core.ids import HostName, OfPort
from warren.core.state import Neighbour, NetworkType
from warren.pipeline.br_tun.peers import Tunnel
from warren.pipeline.br_tun.segments import into_tunnel
from warren.pipeline.br_tun.tables import ARP_RESPONDER, UCAST_TO_TUN
from warren.pipeline.cookies import Concern
from warren.pipeline.flow import Flow, Why, flow, number
from warren.pipeline.wiring import WiredNetwork, Wiring


def neighbours(wiring: Wiring, ofports: dict[Tunnel, OfPort]) -> Iterator[Flow]:
    """Tables 20 and 21 for every far port of a network that is wired here."""
    networks = {network.network.id: network for network in wiring.tunnelled}
    by_host = {(tunnel.peer.host, tunnel.tunnel_type): ofport for tunnel, ofport in ofports.items()}
    for neighbour in wiring.state.of(Neighbour):
        network = networks.get(neighbour.network_id)
        if network is not None:
            yield from _reach(neighbour, network, by_host)
            yield from _answer(neighbour, network)


def _reach(
    neighbour: Neighbour, wired: WiredNetwork, by_host: dict[tuple[HostName, NetworkType], OfPort]
) -> Iterator[Flow]:
    ofport = by_host.get((neighbour.host, wired.network.network_type))
    if ofport is not None:
        yield flow(
            UCAST_TO_TUN,
            2,
            f"dl_vlan={wired.vlan},dl_dst={neighbour.mac_address}",
            f"{into_tunnel(wired)},output:{ofport}",
            Why(
                concern=Concern.NEIGHBOUR,
                obj=neighbour.port_id,
                owner=neighbour.key,
                reason=f"port {neighbour.port_id} is on {neighbour.host}",
            ),
        )


def _answer(neighbour: Neighbour, wired: WiredNetwork) -> Iterator[Flow]:
    """One answer for each IPv4 address (RFC 826), to any broadcast ARP that asks for it, as in Neutron."""
    mac = neighbour.mac_address
    for address in map(ip_address, neighbour.ip_addresses):
        if not isinstance(address, IPv4Address):
            continue
        yield flow(
            ARP_RESPONDER,
            1,
            f"arp,dl_vlan={wired.vlan},arp_tpa={address}",
            "load:0x2->NXM_OF_ARP_OP[],move:NXM_NX_ARP_SHA[]->NXM_NX_ARP_THA[],"
            "move:NXM_OF_ARP_SPA[]->NXM_OF_ARP_TPA[],"
            f"load:{number(int(mac.replace(':', ''), 16))}->NXM_NX_ARP_SHA[],"
            f"load:{number(int(address))}->NXM_OF_ARP_SPA[],"
            f"move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[],mod_dl_src:{mac},IN_PORT",
            Why(
                concern=Concern.RESPONDER,
                obj=neighbour.port_id,
                owner=neighbour.key,
                reason=f"{address} is {mac}, on {neighbour.host}",
            ),
        )
