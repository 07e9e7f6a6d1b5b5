"""What br-tun has whatever the networks are: the sort by port (0, 2) and the learning or plain table 10."""

from collections.abc import Iterator

from warren.core.ids import OfPort
from warren.core.state import Deployment, TunnelMode
from warren.pipeline.br_tun.peers import Tunnel
from warren.pipeline.br_tun.tables import (
    ARP_RESPONDER,
    FLOOD_TO_TUN,
    LEARN_FROM_TUN,
    PATCH_LV_TO_TUN,
    SORT,
    TO_LOCAL_VLAN,
    UCAST_TO_TUN,
)
from warren.pipeline.cookies import LEARNED, Concern
from warren.pipeline.flow import TO_MANY, TO_ONE, Flow, Why, flow

MOVED_ADDRESS = {
    "arp,arp_tha=ff:ff:ff:ff:ff:ff": "a gratuitous ARP says that an address moved",
    "icmp6,icmp_type=134": "a router advertisement says where the router is",
    "icmp6,icmp_type=136": "a neighbour advertisement says that an address moved",
}
"""Frames that announce where an address is, as Neutron tells them apart (priority 2)."""


def sort(patch_int: OfPort | None, ofports: dict[Tunnel, OfPort]) -> Iterator[Flow]:
    """Table 0."""
    if patch_int is not None:
        why = Why(concern=Concern.FRAME, reason="frames from this host's br-int")
        yield flow(SORT, 1, f"in_port={patch_int}", f"resubmit(,{PATCH_LV_TO_TUN.id})", why)
    for tunnel, ofport in ofports.items():
        yield flow(
            SORT,
            1,
            f"in_port={ofport}",
            f"resubmit(,{TO_LOCAL_VLAN[tunnel.tunnel_type].id})",
            Why(
                concern=Concern.PEER,
                obj=tunnel.peer.vtep_ip,
                owner=tunnel.peer.key,
                reason=f"frames from {tunnel.peer.host} by {tunnel.tunnel_type.value}",
            ),
        )


def by_destination(mode: TunnelMode) -> Iterator[Flow]:
    """Table 2."""
    to_one = Why(concern=Concern.FRAME, reason="unicast")
    to_many = Why(concern=Concern.FRAME, reason="broadcast and multicast")
    yield flow(PATCH_LV_TO_TUN, 0, TO_ONE, f"resubmit(,{UCAST_TO_TUN.id})", to_one)
    yield flow(PATCH_LV_TO_TUN, 0, TO_MANY, f"resubmit(,{FLOOD_TO_TUN.id})", to_many)
    if mode is TunnelMode.L2POP:
        why = Why(concern=Concern.FRAME, reason="ARP may be answered here")
        to_responder = f"resubmit(,{ARP_RESPONDER.id})"
        yield flow(PATCH_LV_TO_TUN, 1, "arp,dl_dst=ff:ff:ff:ff:ff:ff", to_responder, why)


def from_tunnel(deployment: Deployment, patch_int: OfPort | None) -> Iterator[Flow]:
    """Table 10: in `learning` with learn(), in `l2pop` without, because what is known ahead needs no learning."""
    if patch_int is None:
        return
    out = f"output:{patch_int}"
    if deployment.tunnel_mode is TunnelMode.L2POP:
        yield flow(LEARN_FROM_TUN, 1, "", out, Why(concern=Concern.FRAME, reason="on to br-int"))
        return
    learn = learn_action(deployment.ageing_s)
    why = Why(concern=Concern.FRAME, reason="the sender is behind the tunnel that the frame came by")
    yield flow(LEARN_FROM_TUN, 1, "", f"{learn},{out}", why)
    for match, reason in MOVED_ADDRESS.items():
        yield flow(LEARN_FROM_TUN, 2, match, f"{learn},{out}", Why(concern=Concern.FRAME, reason=reason))


def learn_action(ageing_s: int) -> str:
    """learn(): an entry of table 20 that sends frames for this frame's sender back where it came from."""
    return (
        f"learn(table={UCAST_TO_TUN.id},hard_timeout={ageing_s},priority=1,cookie={LEARNED:#x},NXM_OF_VLAN_TCI[0..11],"
        "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],"
        "output:OXM_OF_IN_PORT[])"
    )
