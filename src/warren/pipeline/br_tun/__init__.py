"""br-tun: carries the frames of tunnelled networks between hosts, in the mode `learning` or `l2pop`."""

from collections.abc import Iterator

from warren.core.state import TunnelMode
from warren.pipeline.br_tun.frame import by_destination, from_tunnel, sort
from warren.pipeline.br_tun.neighbours import neighbours
from warren.pipeline.br_tun.peers import tunnel_ofports
from warren.pipeline.br_tun.segments import segment
from warren.pipeline.br_tun.tables import ARP_RESPONDER, PIPELINE
from warren.pipeline.flow import Flow, miss
from warren.pipeline.wiring import Wiring


def br_tun(wiring: Wiring) -> Iterator[Flow]:
    """Every flow of br-tun but those that learn() writes."""
    mode = wiring.state.deployment.tunnel_mode
    ofports = tunnel_ofports(wiring.state, wiring.view, wiring.layout)
    for table in PIPELINE:
        if table is not ARP_RESPONDER or mode is TunnelMode.L2POP:
            yield from miss(table)
    yield from sort(wiring.view.patch_int, ofports)
    yield from by_destination(mode)
    yield from from_tunnel(wiring.state.deployment, wiring.view.patch_int)
    for wired in wiring.tunnelled:
        yield from segment(wired, mode, ofports)
    if mode is TunnelMode.L2POP:
        yield from neighbours(wiring, ofports)
