"""br-int: wires the ports of this host to their networks. One module for each concern."""

from collections.abc import Iterator
from functools import lru_cache

from warren.pipeline.br_int.admission import admission, admitted
from warren.pipeline.br_int.forwarding import forwarding
from warren.pipeline.br_int.physical import physical
from warren.pipeline.br_int.spoofing import guarded, never_from_an_instance
from warren.pipeline.br_int.tables import PIPELINE
from warren.pipeline.flow import Flow, miss
from warren.pipeline.wiring import WiredPort, Wiring


def br_int(wiring: Wiring) -> Iterator[Flow]:
    """Every flow of br-int."""
    for table in PIPELINE:
        yield from miss(table)
    yield from admission(wiring)
    yield from never_from_an_instance()
    for wired in wiring.ports:
        yield from of_port(wired)
    yield from forwarding(wiring)
    yield from physical(wiring)


@lru_cache(maxsize=4096)
def of_port(wired: WiredPort) -> tuple[Flow, ...]:
    """The flows that only one port needs. Kept, because a pass changes few ports and a port is a value."""
    return (*admitted(wired), *guarded(wired))
