"""What would let a packet pass that a bridge or a rule dropped, by where it was dropped.

Tables are those of Neutron's and Warren's br-int and br-tun; of another bridge nothing is said.
"""

import re
from collections.abc import Sequence
from typing import Final

from warren.core.names import INTEGRATION_BRIDGE, TUNNEL_BRIDGE
from warren.inspect.filter.evaluate import RuleHit
from warren.inspect.filter.packet import IpPacket
from warren.inspect.path.frame import Arp, Frame

_DEAD: Final = "wire the port: its agent has it dead, or has not come to it yet"
_FOREIGN_MAC: Final = "add the source MAC address to the port's allowed address pairs; or it sent as a DHCP server"
_FOREIGN_ADDRESS: Final = "add the source address to the port's fixed IPs or allowed address pairs"
_NO_RULE_ALLOWS: Final = "sg-fallback"
"""The end of the chain in which Warren and Neutron drop what no rule of a security group allows."""
_SPOOFING: Final = re.compile(r"(warren-|neutron-openvswi-)s[0-9a-f-]{10,11}")
_BY_TABLE: Final = {
    (INTEGRATION_BRIDGE, 0): _DEAD,
    (INTEGRATION_BRIDGE, 24): "add the address that it claims to the port's fixed IPs or allowed address pairs",
    (INTEGRATION_BRIDGE, 25): _FOREIGN_MAC,
    (INTEGRATION_BRIDGE, 71): _FOREIGN_ADDRESS,
    (INTEGRATION_BRIDGE, 61): "a port of this network with the destination's address on this host",
    (INTEGRATION_BRIDGE, 62): "a port with the destination's address, here or known behind the tunnels",
    (TUNNEL_BRIDGE, 0): "a flow that takes frames from this port: is its peer known here?",
    (TUNNEL_BRIDGE, 20): "an entry for the destination's address, or a flood flow of its network",
    (TUNNEL_BRIDGE, 21): "an entry for the destination's address, or a flood flow of its network",
    (TUNNEL_BRIDGE, 22): "a flood flow of this VLAN: does any other host have the network?",
}
_INBOUND_TABLES: Final = (3, 4, 6)
_EGRESS: Final = (71, 72)
_INGRESS: Final = (81, 82)


def flow_mend(bridge: str, tables: Sequence[int | str | None], frame: Frame) -> str:
    """What would let a frame pass that was dropped after these tables; empty where nothing is known of the last one."""
    visited = [table for table in tables if isinstance(table, int)]
    last = visited[-1] if visited else -1
    if bridge == INTEGRATION_BRIDGE and last in (72, 82, 93):
        asked = next((table for table in reversed(visited) if table in (*_EGRESS, *_INGRESS)), 72)
        return _group_rule("egress" if asked in _EGRESS else "ingress", frame)
    if bridge == TUNNEL_BRIDGE and last in _INBOUND_TABLES:
        return f"a flow for tunnel id {frame.tunnel_id:#x}: the network has no port on this host, or its key is wrong"
    return _BY_TABLE.get((bridge, last), "")


def _group_rule(direction: str, frame: Frame) -> str:
    what = frame.payload
    if isinstance(what, Arp):
        return "a security group does not stop ARP; look at the flow"
    return f"a rule of the port's security group that allows {direction} {_rule_words(what, direction)}"


def _rule_words(packet: IpPacket, direction: str) -> str:
    other = packet.destination if direction == "egress" else packet.source
    side = "to" if direction == "egress" else "from"
    name = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6"}.get(packet.protocol, f"protocol {packet.protocol}")
    port = f" port {packet.destination_port}" if packet.protocol in (6, 17) else ""
    return f"{name}{port} {side} {other}"


def rule_mend(hit: RuleHit, packet: IpPacket, namespace: str) -> str:
    """What would let a packet pass that a rule of iptables dropped.

    Security groups drop at the end of all rules; what drops elsewhere has to go itself, be it a rule or a policy.
    """
    if packet.physdev_in and hit.chain.endswith(_NO_RULE_ALLOWS):
        direction = "egress" if packet.physdev_in.startswith("tap") else "ingress"
        return f"a rule of the port's security group that allows {direction} {_rule_words(packet, direction)}"
    if packet.physdev_in and _SPOOFING.fullmatch(hit.chain):
        return _FOREIGN_ADDRESS
    inside = f"ip netns exec {namespace} " if namespace else ""
    command = f"{inside}{'ip6tables' if packet.is_ipv6 else 'iptables'} -t {hit.table}"
    return f"{command} -D {hit.rule[3:]}" if hit.rule.startswith("-A ") else f"{command} -P {hit.chain} ACCEPT"
