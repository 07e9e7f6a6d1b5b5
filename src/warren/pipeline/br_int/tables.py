"""br-int: its tables and registers. Numbers and names are Neutron's; NORMAL is used nowhere."""

from typing import Final

from warren.pipeline.table import RegisterField, Table, check_pipeline

LOCAL_SWITCHING: Final = Table(
    id=0,
    name="LOCAL_SWITCHING",
    purpose="Sort frames by the port they come from; whatever has no flow here is dead.",
    matches=frozenset({"in_port", "dl_vlan", "vlan_tci", "arp", "icmp6", "icmp_type"}),
    goes_to=frozenset({24, 25, 60}),
)
ARP_SPOOF: Final = Table(
    id=24,
    name="ARP_SPOOF",
    purpose="ARP and neighbour advertisements only for the port's own addresses.",
    matches=frozenset({"in_port", "arp", "arp_spa", "icmp6", "icmp_type", "nd_target"}),
    goes_to=frozenset({25}),
)
MAC_SPOOF: Final = Table(
    id=25,
    name="MAC_SPOOF",
    purpose="Only the port's own MAC addresses; no instance plays DHCP server or router.",
    matches=frozenset({"in_port", "dl_src", "udp", "udp6", "tp_src", "tp_dst", "icmp6", "icmp_type"}),
    goes_to=frozenset({60}),
)
TRANSIENT: Final = Table(
    id=60,
    name="TRANSIENT",
    purpose="Note the port in reg5 and the network in reg6; from here on frames are untagged.",
    matches=frozenset({"in_port", "dl_vlan", "vlan_tci"}),
    goes_to=frozenset({61}),
)
LOCAL_MAC_DIRECT: Final = Table(
    id=61,
    name="LOCAL_MAC_DIRECT",
    purpose="Frames to an address of a port on this host go to that port.",
    matches=frozenset({"reg6", "dl_dst"}),
    goes_to=frozenset({62}),
    miss="resubmit(,62)",
)
TRANSIENT_EGRESS: Final = Table(
    id=62,
    name="TRANSIENT_EGRESS",
    purpose="Broadcast and multicast to every other port of the network and its uplink; "
    "unknown unicast to the uplink and to ports without port security.",
    matches=frozenset({"reg6", "dl_dst"}),
)

TABLES: Final = (LOCAL_SWITCHING, ARP_SPOOF, MAC_SPOOF, TRANSIENT, LOCAL_MAC_DIRECT, TRANSIENT_EGRESS)

PORT: Final = RegisterField(name="port", register=5, purpose="OpenFlow port that the frame came in by.")
NETWORK: Final = RegisterField(name="network", register=6, purpose="Local VLAN of the frame's network.")
FIELDS: Final = (PORT, NETWORK)

PIPELINE: Final = check_pipeline(TABLES, FIELDS)

UNTAGGED: Final = "vlan_tci=0x0000/0x1fff"
"""Match of a frame without an 802.1Q header, as OpenFlow 1.0 prints it."""
