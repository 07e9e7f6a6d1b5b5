"""Which file of a captured host is the output of which command: the reference layout, `warren capture`'s, sosreport's.

A file is named after its command. `classify` is the only place that knows names; everything after it knows roles.
"""

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final


class Role(Enum):
    """What a file holds."""

    HOSTNAME = "hostname"
    OVS_SHOW = "ovs-vsctl show"
    INTERFACES = "ovs-vsctl list interface"
    PORTS = "ovs-vsctl list port"
    BRIDGES = "ovs-vsctl list bridge"
    OFCTL_SHOW = "ovs-ofctl show"
    FLOWS = "ovs-ofctl dump-flows"
    GROUPS = "ovs-ofctl dump-groups"
    FDB = "ovs-appctl fdb/show"
    TUNNEL_NEIGHBOURS = "ovs-appctl tnl/neigh/show"
    NAMESPACES = "ip netns"
    NAMESPACE_IDS = "ip netns list-id"
    NAMESPACE = "ip addr, route, rule and neigh in one file"
    ADDRESSES = "ip address"
    ROUTES = "ip route"
    ROUTES6 = "ip -6 route"
    RULES = "ip rule"
    RULES6 = "ip -6 rule"
    NEIGHBOURS = "ip neigh"
    BRIDGE_FDB = "bridge fdb"
    IPTABLES = "iptables-save"
    IP6TABLES = "ip6tables-save"
    SETS = "ipset save"
    SYSCTLS = "sysctl"
    DHCP_HOSTS = "dnsmasq's hosts file"
    INTENT = "a Warren agent's desired state"
    NOTES = "what a capture did not take, or not to its end"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The role of a file and of what: a bridge, a namespace ("" is the host's own), a network."""

    role: Role
    of: str = ""
    preference: int = 0
    """Of several files with one role and place the one with the highest preference is read."""


_HOST: Final = "host"
_NS: Final = r"ip_netns_exec_(?P<of>\S+?)_"
_PATTERNS: Final = tuple(
    (re.compile(pattern), role, preference)
    for pattern, role, preference in (
        (r"hostname", Role.HOSTNAME, 0),
        (r"ovs-vsctl(?:_-t_\d+)?(?:_--\S+)*_show", Role.OVS_SHOW, 0),
        (r"ovs-vsctl(?:_-t_\d+)?_list_[iI]nterface", Role.INTERFACES, 0),
        (r"ovs-vsctl(?:_-t_\d+)?_list_[pP]ort", Role.PORTS, 0),
        (r"ovs-vsctl(?:_-t_\d+)?_list_[bB]ridge", Role.BRIDGES, 0),
        (r"(?:ovs-)?ofctl(?:_-O_\S+?)?_show_(?P<of>\S+)", Role.OFCTL_SHOW, 1),
        (r"ovs-ofctl_dump-ports-desc_(?P<of>\S+)", Role.OFCTL_SHOW, 0),
        (r"dump-flows_nostats_names_(?P<of>\S+)", Role.FLOWS, -1),
        (r"dump-flows_(?P<of>\S+)", Role.FLOWS, 3),
        (r"ovs-ofctl_dump-flows_(?P<of>\S+)", Role.FLOWS, 2),
        (r"ovs-ofctl_-O_\S+?_dump-flows_(?P<of>\S+)", Role.FLOWS, 1),
        (r"(?:ovs-ofctl_)?(?:-O_\S+?_)?dump-groups_(?P<of>\S+)", Role.GROUPS, 0),
        (r"bridge_fdb_(?P<of>\S+)", Role.BRIDGE_FDB, 0),
        (r"fdb_(?P<of>\S+)", Role.FDB, 1),
        (r"ovs-appctl_fdb\.show_(?P<of>\S+)", Role.FDB, 0),
        (r"tnl_neigh|ovs-appctl_tnl\.(?:neigh|arp)\.show", Role.TUNNEL_NEIGHBOURS, 0),
        (r"ip_netns", Role.NAMESPACES, 0),
        (r"ns_(?P<of>\S+)", Role.NAMESPACE, 0),
        (_NS + r"ip_(?:-d_)?addr(?:ess)?(?:_show)?", Role.ADDRESSES, 0),
        (_NS + r"ip_route_show_table_all", Role.ROUTES, 0),
        (_NS + r"ip(?:_-s)*_neigh_show", Role.NEIGHBOURS, 0),
        (_NS + r"ip_-4_rule_list", Role.RULES, 0),
        (_NS + r"ip_-6_rule_list", Role.RULES6, 0),
        (_NS + r"iptables-save", Role.IPTABLES, 0),
        (_NS + r"ip6tables-save", Role.IP6TABLES, 0),
        (_NS + r"sysctl_-a", Role.SYSCTLS, 0),
        (r"ip_-d_address|ip_address_show", Role.ADDRESSES, 1),
        (r"ip_-o_addr", Role.ADDRESSES, -1),
        (r"ip_route_show_table_all", Role.ROUTES, 0),
        (r"ip(?:_-s)*_neigh_show", Role.NEIGHBOURS, 0),
        (r"ip_-4_rule_list", Role.RULES, 0),
        (r"ip_-6_rule_list", Role.RULES6, 0),
        (r"ip_addr_(?P<of>\S+)", Role.ADDRESSES, 2),
        (r"ip_netns_ids_(?P<of>\S+)", Role.NAMESPACE_IDS, 0),
        (r"ip_route_(?P<of>\S+)", Role.ROUTES, -1),
        (r"ip_route6_(?P<of>\S+)", Role.ROUTES6, 0),
        (r"ip_rule_(?P<of>\S+)", Role.RULES, 0),
        (r"ip_rule6_(?P<of>\S+)", Role.RULES6, 0),
        (r"ip_neigh_(?P<of>\S+)", Role.NEIGHBOURS, 0),
        (r"iptables-save(?:_(?P<of>\S+))?", Role.IPTABLES, 0),
        (r"ip6tables-save(?:_(?P<of>\S+))?", Role.IP6TABLES, 0),
        (r"ipset-save(?:_(?P<of>\S+))?|ipset_save", Role.SETS, 0),
        (r"sysctl_(?P<of>\S+)", Role.SYSCTLS, 0),
        (r"dnsmasq_(?P<of>[^/]+)/host", Role.DHCP_HOSTS, 0),
        (r"warren_state\.json", Role.INTENT, 0),
        (r"capture_notes", Role.NOTES, 0),
    )
)
_SOS_DHCP: Final = re.compile(r"var/lib/neutron/dhcp/(?P<of>[^/]+)/host$")


def classify(path: str) -> Place | None:
    """The role of a file by its path inside a host's folder; `None` for a file that nobody here reads."""
    if found := _SOS_DHCP.search(path):
        return Place(role=Role.DHCP_HOSTS, of=found["of"])
    name = path if path.startswith("dnsmasq_") else path.rpartition("/")[2]
    for pattern, role, preference in _PATTERNS:
        if found := pattern.fullmatch(name):
            of = found.groupdict().get("of") or ""
            return Place(role=role, of="" if of == _HOST else of, preference=preference)
    return None
