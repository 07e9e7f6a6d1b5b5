"""br-tun: its tables, Neutron's numbers and names."""

from typing import Final

from warren.core.state import NetworkType
from warren.pipeline.table import Table, check_pipeline

SORT: Final = Table(
    id=0,
    name="LOCAL_SWITCHING",
    purpose="Sort frames by where they come from: br-int, or a tunnel of which type.",
    matches=frozenset({"in_port"}),
    goes_to=frozenset({2, 3, 4}),
)
PATCH_LV_TO_TUN: Final = Table(
    id=2,
    name="PATCH_LV_TO_TUN",
    purpose="Frames from this host: unicast to 20, broadcast and multicast to 22, in l2pop ARP requests to 21.",
    matches=frozenset({"dl_dst", "arp"}),
    goes_to=frozenset({20, 21, 22}),
    miss=None,
)
GRE_TUN_TO_LV: Final = Table(
    id=3,
    name="GRE_TUN_TO_LV",
    purpose="GRE key to local VLAN.",
    matches=frozenset({"tun_id"}),
    goes_to=frozenset({10}),
)
VXLAN_TUN_TO_LV: Final = Table(
    id=4,
    name="VXLAN_TUN_TO_LV",
    purpose="VXLAN network identifier to local VLAN.",
    matches=frozenset({"tun_id"}),
    goes_to=frozenset({10}),
)
GENEVE_TUN_TO_LV: Final = Table(id=6, name="GENEVE_TUN_TO_LV", purpose="Kept as Neutron has it; nothing leads here.")
LEARN_FROM_TUN: Final = Table(
    id=10,
    name="LEARN_FROM_TUN",
    purpose="Note in table 20 which tunnel a MAC address is behind (not in l2pop), then on to br-int.",
    matches=frozenset({"arp", "arp_tha", "icmp6", "icmp_type"}),
    goes_to=frozenset({20}),
    miss=None,
)
UCAST_TO_TUN: Final = Table(
    id=20,
    name="UCAST_TO_TUN",
    purpose="Unicast to the one tunnel that its address is behind: learned (priority 1) or known ahead (priority 2).",
    matches=frozenset({"dl_vlan", "vlan_tci", "dl_dst"}),
    goes_to=frozenset({22}),
    miss="resubmit(,22)",
)
ARP_RESPONDER: Final = Table(
    id=21,
    name="ARP_RESPONDER",
    purpose="l2pop only: answer ARP for far ports here; IPv6 neighbour solicitations are flooded by 22.",
    matches=frozenset({"arp", "dl_vlan", "arp_tpa"}),
    goes_to=frozenset({22}),
    miss="resubmit(,22)",
)
FLOOD_TO_TUN: Final = Table(
    id=22,
    name="FLOOD_TO_TUN",
    purpose="A copy to every host on the network's flood list.",
    matches=frozenset({"dl_vlan"}),
)

PIPELINE: Final = check_pipeline(
    (
        SORT,
        PATCH_LV_TO_TUN,
        GRE_TUN_TO_LV,
        VXLAN_TUN_TO_LV,
        GENEVE_TUN_TO_LV,
        LEARN_FROM_TUN,
        UCAST_TO_TUN,
        ARP_RESPONDER,
        FLOOD_TO_TUN,
    )
)

TO_LOCAL_VLAN: Final = {NetworkType.GRE: GRE_TUN_TO_LV, NetworkType.VXLAN: VXLAN_TUN_TO_LV}
"""Tunnel type -> the table that knows its segmentation ids."""
