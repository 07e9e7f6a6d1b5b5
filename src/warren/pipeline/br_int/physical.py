"""Frames of flat and VLAN networks on their way in: the wire's tag becomes the local VLAN.

As long as nobody here uses a physical network, all that comes from its bridge is dropped.
"""

from collections.abc import Iterator

from warren.core.names import INTEGRATION_BRIDGE, to_physical
from warren.core.state import Network, NetworkType
from warren.pipeline.br_int.tables import LOCAL_SWITCHING, TRANSIENT, UNTAGGED
from warren.pipeline.cookies import Concern
from warren.pipeline.flow import Flow, Why, flow
from warren.pipeline.wiring import Wiring


def physical(wiring: Wiring) -> Iterator[Flow]:
    """Table 0 for `int-<bridge>` of every physical network."""
    for name, where in sorted(wiring.layout.physical_networks.items()):
        in_port = wiring.view.ofport(INTEGRATION_BRIDGE, to_physical(where.bridge)[0])
        if in_port is not None:
            reason = f"no network uses this tag of physical network {name} here"
            yield flow(LOCAL_SWITCHING, 2, f"in_port={in_port}", "drop", Why(concern=Concern.FRAME, reason=reason))
    for wired in wiring.on_the_wire:
        network = wired.network
        yield flow(
            LOCAL_SWITCHING,
            3,
            f"in_port={wired.uplink},{wire_tag(network)}",
            f"mod_vlan_vid:{wired.vlan},resubmit(,{TRANSIENT.id})",
            Why(
                concern=Concern.PHYSICAL,
                obj=network.id,
                owner=network.key,
                reason=f"network {network.id} comes from physical network {network.physical_network}",
            ),
        )


def wire_tag(network: Network) -> str:
    """Match of a network's frames on its physical network."""
    return f"dl_vlan={network.segmentation_id}" if network.network_type is NetworkType.VLAN else UNTAGGED
