"""A physical bridge: local VLANs of this host on one side, the wire on the other, where NORMAL forwards."""

from collections.abc import Iterator
from typing import Final

from warren.core.names import to_physical
from warren.core.state import Network, NetworkType
from warren.pipeline.cookies import Concern
from warren.pipeline.flow import Flow, Why, flow, miss
from warren.pipeline.table import Table, check_pipeline
from warren.pipeline.wiring import Wiring

LOCAL_SWITCHING: Final = Table(
    id=0,
    name="LOCAL_SWITCHING",
    purpose="Frames of this host get the wire's tag, or none; everything else is forwarded as a plain switch does.",
    matches=frozenset({"in_port", "dl_vlan"}),
    miss="NORMAL",
)
PIPELINE: Final = check_pipeline((LOCAL_SWITCHING,))


def br_ex(bridge: str, wiring: Wiring) -> Iterator[Flow]:
    """Every flow of one physical bridge."""
    yield from miss(LOCAL_SWITCHING)
    in_port = wiring.view.ofport(bridge, to_physical(bridge)[1])
    if in_port is None:
        return
    reason = "frames of networks that are not on this wire"
    yield flow(LOCAL_SWITCHING, 2, f"in_port={in_port}", "drop", Why(concern=Concern.FRAME, reason=reason))
    here = {name for name, where in wiring.layout.physical_networks.items() if where.bridge == bridge}
    for wired in wiring.on_the_wire:
        network = wired.network
        if network.physical_network not in here:
            continue
        why = Why(
            concern=Concern.PHYSICAL,
            obj=network.id,
            owner=network.key,
            reason=f"network {network.id} leaves by physical network {network.physical_network}",
        )
        yield flow(LOCAL_SWITCHING, 4, f"in_port={in_port},dl_vlan={wired.vlan}", f"{_retag(network)},NORMAL", why)


def _retag(network: Network) -> str:
    return f"mod_vlan_vid:{network.segmentation_id}" if network.network_type is NetworkType.VLAN else "strip_vlan"
