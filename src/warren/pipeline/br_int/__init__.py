"""br-int: wires the ports of this host to their networks. One module for each concern."""

from collections.abc import Iterator

from warren.core.state import HostState
from warren.pipeline.br_int.admission import admission
from warren.pipeline.br_int.forwarding import forwarding
from warren.pipeline.br_int.physical import physical
from warren.pipeline.br_int.spoofing import spoofing
from warren.pipeline.br_int.tables import PIPELINE
from warren.pipeline.flow import Flow, miss
from warren.pipeline.view import Layout, SwitchView


def br_int(state: HostState, view: SwitchView, layout: Layout) -> Iterator[Flow]:
    """Every flow of br-int."""
    for table in PIPELINE:
        yield from miss(table)
    yield from admission(state, view, layout)
    yield from spoofing(state, view)
    yield from forwarding(state, view, layout)
    yield from physical(state, view, layout)
