"""The entries that learn() wrote into table 20 of br-tun: how they are recognised and when they are stale.

They are the switch's own knowledge and no part of what is desired; a restarted agent knows them by their cookie.
"""

import re
from dataclasses import dataclass
from typing import Final

from warren.core.ids import LocalVlan, OfPort, SegmentationId
from warren.core.state import NetworkType, TunnelMode
from warren.pipeline.br_tun.peers import tunnel_ofports
from warren.pipeline.br_tun.tables import UCAST_TO_TUN
from warren.pipeline.cookies import LEARNED
from warren.pipeline.flow import Flow
from warren.pipeline.wiring import Wiring

_VLAN: Final = re.compile(r"vlan_tci=0x([0-9a-f]+)/0x0?fff\b")
_ACTIONS: Final = re.compile(r"load:0->NXM_OF_VLAN_TCI\[\],load:(0x[0-9a-f]+|0)->NXM_NX_TUN_ID\[\],output:(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Learnable:
    """What a learned entry can rightly say on this host now. Empty in `l2pop`, where nothing is learned."""

    segments: frozenset[tuple[LocalVlan, SegmentationId, NetworkType]]
    tunnels: frozenset[tuple[NetworkType, OfPort]]

    def allows(self, entry: Flow) -> bool:
        """Whether an entry's local VLAN, segmentation id and tunnel port still belong together."""
        vlan, way = _VLAN.search(entry.match), _ACTIONS.fullmatch(entry.actions)
        if vlan is None or way is None:
            return False
        number, segmentation_id, ofport = int(vlan[1], 16), int(way[1], 16), int(way[2])
        return any(
            (LocalVlan(number), SegmentationId(segmentation_id), kind) in self.segments
            and (kind, OfPort(ofport)) in self.tunnels
            for kind in NetworkType
        )


def is_learned(entry: Flow) -> bool:
    """Whether learn() wrote this flow."""
    return entry.table == UCAST_TO_TUN.id and entry.cookie == LEARNED


def learnable(wiring: Wiring) -> Learnable:
    """What learned entries of br-tun may say."""
    if wiring.state.deployment.tunnel_mode is TunnelMode.L2POP:
        return Learnable(segments=frozenset(), tunnels=frozenset())
    return Learnable(
        segments=frozenset(
            (wired.vlan, wired.network.segmentation_id or SegmentationId(0), wired.network.network_type)
            for wired in wiring.tunnelled
        ),
        tunnels=frozenset(
            (tunnel.tunnel_type, ofport)
            for tunnel, ofport in tunnel_ofports(wiring.state, wiring.view, wiring.layout).items()
        ),
    )
