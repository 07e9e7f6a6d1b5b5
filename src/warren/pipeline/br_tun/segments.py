"""A tunnelled network's way in (tables 3, 4) and its flood list (table 22)."""

from collections.abc import Iterator

from warren.core.ids import OfPort
from warren.core.state import TunnelMode
from warren.pipeline.br_tun.peers import Tunnel, flood_list
from warren.pipeline.br_tun.tables import FLOOD_TO_TUN, LEARN_FROM_TUN, TO_LOCAL_VLAN
from warren.pipeline.cookies import Concern
from warren.pipeline.flow import Flow, Why, flow, number
from warren.pipeline.wiring import WiredNetwork


def segment(wired: WiredNetwork, mode: TunnelMode, ofports: dict[Tunnel, OfPort]) -> Iterator[Flow]:
    """The flows of one network."""
    network = wired.network
    segmentation_id = number(network.segmentation_id or 0)
    yield flow(
        TO_LOCAL_VLAN[network.network_type],
        1,
        f"tun_id={segmentation_id}",
        f"mod_vlan_vid:{wired.vlan},resubmit(,{LEARN_FROM_TUN.id})",
        Why(
            concern=Concern.SEGMENT,
            obj=network.id,
            owner=network.key,
            reason=f"{network.network_type.value} {network.segmentation_id} is network {network.id}",
        ),
    )
    outputs = [f"output:{ofport}" for ofport in flood_list(network, mode, ofports)]
    if outputs:
        yield flow(
            FLOOD_TO_TUN,
            1,
            f"dl_vlan={wired.vlan}",
            ",".join([into_tunnel(wired), *outputs]),
            Why(
                concern=Concern.TUNNEL_FLOOD,
                obj=network.id,
                owner=network.key,
                reason=f"flood list of network {network.id}: {len(outputs)} peers",
            ),
        )


def into_tunnel(wired: WiredNetwork) -> str:
    """Actions that turn a frame's local VLAN into its segmentation id."""
    return f"strip_vlan,load:{number(wired.network.segmentation_id or 0)}->NXM_NX_TUN_ID[]"
