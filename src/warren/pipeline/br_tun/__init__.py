"""br-tun: carries the frames of tunnelled networks between hosts, in the mode `learning` or `l2pop`."""

from collections.abc import Iterator

from warren.core.state import HostState, TunnelMode
from warren.pipeline.br_tun.frame import by_destination, from_tunnel, sort
from warren.pipeline.br_tun.neighbours import neighbours
from warren.pipeline.br_tun.peers import tunnel_ofports
from warren.pipeline.br_tun.segments import segment
from warren.pipeline.br_tun.tables import ARP_RESPONDER, PIPELINE
from warren.pipeline.flow import Flow, miss
from warren.pipeline.view import Layout, SwitchView
from warren.pipeline.wiring import wired_networks


def br_tun(state: HostState, view: SwitchView, layout: Layout) -> Iterator[Flow]:
    """Every flow of br-tun but those that learn() writes."""
    mode = state.deployment.tunnel_mode
    ofports = tunnel_ofports(state, view, layout)
    for table in PIPELINE:
        if table is not ARP_RESPONDER or mode is TunnelMode.L2POP:
            yield from miss(table)
    yield from sort(view.patch_int, ofports)
    yield from by_destination(mode)
    yield from from_tunnel(state, view.patch_int)
    tunnelled = tuple(wired for wired in wired_networks(state, view, layout) if wired.network.network_type.is_tunnelled)
    for wired in tunnelled:
        yield from segment(wired, mode, ofports)
    if mode is TunnelMode.L2POP:
        yield from neighbours(state, tunnelled, ofports)
