"""`ofproto/trace` of the real switch, as the experiments ask about it: tables and outputs of a bridge, and the way."""

import re
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from warren.core.names import UNDERLAY_BRIDGE
from warren.inspect.snapshot.text import Page
from warren.inspect.snapshot.trace import SwitchTrace
from warren.inspect.snapshot.trace import read_trace as read_page
from warren.lab.experiments.record import Hop

_OUTPUT: Final = re.compile(r"output:(\w+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One answer of ofproto/trace."""

    text: str
    switch: SwitchTrace

    @property
    def is_dropped(self) -> bool:
        return self.switch.datapath_actions == "drop"

    def tables(self, bridge: str) -> tuple[int, ...]:
        """All tables of a bridge that were visited."""
        return tuple(lookup.table for lookup in self.switch.lookups if lookup.bridge == bridge)

    def outputs(self, bridge: str) -> tuple[str, ...]:
        """Numbers of all ports of a bridge that the frame was sent to."""
        actions = [action for lookup in self.switch.lookups if lookup.bridge == bridge for action in lookup.actions]
        return tuple(found[1] for action in actions if (found := _OUTPUT.fullmatch(action)))

    def hops(self, host: str, evidence: str) -> list[Hop]:
        """As steps of a packet's way; the bridge below the tunnels is not one."""
        lookups = [lookup for lookup in self.switch.lookups if lookup.bridge != UNDERLAY_BRIDGE]
        return [
            Hop(
                host=host,
                place=bridge,
                detail="tables " + " → ".join(str(lookup.table) for lookup in visited),
                evidence=evidence,
            )
            for bridge, visited in groupby(lookups, lambda lookup: lookup.bridge)
        ]


def read_trace(text: str) -> Trace:
    """What `ovs-appctl ofproto/trace` printed."""
    return Trace(text=text, switch=read_page(Page(file="ofproto/trace", text=text)))
