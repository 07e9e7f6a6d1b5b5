"""br-int, br-tun and the physical bridges: tables declared as data, flows rendered from HostState. Pure.

What others use:

* `render(state, view, layout)` -> bridge -> `BridgeFlows` (`.desired`, `.plan(installed)`);
* `refusal(port, interface)`, `unwired_reason(port, state, interface)`: why a port must not pass frames;
* `desired_rows(state, switch, layout)`, `present_rows(switch, desired)`: OVSDB's rows, to be compared by `plan`;
* `switch_view(switch, state)`: the view that rendering needs, local VLANs included.
"""

from warren.pipeline.cookies import LEARNED, MEANINGS, Concern, Meaning, decode, encode, object_digits
from warren.pipeline.flow import Flow, FlowKey
from warren.pipeline.learned import is_learned
from warren.pipeline.render import BridgeFlows, render
from warren.pipeline.switch import Bridge, Switch, SwitchPort, switch_view
from warren.pipeline.switch_rows import Row, desired_rows, present_rows, service_interface
from warren.pipeline.table import RegisterField, Table
from warren.pipeline.view import Layout, PhysicalNetwork, SwitchView
from warren.pipeline.vlans import local_vlans
from warren.pipeline.wiring import networks_to_number, refusal, unwired_reason

__all__ = [
    "LEARNED",
    "MEANINGS",
    "Bridge",
    "BridgeFlows",
    "Concern",
    "Flow",
    "FlowKey",
    "Layout",
    "Meaning",
    "PhysicalNetwork",
    "RegisterField",
    "Row",
    "Switch",
    "SwitchPort",
    "SwitchView",
    "Table",
    "decode",
    "desired_rows",
    "encode",
    "is_learned",
    "local_vlans",
    "networks_to_number",
    "object_digits",
    "present_rows",
    "refusal",
    "render",
    "service_interface",
    "switch_view",
    "unwired_reason",
]
