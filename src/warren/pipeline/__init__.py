"""br-int, br-tun and the physical bridges: tables declared as data, flows rendered from HostState. Pure.

What others use:

* `render(state, view, layout)` -> bridge -> `BridgeFlows` (`.desired`, `.plan(installed)`);
* `refusal(port, interface)`, `unwired_reason(port, state, interface)`: why a port must not pass frames;
* `desired_rows(state, switch, layout)`, `present_rows(switch, desired)`: OVSDB's rows, to be compared by `plan`;
* `switch_view(switch, state)`: the view that rendering needs, local VLANs included.
"""

from warren.pipeline.cookies import LEARNED
from warren.pipeline.flow import Flow, FlowKey
from warren.pipeline.learned import is_learned
from warren.pipeline.render import BridgeFlows, render
from warren.pipeline.switch import Switch, switch_view
from warren.pipeline.switch_rows import Row, desired_rows, present_rows
from warren.pipeline.view import Layout, PhysicalNetwork, SwitchView
from warren.pipeline.wiring import networks_to_number, refusal, unwired_reason

__all__ = [
    "LEARNED",
    "BridgeFlows",
    "Flow",
    "FlowKey",
    "Layout",
    "PhysicalNetwork",
    "Row",
    "Switch",
    "SwitchView",
    "desired_rows",
    "is_learned",
    "networks_to_number",
    "present_rows",
    "refusal",
    "render",
    "switch_view",
    "unwired_reason",
]
