"""Table maps: what the tables of a bridge are called and for, and what a priority in them stands for.

Neutron's ML2/OVS of today and of its Havana release, in every mode; Warren's own from its declarations. Facts only.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from warren.core.names import INTEGRATION_BRIDGE, TUNNEL_BRIDGE
from warren.inspect.parse.dump import Flow, TableId
from warren.pipeline.br_ex import PIPELINE as WARREN_EX
from warren.pipeline.br_int.tables import PIPELINE as WARREN_INT
from warren.pipeline.br_tun.tables import PIPELINE as WARREN_TUN
from warren.pipeline.cookies import decode
from warren.pipeline.table import Table


@dataclass(frozen=True, slots=True, kw_only=True)
class TableNote:
    """A table's name, and its purpose in one sentence."""

    name: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipeline:
    """What the tables of one kind of bridge mean."""

    name: str
    tables: Mapping[int, TableNote]
    notes: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """(table, priority) -> why flows of that priority are there, as the end of a sentence."""
    drops: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """The same for those flows of that priority that drop, where the others are there for another reason."""

    def table(self, table: TableId) -> TableNote | None:
        return self.tables.get(table) if isinstance(table, int) else None


def _tables(rows: Mapping[int, tuple[str, str]]) -> Mapping[int, TableNote]:
    return {number: TableNote(name=name, purpose=purpose) for number, (name, purpose) in rows.items()}


def _declared(name: str, tables: Iterable[Table], notes: Mapping[tuple[int, int], str]) -> Pipeline:
    return Pipeline(
        name=name,
        tables={table.id: TableNote(name=table.name, purpose=table.purpose) for table in tables},
        notes=notes,
    )


NEUTRON_TUN: Final = Pipeline(
    name="Neutron's br-tun",
    tables=_tables(
        {
            0: ("LOCAL_SWITCHING", "Sort frames by where they come from: br-int, or a tunnel of which type."),
            1: ("DVR_PROCESS", "Hide the distributed router's MAC address behind this host's."),
            2: ("PATCH_LV_TO_TUN", "Frames from this host: unicast to 20, broadcast and multicast to 22."),
            3: ("GRE_TUN_TO_LV", "GRE key to local VLAN."),
            4: ("VXLAN_TUN_TO_LV", "VXLAN network identifier to local VLAN."),
            6: ("GENEVE_TUN_TO_LV", "Geneve network identifier to local VLAN."),
            9: ("DVR_NOT_LEARN", "Frames of other hosts' distributed routers teach nothing."),
            10: ("LEARN_FROM_TUN", "Note in table 20 which tunnel a MAC address is behind, then on to br-int."),
            20: ("UCAST_TO_TUN", "Unicast to the one tunnel that its address is behind."),
            21: ("ARP_RESPONDER", "Answer ARP requests for far ports here."),
            22: ("FLOOD_TO_TUN", "A copy to every host on the network's flood list."),
            222: ("BAGPIPE_FLOOD_TO_TUN_BROADCAST", "Flooding of networking-bagpipe."),
        }
    ),
    notes={
        (0, 0): "no other port of this bridge may send",
        (1, 2): "the router's own address is answered on every host, so it must not leave this one",
        (1, 1): "other hosts must see this host's DVR address instead of the router's",
        (9, 1): "a distributed router's address is on every host and says nothing about where",
        (10, 2): "after a failover the address is learned anew at once",
        (20, 2): "known ahead through l2population",
        (20, 0): "nobody knows where this address is",
        (21, 1): "answered here instead of flooding the question",
        (21, 0): "no answer is known here",
        (22, 0): "the network has no flood list on this host",
        (22, 3): "the distributed router answers on each host itself",
        (3, 0): "no port of this network is on this host",
        (4, 0): "no port of this network is on this host",
        (6, 0): "no port of this network is on this host",
    },
)
HAVANA_TUN: Final = Pipeline(
    name="Neutron's br-tun (Havana)",
    tables=_tables(
        {
            0: ("LOCAL_SWITCHING", "Sort frames by where they come from: br-int, or a tunnel of which type."),
            1: ("PATCH_LV_TO_TUN", "Frames from this host: unicast to 20, broadcast and multicast to 21."),
            2: ("GRE_TUN_TO_LV", "GRE key to local VLAN."),
            3: ("VXLAN_TUN_TO_LV", "VXLAN network identifier to local VLAN."),
            10: ("LEARN_FROM_TUN", "Note in table 20 which tunnel a MAC address is behind, then on to br-int."),
            20: ("UCAST_TO_TUN", "Unicast to the one tunnel that its address is behind."),
            21: ("FLOOD_TO_TUN", "A copy to every host on the network's flood list."),
        }
    ),
    notes={
        (0, 0): "no other port of this bridge may send",
        (2, 0): "no port of this network is on this host",
        (3, 0): "no port of this network is on this host",
        (20, 0): "nobody knows where this address is",
        (21, 0): "the network has no flood list on this host",
    },
)
NEUTRON_INT: Final = Pipeline(
    name="Neutron's br-int",
    tables=_tables(
        {
            0: ("LOCAL_SWITCHING", "Entry: dead ports, anti-spoofing, provider VLAN to local VLAN, DVR."),
            1: ("DVR_TO_SRC_MAC", "Put the router's MAC address back as source (tunnelled networks)."),
            2: ("DVR_TO_SRC_MAC_PHYSICAL", "Put the router's MAC address back as source (VLAN and flat networks)."),
            3: ("ARP_DVR_MAC_TO_DST_MAC", "ARP answers to this host's DVR address go to the router's port."),
            4: ("ARP_DVR_MAC_TO_DST_MAC_PHYSICAL", "As table 3, for VLAN and flat networks."),
            23: ("CANARY", "One flow whose absence tells the agent that Open vSwitch was restarted."),
            24: ("ARP_SPOOF", "ARP and neighbour advertisements only for the port's own addresses."),
            25: ("MAC_SPOOF", "Only the port's own MAC addresses."),
            30: ("LOCAL_EGRESS", "Local IP: frames from ports."),
            31: ("LOCAL_IP", "Local IP: address translation."),
            58: ("PACKET_RATE_LIMIT", "Packet rate limits (meters)."),
            59: ("BANDWIDTH_RATE_LIMIT", "Bandwidth limits (meters)."),
            60: ("TRANSIENT", "Fork between egress and ingress of the firewall; without it, plain switching."),
            61: ("LOCAL_MAC_DIRECT", "Frames to a local address straight to its port."),
            62: ("TRANSIENT_EGRESS", "What is for nobody here leaves the bridge."),
            71: ("BASE_EGRESS", "Firewall, from a port: anti-spoofing and what needs no rule."),
            72: ("RULES_EGRESS", "Firewall, from a port: the security groups' rules."),
            73: ("ACCEPT_OR_INGRESS", "Firewall, from a port: allowed; to a local port's ingress or out."),
            77: ("DHCP_IPV4", "DHCP answered by the agent."),
            78: ("DHCP_IPV6", "DHCPv6 answered by the agent."),
            81: ("BASE_INGRESS", "Firewall, to a port: what needs no rule, then connection tracking."),
            82: ("RULES_INGRESS", "Firewall, to a port: the security groups' rules."),
            91: ("ACCEPTED_EGRESS_TRAFFIC", "Firewall: accepted from a port; logged here."),
            92: ("ACCEPTED_INGRESS_TRAFFIC", "Firewall: accepted to a port; logged here."),
            93: ("DROPPED_TRAFFIC", "Firewall: dropped; logged here."),
            94: ("ACCEPTED_EGRESS_TRAFFIC_NORMAL", "Firewall: out of the bridge."),
        }
    ),
    notes={
        (0, 65535): "VLAN 4095 marks ports that are not wired",
        (0, 99): "an ARP answer for the router came to this host's DVR address",
        (0, 10): "its ARP and neighbour advertisements are checked first",
        (0, 9): "its source address is checked first",
        (0, 5): "it is for this host's DVR address",
        (0, 4): "another host's distributed router sent it over a physical network",
        (0, 3): "the provider's tag becomes this host's local VLAN",
        (0, 2): "another host's distributed router sent it",
        (1, 1): "no port here has this address",
        (2, 1): "no port here has this address",
        (1, 20): "to the instance it must look as if its router sent it",
        (2, 20): "to the instance it must look as if its router sent it",
        (3, 5): "the router's port asked",
        (23, 0): "no frame ever comes here: the flow only shows that nobody emptied this bridge",
        (24, 2): "it is the port's own address",
        (24, 0): "the port claims an address that is not its own",
        (25, 2): "it is the port's own address",
        (60, 100): "a port with the OVS firewall sent it",
        (60, 90): "it is for a port with the OVS firewall",
        (60, 20): "it is for an instance here",
        (60, 2): "explicitly_egress_direct is on",
        (71, 110): "the tracker's earlier verdict is forgotten first",
        (71, 95): "the port may resolve addresses as itself",
        (71, 80): "the port may ask for an address",
        (71, 70): "an instance must not play DHCP server or router",
        (71, 65): "source addresses are the port's own; now the rules",
        (71, 10): "its source address is not the port's",
        (71, 0): "no port with the firewall sent it",
        (72, 50): "the connection that it belongs to decides",
        (72, 40): "no rule of a security group allows it any more, or ever did",
        (72, 0): "no rule of a security group allows it",
        (73, 100): "it is for a port here, whose own rules decide",
        (73, 90): "the connection is remembered",
        (73, 80): "it leaves without connection tracking",
        (81, 100): "the port may hear address resolution",
        (81, 95): "the port may get an address",
        (81, 90): "the connection tracker says what it belongs to",
        (81, 80): "tracked already; now the rules",
        (81, 0): "it is for no port with the firewall",
        (82, 50): "the connection that it belongs to decides",
        (82, 40): "no rule of a security group allows it any more, or ever did",
        (82, 0): "no rule of a security group allows it",
        (92, 0): "it was delivered before; this place is for logging",
        (93, 0): "the firewall refused it",
        **{(table, priority): "a rule of a security group" for table in (72, 82) for priority in range(70, 78)},
    },
    drops={(0, 2): "nothing else may come in by this port"},
)
HAVANA_INT: Final = Pipeline(
    name="Neutron's br-int (Havana)",
    tables=_tables({0: ("LOCAL_SWITCHING", "Everything is switched plainly; ports are told apart by their tags.")}),
    notes={(0, 1): "ports are told apart by their tags", (0, 2): "nothing may come in by this port"},
)
NEUTRON_EX: Final = Pipeline(
    name="Neutron's physical bridge",
    tables=_tables(
        {
            0: ("LOCAL_SWITCHING", "Local VLAN to the provider's tag; everything else is switched plainly."),
            1: ("DVR_PROCESS_PHYSICAL", "Hide the distributed router's MAC address behind this host's."),
            2: ("LOCAL_VLAN_TRANSLATION", "Local VLAN to the provider's tag."),
            3: ("DVR_NOT_LEARN_PHYSICAL", "Frames of other hosts' distributed routers."),
            22: ("FLOOD_TO_TUN", "DVR: address resolution for the router that must not leave the host."),
            80: ("METADATA_EGRESS_NAT", "Metadata requests of instances."),
            87: ("METADATA_EGRESS_OUTPUT", "Metadata requests to the host's proxy."),
            90: ("METADATA_INGRESS_ARP", "Address resolution of the metadata proxy."),
            91: ("METADATA_INGRESS_DIRECT", "Metadata answers to instances."),
        }
    ),
    notes={
        (0, 4): "this host's local VLAN becomes the provider's tag",
        (0, 2): "a network that has no place on this physical network must not leave",
        (0, 1): "a port of this host sent it",
    },
)
WARREN: Final[Mapping[str, Pipeline]] = {
    "int": _declared(
        "Warren's br-int",
        WARREN_INT,
        {
            (0, 65535): "VLAN 4095 marks ports that are not wired",
            (0, 10): "its ARP and neighbour advertisements are checked first",
            (0, 9): "its source address is checked first",
            (0, 0): "no other port is wired",
            (24, 0): "the port claims an address that is not its own",
            (25, 10): "an instance must not play DHCP server or router",
            (25, 0): "the source address is not the port's",
            (60, 0): "it is of no network that is wired here",
            (61, 0): "nobody here has this address",
            (62, 0): "its network has nobody else here and no way out",
        },
    ),
    "tun": _declared("Warren's br-tun", WARREN_TUN, NEUTRON_TUN.notes),
    "ex": _declared("Warren's physical bridge", WARREN_EX, NEUTRON_EX.notes),
}
_COOKIES_LOOKED_AT: Final = 50


def recognise(bridge: str, flows: Iterable[Flow]) -> Pipeline | None:
    """The pipeline that a bridge's flows belong to; `None` for one that nobody here knows.

    The name of the bridge says which kind of bridge; where it does not (a file), its tables do.
    """
    listed = list(flows)
    kind = _kind(bridge, listed)
    if not kind:
        return None
    if any(flow.cookie and decode(flow.cookie) for flow in listed[:_COOKIES_LOOKED_AT]):
        return WARREN[kind]
    tables = {flow.table for flow in listed}
    if kind == "tun":
        return HAVANA_TUN if 1 in tables and 22 not in tables and _floods(listed, 1, 21) else NEUTRON_TUN
    if kind == "int":
        return HAVANA_INT if tables == {0} and not any(map(_goes_on, listed)) else NEUTRON_INT
    return NEUTRON_EX


def _kind(bridge: str, flows: list[Flow]) -> str:
    if TUNNEL_BRIDGE in bridge:
        return "tun"
    if INTEGRATION_BRIDGE in bridge:
        return "int"
    tables = {flow.table for flow in flows}
    if {10, 20} <= tables and any("learn(table=20" in flow.actions_text for flow in flows):
        return "tun"
    if {23, 24, 60} <= tables or {24, 25, 61, 62} <= tables:
        return "int"
    return "ex" if _looks_physical(flows) else ""


def _looks_physical(flows: list[Flow]) -> bool:
    """A plain bridge whose flows translate local VLANs and leave the rest to NORMAL."""
    return any(flow.table == 0 and flow.priority == 0 and flow.actions_text == "NORMAL" for flow in flows) and any(
        "dl_vlan=" in flow.match_text or flow.actions_text == "drop" for flow in flows
    )


def _goes_on(flow: Flow) -> bool:
    return "resubmit(" in flow.actions_text or "goto_table:" in flow.actions_text


def _floods(flows: list[Flow], table: int, target: int) -> bool:
    words = (f"resubmit(,{target})", f"goto_table:{target}")
    return any(flow.table == table and flow.actions_text.endswith(words) for flow in flows)
