"""What br-tun must hold, written down from how Neutron's tables look, not from our own rendering. Pure.

Ports are names; `patch-int` leads to br-int.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from warren.lab.experiments.tables import Entry, FlowKey

_UNICAST: Final = "dl_dst=00:00:00:00:00:00/01:00:00:00:00:00"
_MULTICAST: Final = "dl_dst=01:00:00:00:00:00/01:00:00:00:00:00"
_MOVED: Final = ("arp,arp_tha=ff:ff:ff:ff:ff:ff", "icmp6,icmp_type=134", "icmp6,icmp_type=136")
TABLE_OF: Final = {"gre": 3, "vxlan": 4}
"""Tunnel type -> the table that turns its ids into local VLANs."""


def initial_flows(*, is_learning: bool, ageing_s: int) -> Iterator[FlowKey]:
    """What br-tun has before any network and any peer."""
    yield 0, 1, "in_port=patch-int", "resubmit(,2)"
    yield 2, 0, _UNICAST, "resubmit(,20)"
    yield 2, 0, _MULTICAST, "resubmit(,22)"
    for table in (0, 3, 4, 6, 22):
        yield table, 0, "", "drop"
    yield 20, 0, "", "resubmit(,22)"
    if is_learning:
        learn = learn_action(ageing_s)
        yield 10, 1, "", f"{learn},output:patch-int"
        for match in _MOVED:
            yield 10, 2, match, f"{learn},output:patch-int"
    else:
        yield 2, 1, "arp,dl_dst=ff:ff:ff:ff:ff:ff", "resubmit(,21)"
        yield 10, 1, "", "output:patch-int"
        yield 21, 0, "", "resubmit(,22)"


def learn_action(ageing_s: int) -> str:
    """learn() as a dump shows it, without its cookie."""
    return (
        f"learn(table=20,hard_timeout={ageing_s},priority=1,NXM_OF_VLAN_TCI[0..11],"
        "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],"
        "output:OXM_OF_IN_PORT[])"
    )


def tunnel_port_flow(port: str, tunnel: str) -> FlowKey:
    """What a tunnel port adds."""
    return 0, 1, f"in_port={port}", f"resubmit(,{TABLE_OF[tunnel]})"


def network_flows(*, tunnel: str, segmentation_id: int, vlan: int, ports: Iterable[str]) -> Iterator[FlowKey]:
    """What a network adds: its way in, and its flood list where there is a peer to flood to."""
    yield TABLE_OF[tunnel], 1, f"tun_id={segmentation_id:#x}", f"mod_vlan_vid:{vlan},resubmit(,10)"
    outputs = [f"output:{port}" for port in ports]
    if outputs:
        yield 22, 1, f"dl_vlan={vlan}", ",".join([f"strip_vlan,load:{segmentation_id:#x}->NXM_NX_TUN_ID[]", *outputs])


def keys(entries: Iterable[Entry]) -> set[FlowKey]:
    """Flows as what is compared here: learn() without its cookie, outputs of a flood list in one order."""
    return {_comparable(entry) for entry in entries}


def _comparable(entry: Entry) -> FlowKey:
    actions = entry.actions
    start = actions.find(",cookie=")
    if start >= 0:
        end = actions.index(",", start + 1)
        actions = actions[:start] + actions[end:]
    if entry.table == 22 and "output:" in actions:
        first, *outputs = actions.split(",output:")
        actions = ",output:".join([first, *sorted(outputs)])
    return entry.table, entry.priority, entry.match, actions


def shown(flows: Iterable[FlowKey]) -> str:
    """Flows as lines."""
    lines = sorted(
        f"table={table}, priority={priority}{',' if match else ''}{match} actions={actions}"
        for table, priority, match, actions in flows
    )
    return "\n".join(lines) or "nothing"
