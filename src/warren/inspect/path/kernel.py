"""What a namespace does with frames and packets: answers ARP, routes, filters, translates, asks for neighbours.

An instance whose inside was not captured is taken to do what any host does: answer ARP for its addresses, take what is
for it, send to its router what is not on its own prefix.
"""

from dataclasses import replace
from typing import Final

from warren.core.names import ROUTER_NAMESPACE_PREFIX
from warren.inspect.filter.evaluate import Outcome
from warren.inspect.filter.hooks import Passage
from warren.inspect.filter.packet import IpPacket
from warren.inspect.path.asking import Asker, told
from warren.inspect.path.endpoint import Endpoint, gateway, instance, is_to_many, on_link
from warren.inspect.path.frame import Arp, Frame, answer, request
from warren.inspect.path.hop import Verdict
from warren.inspect.path.outside import keeps_inside_address
from warren.inspect.path.routing import (
    Routed,
    first_address,
    is_broadcast,
    is_multicast,
    link_address,
    refused_source,
    route,
    setting,
)
from warren.inspect.path.topology import Interface, SwitchPort
from warren.inspect.path.walk import Aim, Delivery, Walk, ip_command, plain
from warren.inspect.path.world import World
from warren.inspect.snapshot.model import Host, Link, Namespace

_ROUTERS: Final = (ROUTER_NAMESPACE_PREFIX, "snat-", "fip-")
"""Names of namespaces that forward begin so; the last two are a distributed router's."""


def send(walk: Walk, endpoint: Endpoint, packet: IpPacket, parent: int = -1) -> None:
    """An endpoint sends a packet; all that follows is in the walk when this returns."""
    if endpoint.host and endpoint.namespace:
        _send_from_namespace(walk, endpoint.host, endpoint.namespace, packet, parent)
    elif endpoint.port:
        _send_from_instance(walk, endpoint, packet, parent)
    settle(walk)


def settle(walk: Walk) -> None:
    """Let every frame that arrived somewhere go on, until nothing moves."""
    while walk.arrivals or walk.instance_arrivals:
        if walk.arrivals:
            interface, frame, index = walk.arrivals.popleft()
            _arrive(walk, interface, frame, index)
        else:
            port, frame, index = walk.instance_arrivals.popleft()
            _arrive_at_instance(walk, port, frame, index)


# Out of a namespace.


def _send_from_namespace(walk: Walk, host: Host, namespace: Namespace, packet: IpPacket, parent: int) -> None:
    routed = route(namespace, packet.destination, packet.source)
    place = namespace.name or host.name
    index = walk.hop(parent, host, place, f"sends {packet}", evidence=routed.evidence)
    if _ends_without_route(walk, routed, index, namespace):
        return
    netfilter = walk.world.netfilter(host, namespace, is_ipv6=packet.is_ipv6)
    passage = netfilter.hook("OUTPUT", replace(packet, out_interface=routed.device))
    index = walk.note_passage(host, namespace, passage, index)
    if passage.outcome is not Outcome.ACCEPT:
        return
    if passage.packet.destination != packet.destination:
        routed = route(namespace, passage.packet.destination, passage.packet.source, mark=passage.packet.mark)
        if _ends_without_route(walk, routed, index, namespace):
            return
    if routed.kind == "local":
        _take(walk, Interface(host, namespace, _own_link(namespace, routed.device)), passage.packet, index)
        return
    _post_route(walk, host, namespace, routed, passage.packet, index)


def _own_link(namespace: Namespace, device: str) -> Link:
    """The interface by which a namespace takes what it sends to itself."""
    return namespace.link(device) or namespace.links[0]


def _ends_without_route(walk: Walk, routed: Routed, index: int, namespace: Namespace) -> bool:
    if routed.kind in ("local", "unicast", "many"):
        return False
    if routed.kind == "unknown":
        walk.hops[index] = replace(walk.hops[index], what=routed.evidence)
        walk.end(index, Verdict.NOT_MODELLED)
    else:
        walk.hops[index] = replace(walk.hops[index], what=f"{walk.hops[index].what}: {routed.evidence}")
        walk.end(index, Verdict.DROPPED_NO_ROUTE, f"{ip_command(namespace)} {_route_mend(namespace, routed)}")
    return True


def _route_mend(namespace: Namespace, routed: Routed) -> str:
    """An interface that is down has lost its routes: it is put right before they are."""
    down = [link.name for link in namespace.links if link.addresses and not link.is_up]
    if routed.undo:
        return routed.undo
    return f"link set {down[0]} up" if down else "route add default via THE GATEWAY"


def _post_route(walk: Walk, host: Host, namespace: Namespace, routed: Routed, packet: IpPacket, parent: int) -> None:
    """POSTROUTING, the neighbour, and out by the device."""
    netfilter = walk.world.netfilter(host, namespace, is_ipv6=packet.is_ipv6)
    own = first_address(namespace, routed.device, is_ipv6=packet.is_ipv6)
    passage = netfilter.hook("POSTROUTING", replace(packet, out_interface=routed.device), own_address=own)
    index = walk.note_passage(host, namespace, passage, parent)
    if passage.outcome is not Outcome.ACCEPT:
        return
    link = namespace.link(routed.device)
    if link is None:
        what = f"the route leads to {routed.device}, which is not there"
        walk.stop(index, host, namespace.name, what, Verdict.DROPPED_NO_ROUTE)
        return
    interface = Interface(host, namespace, link)
    if keeps_inside_address(namespace, routed.device, packet, passage.packet):
        what = f"sends it by {routed.device} with the inside address {packet.source}, which no rule translates"
        index = walk.hop(index, host, namespace.name, what, is_untranslated=True)
    if link.mtu and packet.size_bytes > link.mtu:
        index = walk.hop(index, host, interface.where, f"{packet.size_bytes} bytes do not fit into {link.mtu}")
        walk.end(index, Verdict.DROPPED_TOO_BIG, f"packets of at most {link.mtu} bytes")
        return
    if routed.kind == "many":
        mac = link_address(packet.destination)
    else:
        mac, index = _neighbour(walk, interface, routed.next_hop, routed.source or own, index)
    if mac:
        walk.transmit(interface, Frame(source=link.mac, destination=mac, payload=plain(passage.packet)), index)


def _neighbour(walk: Walk, interface: Interface, ip: str, source: str, parent: int) -> tuple[str, int]:
    """The MAC address of a next hop, asked for where it is not known; the hop that says so."""
    place = interface.namespace.name or interface.host.name
    mac = walk.world.neighbour(interface, ip)
    if mac:
        index = walk.hop(parent, interface.host, place, f"knows that {ip} is at {mac}")
        mend = f"{ip_command(interface.namespace)} neigh del {ip} dev {interface.link.name}"
        walk.aims[index] = Aim(
            ip=ip, mac=mac, host=interface.host.name, sent_from=interface.link.mac, blamed=index, mend=mend
        )  # fmt: skip
        return mac, index
    if ":" in ip:
        index = walk.hop(parent, interface.host, place, f"would ask for {ip} by neighbour discovery")
        walk.end(index, Verdict.NOT_MODELLED)
        return "", index
    frame = request(sender_mac=interface.link.mac, sender_ip=source, target_ip=ip)
    asked = Walk(world=walk.world, title=f"ARP for {ip}")
    asked.transmit(interface, frame, -1)
    settle(asked)
    asker = Asker(host=interface.host, place=place, mac=interface.link.mac)
    return told(walk, asked, asker, ip, walk.world.neighbour(interface, ip), parent)


# Into a namespace.


def _arrive(walk: Walk, interface: Interface, frame: Frame, index: int) -> None:
    if frame.vlan:
        what = f"has no interface for VLAN {frame.vlan}"
        walk.stop(index, interface.host, interface.where, what, Verdict.DROPPED_NOT_FOR_US)
        return
    if not frame.is_to_many and frame.destination != interface.link.mac:
        what = f"is not {frame.destination}"
        walk.stop(index, interface.host, interface.where, what, Verdict.DROPPED_NOT_FOR_US)
    elif isinstance(frame.payload, Arp):
        _arp(walk, interface, frame.payload, index)
    else:
        if not frame.is_to_many:
            walk.accepted.append(index)
        _ip(walk, interface, frame, frame.payload, index)


def _arp(walk: Walk, interface: Interface, arp: Arp, index: int) -> None:
    is_ours = _answers_for(interface, arp.target_ip)
    if arp.operation == 2:
        if is_ours or arp.target_mac == interface.link.mac:
            walk.world.meet(interface, arp.sender_ip, arp.sender_mac)
            walk.stop(index, interface.host, interface.where, f"learns {arp}", Verdict.DELIVERED)
        return
    if not is_ours:
        what = f"does not have {arp.target_ip}"
        walk.stop(index, interface.host, interface.where, what, Verdict.DROPPED_NOT_FOR_US)
        return
    if _is_refused(walk, interface, arp.sender_ip, index):
        return
    walk.world.meet(interface, arp.sender_ip, arp.sender_mac)
    index = walk.hop(index, interface.host, interface.where, f"answers: {arp.target_ip} is at {interface.link.mac}")
    walk.accepted.append(index)
    walk.transmit(interface, answer(arp, interface.link.mac), index)


def _answers_for(interface: Interface, ip: str) -> bool:
    """Whether an interface answers for an address: its own, or with arp_ignore 0 any of its namespace, or by proxy."""
    if any(address.ip == ip for address in interface.link.addresses):
        return True
    namespace, device = interface.namespace, interface.link.name
    if namespace.holder_of(ip):
        return bool(namespace.sysctls) and not setting(namespace, device, "arp_ignore")
    if not (_is_proxy(namespace, device) and _forwards(namespace, is_ipv6=False)):
        return False
    routed = route(namespace, ip, came_by=device)
    return routed.kind == "unicast" and routed.device != device


def _is_proxy(namespace: Namespace, device: str) -> bool:
    """Whether an interface answers for what it routes elsewhere (proxy_arp), as a distributed router's does outside."""
    is_known = f"net.ipv4.conf.{device}.proxy_arp" in namespace.sysctls
    return setting(namespace, device, "proxy_arp") > 0 if is_known else device.startswith("fg-")


def _is_refused(walk: Walk, interface: Interface, source: str, parent: int) -> bool:
    """Ends a packet whose source address the namespace does not let in by this interface."""
    why = refused_source(interface.namespace, interface.link.name, source)
    if not why:
        return False
    index = walk.hop(parent, interface.host, interface.where, f"refuses it: {why}")
    mend = f"a route to {source} by {interface.link.name}, or its rp_filter 0 and that of all"
    walk.end(index, Verdict.DROPPED_SOURCE, "" if interface.namespace.holder_of(source) else mend)
    return True


def _ip(walk: Walk, interface: Interface, frame: Frame, packet: IpPacket, index: int) -> None:
    namespace = interface.namespace
    netfilter = walk.world.netfilter(interface.host, namespace, is_ipv6=packet.is_ipv6)
    own = first_address(namespace, interface.link.name, is_ipv6=packet.is_ipv6)
    packet = replace(packet, in_interface=interface.link.name, source_mac=frame.source)
    passage = netfilter.hook("PREROUTING", packet, own_address=own)
    index = walk.note_passage(interface.host, namespace, passage, index)
    if passage.outcome is not Outcome.ACCEPT:
        return
    packet = passage.packet
    if is_multicast(packet.destination):
        index = walk.hop(
            index, interface.host, interface.where, f"takes {packet.destination} only if it listens to that group"
        )
        walk.end(index, Verdict.NOT_CAPTURED)
    elif is_broadcast(namespace, packet.destination):
        _take(walk, interface, packet, index)
    elif not _is_refused(walk, interface, packet.source, index):
        routed = route(
            namespace, packet.destination, packet.source, came_by=interface.link.name, mark=packet.mark
        )  # fmt: skip
        if routed.kind == "local":
            _take(walk, interface, packet, index)
        else:
            _forward(walk, interface, packet, routed, index)


def _forward(walk: Walk, interface: Interface, packet: IpPacket, routed: Routed, index: int) -> None:
    """A packet for somebody else goes on, if the namespace is a router and lets it pass."""
    namespace = interface.namespace
    place = namespace.name or interface.host.name
    if not _forwards(namespace, is_ipv6=packet.is_ipv6):
        index = walk.hop(index, interface.host, place, f"does not have {packet.destination} and does not forward")
        walk.end(index, Verdict.DROPPED_NOT_FORWARDED, "net.ipv4.ip_forward=1, if it should be a router")
        return
    index = walk.hop(index, interface.host, place, f"routes {packet}", evidence=routed.evidence)
    if _ends_without_route(walk, routed, index, namespace):
        return
    if packet.ttl <= 1:
        walk.end(index, Verdict.DROPPED_TTL)
        return
    packet = replace(packet, out_interface=routed.device, ttl=packet.ttl - 1)
    passage = walk.world.netfilter(interface.host, namespace, is_ipv6=packet.is_ipv6).hook("FORWARD", packet)
    index = walk.note_passage(interface.host, namespace, passage, index)
    if passage.outcome is Outcome.ACCEPT:
        _post_route(walk, interface.host, namespace, routed, passage.packet, index)


def _forwards(namespace: Namespace, *, is_ipv6: bool) -> bool:
    """What the sysctl says; where it was not captured, only routers forward."""
    name = "net.ipv6.conf.all.forwarding" if is_ipv6 else "net.ipv4.ip_forward"
    return namespace.sysctls.get(name, "1" if namespace.name.startswith(_ROUTERS) else "0") == "1"


def _take(walk: Walk, interface: Interface, packet: IpPacket, index: int) -> None:
    netfilter = walk.world.netfilter(interface.host, interface.namespace, is_ipv6=packet.is_ipv6)
    passage: Passage = netfilter.hook("INPUT", packet)
    index = walk.note_passage(interface.host, interface.namespace, passage, index)
    if passage.outcome is not Outcome.ACCEPT:
        return
    index = walk.hop(index, interface.host, interface.where, f"takes {plain(passage.packet)}")
    walk.end(index, Verdict.DELIVERED)
    walk.delivered.append(Delivery(passage.packet, interface=interface, hop=index))


# An instance whose inside was not captured.


def _arrive_at_instance(walk: Walk, port: SwitchPort, frame: Frame, index: int) -> None:
    endpoint = instance(port, walk.world.topology)
    place = f"instance {endpoint.name}"
    if not frame.is_to_many and frame.destination != endpoint.mac:
        walk.stop(index, port.host, place, f"is not {frame.destination}", Verdict.DROPPED_NOT_FOR_US)
        return
    payload = frame.payload
    if isinstance(payload, IpPacket):
        if not _may_take(endpoint, frame, payload):
            what = f"is not known to take what is for {payload.destination}"
            walk.stop(index, port.host, place, what, Verdict.NOT_CAPTURED)
            return
        index = walk.hop(index, port.host, place, f"takes {payload}")
        walk.end(index, Verdict.DELIVERED)
        walk.delivered.append(Delivery(payload, port=port, hop=index))
    elif payload.operation == 2:
        _met(walk.world, endpoint)[payload.sender_ip] = payload.sender_mac
        walk.stop(index, port.host, place, f"learns {payload}", Verdict.DELIVERED)
    elif payload.target_ip in endpoint.ips:
        _met(walk.world, endpoint)[payload.sender_ip] = payload.sender_mac
        index = walk.hop(index, port.host, place, f"answers: {payload.target_ip} is at {endpoint.mac}")
        walk.accepted.append(index)
        leave_instance(walk, endpoint, answer(payload, endpoint.mac), index)
    else:
        walk.stop(index, port.host, place, f"does not have {payload.target_ip}", Verdict.DROPPED_NOT_FOR_US)


def _may_take(endpoint: Endpoint, frame: Frame, packet: IpPacket) -> bool:
    """Whether any host with an instance's addresses would take a packet that came in a frame for it."""
    if is_multicast(packet.destination):
        return False
    return frame.is_to_many or not endpoint.ips or packet.destination in endpoint.ips


def _met(world: World, endpoint: Endpoint) -> dict[str, str]:
    return world.instance_neighbours.setdefault(endpoint.mac, {})


def leave_instance(walk: Walk, endpoint: Endpoint, frame: Frame, parent: int) -> None:
    """A frame leaves an instance by its tap: onto the Linux bridge of a hybrid plug, or straight onto br-int."""
    port = endpoint.port
    if port is None:
        return
    tap = _tap(walk.world, port)
    if tap is None or tap.link.name == port.port.name:
        index = walk.hop(
            parent, port.host, port.port.name, "sent by the instance", packet=str(frame), interface=port.port.name
        )
        if tap and not tap.link.is_up:
            walk.end(index, Verdict.DROPPED_DOWN, f"ip link set {tap.link.name} up")
        else:
            walk.enter_bridge(port, frame, index)
    else:
        walk.receive(tap, frame, parent)


def _tap(world: World, port: SwitchPort) -> Interface | None:
    """The interface that the instance holds: the switch port itself, or the port of its qbr that is not the qvb."""
    interface = world.topology.interface_of(port)
    other = world.topology.other_end(interface) if interface else None
    if other is None or not other.link.master:
        return interface
    taps = world.topology.bridged_with(other)
    return taps[0] if len(taps) == 1 else interface


def _send_from_instance(walk: Walk, endpoint: Endpoint, packet: IpPacket, parent: int) -> None:
    if endpoint.host is None:
        return
    place = f"instance {endpoint.name}"
    if is_to_many(endpoint, packet.destination, walk.world.topology):
        index = walk.hop(parent, endpoint.host, place, f"sends {packet}")
        frame = Frame(source=endpoint.mac, destination=link_address(packet.destination), payload=packet)
        leave_instance(walk, endpoint, frame, index)
        return
    direct = on_link(endpoint, packet.destination, walk.world.topology)
    next_hop = packet.destination if direct else gateway(endpoint, walk.world.topology)
    by = "" if direct else f" by its router {next_hop}" if next_hop else "; by which router was not captured"
    index = walk.hop(parent, endpoint.host, place, f"sends {packet}{by}")
    if not next_hop:
        mend = "capture the hosts of its network's router and DHCP server too"
        walk.end(index, Verdict.NOT_CAPTURED, mend)
        return
    mac = _met(walk.world, endpoint).get(next_hop, "")
    if not mac:
        asked = Walk(world=walk.world, title=f"ARP for {next_hop}")
        leave_instance(
            asked, endpoint, request(sender_mac=endpoint.mac, sender_ip=packet.source, target_ip=next_hop), -1
        )
        settle(asked)
        asker = Asker(host=endpoint.host, place=place, mac=endpoint.mac)
        mac, index = told(walk, asked, asker, next_hop, _met(walk.world, endpoint).get(next_hop, ""), index)
    if mac:
        leave_instance(walk, endpoint, Frame(source=endpoint.mac, destination=mac, payload=packet), index)
