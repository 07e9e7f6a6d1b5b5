"""What a host's own packet filter does to the packets of tunnels that come to it."""

from dataclasses import replace
from typing import Final

from warren.inspect.filter.evaluate import Outcome
from warren.inspect.filter.hooks import Netfilter, Passage
from warren.inspect.filter.packet import PROTOCOLS, IpPacket
from warren.inspect.snapshot.model import Bridge, BridgePort, Namespace
from warren.inspect.snapshot.text import ip_of

_USERSPACE: Final = "netdev"
"""Type of a datapath that takes a tunnel's packets before the kernel's filter sees them."""
_SOURCE_PORT: Final = 49_152
"""A VXLAN or Geneve packet comes from any, by the hash of what is in it (RFC 7348, 5)."""
_GRE: Final = PROTOCOLS["gre"]


def arriving(port: BridgePort, namespace: Namespace) -> IpPacket | None:
    """A packet that the other end of a tunnel sends; `None` where its ends are not known, or on no interface here."""
    local, remote = port.options.get("local_ip", ""), ip_of(port.options.get("remote_ip", ""))
    link = namespace.holder_of(local) if local else None
    udp_port = port.tunnel_udp_port
    if link is None or not remote or not (udp_port.isdecimal() or port.type == "gre"):
        return None
    return IpPacket(
        source=remote,
        destination=local,
        protocol=_GRE if port.type == "gre" else PROTOCOLS["udp"],
        source_port=_SOURCE_PORT,
        destination_port=int(udp_port or 0),
        in_interface=link.name,
    )


def kept_out(netfilter: Netfilter, bridge: Bridge, packet: IpPacket) -> Passage | None:
    """Where the rules of a host drop a tunnel's packet; `None` where they let it in, or nobody can tell."""
    if bridge.datapath_type == _USERSPACE:
        return None
    if packet.protocol == _GRE:  # all GRE of two hosts is one connection, and this host sends as well
        sent = replace(packet, source=packet.destination, destination=packet.source)
        netfilter.tracker.confirm(netfilter.tracker.track(sent)[1])
    for hook in ("PREROUTING", "INPUT"):
        passage = netfilter.hook(hook, packet)
        if passage.outcome in (Outcome.DROP, Outcome.REJECT):
            return passage
        if passage.outcome is not Outcome.ACCEPT:
            return None
        packet = passage.packet
    return None


def let_in(passage: Passage) -> str:
    """The command that accepts such packets before the rule or policy that drops them."""
    packet, table = passage.packet, passage.hits[-1].table
    command = ("ip6tables" if packet.is_ipv6 else "iptables") + (f" -t {table}" if table != "filter" else "")
    what = "-p gre" if packet.protocol == _GRE else f"-p udp --dport {packet.destination_port}"
    return f"{command} -I {passage.hook} {what} -j ACCEPT"
