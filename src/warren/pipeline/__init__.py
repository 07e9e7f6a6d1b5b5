"""br-int, br-tun and the physical bridges: tables declared as data, flows rendered from HostState. Pure.

What others use:

* `render(state, view, layout)` -> bridge -> `BridgeFlows` (`.desired`, `.plan(installed)`);
* `refusal(port)`, `unwired_reason(port, state)`: why a port must not pass frames;
* `local_vlans`, `networks_to_number`: the local VLANs of a `SwitchView`.
"""

from warren.pipeline.cookies import LEARNED, Concern, Meaning, decode, encode, object_digits
from warren.pipeline.flow import Flow, FlowKey
from warren.pipeline.learned import is_learned
from warren.pipeline.render import BridgeFlows, render
from warren.pipeline.table import RegisterField, Table
from warren.pipeline.view import Layout, PhysicalNetwork, SwitchView
from warren.pipeline.vlans import local_vlans
from warren.pipeline.wiring import networks_to_number, refusal, unwired_reason

__all__ = [
    "LEARNED",
    "BridgeFlows",
    "Concern",
    "Flow",
    "FlowKey",
    "Layout",
    "Meaning",
    "PhysicalNetwork",
    "RegisterField",
    "SwitchView",
    "Table",
    "decode",
    "encode",
    "is_learned",
    "local_vlans",
    "networks_to_number",
    "object_digits",
    "refusal",
    "render",
    "unwired_reason",
]
