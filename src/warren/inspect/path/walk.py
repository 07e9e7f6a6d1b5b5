"""A frame's way from port to port, all copies of it, until each has ended.

One `Walk` is one packet sent by one endpoint. It keeps the hops as a tree: a flood has many children. What happens
inside a namespace is `kernel`'s business, inside a bridge `switch`'s, and which copy decided `blame`'s.
"""

from collections import Counter, deque
from dataclasses import dataclass, field, replace
from typing import Final

from warren.core.names import ON_LINUX_BRIDGE
from warren.core.protocols import TUNNEL_OVERHEAD_BYTES
from warren.inspect.filter.evaluate import Outcome
from warren.inspect.filter.hooks import Passage
from warren.inspect.filter.packet import IpPacket
from warren.inspect.filter.underlay import arriving, kept_out, let_in
from warren.inspect.path.frame import Frame
from warren.inspect.path.hop import TABLE, Hop, Path, Verdict
from warren.inspect.path.mend import rule_mend
from warren.inspect.path.switch import Forwarded
from warren.inspect.path.topology import Interface, SwitchPort
from warren.inspect.path.world import World
from warren.inspect.snapshot.model import HOST_NAMESPACE, REFUSALS, Host, Namespace

HOP_LIMIT: Final = 5_000
DEPTH_LIMIT: Final = 120


@dataclass(frozen=True, slots=True)
class Delivery:
    """A packet that reached its end: the namespace, or the instance's port."""

    packet: IpPacket
    interface: Interface | None = None
    port: SwitchPort | None = None
    hop: int = 0


@dataclass(frozen=True, slots=True)
class Departure:
    """A frame that left the captured hosts by a physical interface."""

    frame: Frame
    interface: Interface
    hop: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A packet set out for a next hop by a MAC address that somebody knew or was told."""

    ip: str
    mac: str
    host: str
    sent_from: str
    """MAC address of the interface that it leaves by: tells the network."""
    blamed: int
    """The hop that is at fault if the address is another's: who knew it, or who told it."""
    mend: str = ""


@dataclass(slots=True)
class Walk:
    """One packet under way."""

    world: World
    title: str
    hops: list[Hop] = field(default_factory=list)
    delivered: list[Delivery] = field(default_factory=list)
    departed: list[Departure] = field(default_factory=list)
    arrivals: deque[tuple[Interface, Frame, int]] = field(default_factory=deque)
    """Frames that came in by an interface; `kernel` goes on with them."""
    instance_arrivals: deque[tuple[SwitchPort, Frame, int]] = field(default_factory=deque)
    """Frames that reached an instance whose inside was not captured."""
    aims: dict[int, Aim] = field(default_factory=dict)
    """Hop at which the packet set out -> for whom."""
    accepted: list[int] = field(default_factory=list)
    """Hops at which somebody took an IP frame as meant for it, or answered ARP: one leg of the way ended well there."""
    learned: list[str] = field(default_factory=list)

    def hop(  # noqa: PLR0913 - as many as a hop has
        self, parent: int, host: Host, place: str, what: str, *, packet: str = "", interface: str = "",
        evidence: str = "", object: str = "", is_tunnel: bool = False, is_untranslated: bool = False,  # noqa: A002
        writes_arp: bool = False,
    ) -> int:  # fmt: skip
        """Note a hop; gives its index."""
        hop = Hop(
            host=host.name, place=place, what=what, parent=parent, packet=packet, interface=interface,
            evidence=evidence, object=object, is_tunnel=is_tunnel, is_untranslated=is_untranslated,
            writes_arp=writes_arp,
        )  # fmt: skip
        self.hops.append(hop)
        return len(self.hops) - 1

    def stop(self, parent: int, host: Host, place: str, what: str, verdict: Verdict) -> None:
        """Note a hop at which the packet ends."""
        self.end(self.hop(parent, host, place, what), verdict)

    def end(self, index: int, verdict: Verdict, mend: str = "") -> None:
        self.hops[index] = replace(self.hops[index], end=verdict, mend=mend)

    def depth(self, index: int) -> int:
        depth = 0
        while index >= 0 and depth <= DEPTH_LIMIT:
            index, depth = self.hops[index].parent, depth + 1
        return depth

    # From a kernel's interface outwards.

    def transmit(self, interface: Interface, frame: Frame, parent: int) -> None:
        """A namespace sends a frame by one of its interfaces."""
        index = self.hop(
            parent,
            interface.host,
            interface.where,
            f"leaves by {interface.link.name}",
            packet=str(frame),
            interface=interface.link.name,
        )
        if not interface.link.is_up:
            self._is_down(interface, frame, index)
            return
        port = self.world.topology.switch_port_of(interface)
        if port and port.port.type == "internal":
            self.enter_bridge(port, frame, index)
        else:
            self.cross(interface, frame, index)

    def cross(self, interface: Interface, frame: Frame, parent: int) -> None:
        """A frame goes through an interface to whatever is at its other end."""
        other = self.world.topology.other_end(interface)
        if other:
            self.receive(other, frame, parent)
            return
        port = self.world.topology.switch_port_of(interface)
        is_nic = port is not None and not port.port.port_id
        if is_nic or (port is None and interface.namespace.name == HOST_NAMESPACE and not interface.link.master):
            self._leave(interface, frame, parent)
        elif port:
            self.instance_arrivals.append((port, frame, parent))
        else:
            self._to_tap(interface, frame, parent)

    def _to_tap(self, interface: Interface, frame: Frame, parent: int) -> None:
        """A tap on a Linux bridge: the instance is behind it, its port is the bridge's other one."""
        for neighbour in self.world.topology.bridged_with(interface):
            end = self.world.topology.other_end(neighbour)
            port = self.world.topology.switch_port_of(end) if end else None
            if port and port.port.port_id:
                self.instance_arrivals.append((port, frame, parent))
                return
        index = self.hop(parent, interface.host, interface.where, "goes to what is plugged there", packet=str(frame))
        self.end(index, Verdict.NOT_CAPTURED)

    def _leave(self, interface: Interface, frame: Frame, parent: int) -> None:
        index = self.hop(
            parent, interface.host, interface.link.name, f"leaves host {interface.host.name}", packet=str(frame)
        )
        takers = self._takers(interface, frame)
        if frame.is_to_many or not takers:
            self.departed.append(Departure(frame, interface, index))
            self.end(index, Verdict.LEFT)
        for taker in takers:
            self.receive(taker, frame, index)

    def _takers(self, interface: Interface, frame: Frame) -> list[Interface]:
        """Who else on the LAN outside gets a frame: all, or the host that has the address."""
        topology = self.world.topology
        others = [port for port in topology.outer_lan if port != interface] if interface in topology.outer_lan else []
        return [port for port in others if frame.is_to_many or topology.has_mac(port.host, frame.destination)]

    def receive(self, interface: Interface, frame: Frame, parent: int) -> None:
        """A frame comes in by an interface of the kernel."""
        index = self.hop(
            parent,
            interface.host,
            interface.where,
            f"comes in by {interface.link.name}",
            packet=str(frame),
            interface=interface.link.name,
        )
        if not interface.link.is_up:
            self._is_down(interface, frame, index)
        elif self.depth(index) > DEPTH_LIMIT or len(self.hops) > HOP_LIMIT:
            self.end(index, Verdict.LOOPED)
        elif port := self.world.topology.switch_port_of(interface):
            self.enter_bridge(port, frame, index)
        elif interface.link.master:
            self._enter_linux_bridge(interface, frame, index)
        elif interface.namespace.name == HOST_NAMESPACE and interface.link.name.startswith(ON_LINUX_BRIDGE):
            mend = f"ip link set {interface.link.name} master qbr{interface.link.name[3:]}"
            self.end(index, Verdict.DROPPED_NO_PORT, mend)
        else:
            self.arrivals.append((interface, frame, index))

    # Through a Linux bridge.

    def _enter_linux_bridge(self, interface: Interface, frame: Frame, parent: int) -> None:
        """To the port that has the address, or to all others; iptables sees IP frames on the way (br_netfilter)."""
        bridge = interface.link.master
        link = interface.namespace.link(bridge)
        if link and not link.is_up:
            index = self.hop(parent, interface.host, bridge, f"{bridge} is down and forwards nothing")
            self.end(index, Verdict.DROPPED_DOWN, f"ip link set {bridge} up")
            return
        self.world.bridge_addresses[interface.host.name, bridge, frame.source] = interface.link.name
        known = self.world.bridge_addresses.get((interface.host.name, bridge, frame.destination))
        others = self.world.topology.bridged_with(interface)
        if known and not frame.is_to_many:
            others = tuple(other for other in others if other.link.name == known)
        if not others:
            index = self.hop(parent, interface.host, bridge, f"has no port towards {frame.destination}")
            self.end(index, Verdict.DROPPED_NO_PORT, f"a port of {bridge} that leads there")
        for other in others:
            passed, index = self._bridge_filter(interface, other, frame, parent)
            if passed:
                self.transmit(other, passed, index)

    def _bridge_filter(
        self, interface: Interface, other: Interface, frame: Frame, parent: int
    ) -> tuple[Frame | None, int]:
        packet = frame.payload
        if not isinstance(packet, IpPacket) or not filters_bridges(interface.namespace, is_ipv6=packet.is_ipv6):
            return frame, self.hop(parent, interface.host, interface.link.master, f"bridged to {other.link.name}")
        bridge = interface.link.master
        netfilter = self.world.netfilter(interface.host, interface.namespace, is_ipv6=packet.is_ipv6)
        packet = replace(packet, source_mac=frame.source, in_interface=bridge, physdev_in=interface.link.name)
        index = parent
        for hook in ("PREROUTING", "FORWARD", "POSTROUTING"):
            if hook != "PREROUTING":
                packet = replace(packet, out_interface=bridge, physdev_out=other.link.name)
            passage = netfilter.hook(hook, packet)
            index = self.note_passage(interface.host, interface.namespace, passage, index, place=bridge)
            packet = passage.packet
            if passage.outcome is not Outcome.ACCEPT:
                return None, index
        index = self.hop(index, interface.host, bridge, f"bridged to {other.link.name}")
        return replace(frame, payload=plain(packet)), index

    def note_passage(self, host: Host, namespace: Namespace, passage: Passage, parent: int, *, place: str = "") -> int:
        """The rules that a packet met at one hook, one hop each; the last one ends it if it was dropped."""
        index = parent
        where = place or namespace.name or host.name
        for hit in passage.hits:
            index = self.hop(
                index, host, f"{where} {hit.table} {hit.chain}", hit.effect, evidence=hit.rule, object=hit.comment
            )
        if passage.outcome is Outcome.NOT_MODELLED:
            self.end(index, Verdict.NOT_MODELLED)
        elif passage.outcome is not Outcome.ACCEPT:
            self.end(index, Verdict.DROPPED_RULE, rule_mend(passage.hits[-1], passage.packet, namespace.name))
        return index

    # Through an Open vSwitch bridge.

    def enter_bridge(self, port: SwitchPort, frame: Frame, parent: int) -> None:
        """A frame comes in by a port of a bridge: look it up, and send what comes of it by the ports that it says."""
        if port.port.ofport is None or port.port.ofport < 0:
            index = self.hop(parent, port.host, port.bridge.name, f"{port.port.name} has no OpenFlow port")
            self.end(index, Verdict.DROPPED_NO_PORT)
            return
        if self._is_refused(port, "NO_RECV", parent):
            return
        if self.depth(parent) > DEPTH_LIMIT or len(self.hops) > HOP_LIMIT:
            self.stop(parent, port.host, port.bridge.name, "comes round again", Verdict.LOOPED)
            return
        if port.bridge.flows is None:
            index = self.hop(parent, port.host, port.bridge.name, "its flows were not captured")
            self.end(index, Verdict.NOT_CAPTURED)
            return
        forwarded = self.world.switch(port).forward(port.port.ofport, frame)
        self.learned += [f"{port.host.name} {port.bridge.name}: {text}" for text in forwarded.learned]
        entry = self.hop(
            parent, port.host, port.bridge.name, f"enters {port.bridge.name} by {port.port.name}", packet=str(frame)
        )
        noted = self._note_lookups(port, forwarded, entry)
        if not forwarded.outputs:
            self.end(noted[-1], forwarded.end or Verdict.DROPPED_FLOW, forwarded.mend)
        elif forwarded.end is Verdict.NOT_MODELLED:
            self.end(noted[-1], forwarded.end, forwarded.mend)
        for ofport, sent, lookup in forwarded.outputs:
            self._leave_bridge(port, ofport, sent, noted[lookup + 1])

    def _note_lookups(self, port: SwitchPort, forwarded: Forwarded, entry: int) -> list[int]:
        """A hop for each lookup; gives their indexes behind that of the entry."""
        noted = [entry]
        for lookup in forwarded.lookups:
            place = f"{port.bridge.name}{TABLE}{lookup.table}"
            index = self.hop(
                noted[-1], port.host, place, lookup.what, evidence=lookup.flow, object=lookup.object,
                writes_arp=lookup.writes_arp,
            )  # fmt: skip
            noted.append(index)
        return noted

    def _leave_bridge(self, came_by: SwitchPort, ofport: int, frame: Frame, parent: int) -> None:
        """A frame goes out by a port of a bridge."""
        found = came_by.bridge.by_ofport().get(ofport)
        if found is None:
            index = self.hop(parent, came_by.host, came_by.bridge.name, f"goes to port {ofport}, which is not there")
            self.end(index, Verdict.DROPPED_NO_PORT, "remove the flow or put its port right")
            return
        port = SwitchPort(came_by.host, came_by.bridge, found)
        if self._is_refused(port, "NO_FWD", parent):
            return
        if found.type == "patch":
            self._patch(port, frame, parent)
        elif found.is_tunnel:
            self._tunnel(port, frame, parent)
        else:
            self._to_interface(port, frame, parent)

    def _is_refused(self, port: SwitchPort, word: str, parent: int) -> bool:
        """Ends a frame at a port that ovs-ofctl mod-port told to take or to send nothing."""
        if word not in port.port.config:
            return False
        index = self.hop(parent, port.host, port.bridge.name, f"{port.port.name} has {word} set")
        allow = REFUSALS[word]
        self.end(index, Verdict.DROPPED_PORT_CONFIG, f"ovs-ofctl mod-port {port.bridge.name} {port.port.name} {allow}")
        return True

    def _patch(self, port: SwitchPort, frame: Frame, parent: int) -> None:
        other = self.world.topology.patched(port)
        if other is None:
            index = self.hop(
                parent, port.host, port.bridge.name, f"goes to patch {port.port.name}, which leads nowhere"
            )
            self.end(index, Verdict.DROPPED_NO_PORT, f"give {port.port.name} and its other end each other as peer")
            return
        index = self.hop(parent, port.host, port.bridge.name, f"crosses {port.port.name} to {other.bridge.name}")
        self.enter_bridge(other, replace(frame, tunnel_id=0), index)

    def _tunnel(self, port: SwitchPort, frame: Frame, parent: int) -> None:
        remote = port.port.options.get("remote_ip", "")
        local = port.port.options.get("local_ip", "")
        key = port.port.tunnel_key("out_key")
        frame = frame if key is None else replace(frame, tunnel_id=key)
        what = f"{port.port.type} {frame.tunnel_id} from {local} to {remote}"
        index = self.hop(parent, port.host, port.port.name, what, packet=str(frame), is_tunnel=True)
        if self._is_too_big(port, frame):
            self.end(index, Verdict.DROPPED_TOO_BIG, "lower the network's MTU or raise the underlay's")
            return
        other = self.world.topology.tunnelled(port)
        if other is None:
            if peer := self.world.topology.host_of_address(remote):
                self.end(index, Verdict.DROPPED_NO_TUNNEL, f"make a {port.port.type} port to {local} on {peer.name}")
            else:
                missing = self.world.topology.estate.names.hosts.get(remote, f"the host of {remote}")
                self.end(index, Verdict.NOT_CAPTURED, f"capture {missing} too")
            return
        if port.port.tunnel_udp_port != other.port.tunnel_udp_port:
            self._has_other_udp_port(port, other, index)
            return
        if self._is_kept_out(other, index):
            return
        if not other.port.takes_key(frame.tunnel_id):
            index = self.hop(
                index, other.host, other.port.name, f"takes only key {other.port.tunnel_key('in_key')}",
                evidence=f"{other.port.name}: options={dict(other.port.options)}",
            )  # fmt: skip
            mend = f"in_key=flow on {other.host.name}, out_key=flow on {port.host.name}"
            self.end(index, Verdict.DROPPED_NO_TUNNEL, mend)
            return
        index = self.hop(index, other.host, other.port.name, f"arrives at {other.host.name} by {other.port.name}")
        self.enter_bridge(other, frame, index)

    def _is_kept_out(self, other: SwitchPort, parent: int) -> bool:
        """Ends a tunnel's packet that the rules of the other host do not let in."""
        namespace = other.host.namespace(HOST_NAMESPACE)
        packet = arriving(other.port, namespace) if namespace else None
        if namespace is None or packet is None:
            return False
        netfilter = self.world.netfilter(other.host, namespace, is_ipv6=packet.is_ipv6)
        passage = kept_out(netfilter, other.bridge, packet)
        if passage is None:
            return False
        index = self.hop(parent, other.host, other.host.name, f"is sent {packet} for {other.port.name}", is_tunnel=True)
        self.end(self.note_passage(other.host, namespace, passage, index), Verdict.DROPPED_RULE, let_in(passage))
        return True

    def _has_other_udp_port(self, port: SwitchPort, other: SwitchPort, parent: int) -> None:
        """Ends a frame at that end of a tunnel whose UDP port fewer tunnels use."""
        tunnels = (p for p in self.world.topology.switch_ports.values() if p.port.type == port.port.type)
        users = Counter(tunnel.port.tunnel_udp_port for tunnel in tunnels)
        odd, usual = sorted((port, other), key=lambda end: users[end.port.tunnel_udp_port])
        what = f"{odd.port.name} uses UDP port {odd.port.tunnel_udp_port}, the other end {usual.port.tunnel_udp_port}"
        shown = f"{odd.port.name}: options={dict(odd.port.options)}"
        index = self.hop(parent, odd.host, odd.port.name, what, evidence=shown, is_tunnel=True)
        mend = f"ovs-vsctl set Interface {odd.port.name} options:dst_port={usual.port.tunnel_udp_port}"
        self.end(index, Verdict.DROPPED_NO_TUNNEL, mend)

    def _is_too_big(self, port: SwitchPort, frame: Frame) -> bool:
        namespace = port.host.namespace(HOST_NAMESPACE)
        link = namespace.holder_of(port.port.options.get("local_ip", "")) if namespace else None
        size = frame.payload.size_bytes if isinstance(frame.payload, IpPacket) else 28
        return bool(link and link.mtu and size + TUNNEL_OVERHEAD_BYTES.get(port.port.type, 0) > link.mtu)

    def _to_interface(self, port: SwitchPort, frame: Frame, parent: int) -> None:
        """By an internal port into its namespace, by another one through the kernel's interface."""
        frame = replace(frame, tunnel_id=0)
        interface = self.world.topology.interface_of(port)
        index = self.hop(
            parent,
            port.host,
            port.bridge.name,
            f"sent to {port.port.name}",
            packet=str(frame),
            interface=port.port.name,
        )
        if interface is None:
            if port.port.port_id and port.port.type != "internal":
                self.instance_arrivals.append((port, frame, index))
            else:
                self.end(index, Verdict.NOT_CAPTURED, "its interface is in no namespace that was captured")
        elif not interface.link.is_up:
            self._is_down(interface, frame, index)
        elif port.port.type == "internal":
            self.arrivals.append((interface, frame, index))
        else:
            self.cross(interface, frame, index)

    def _is_down(self, interface: Interface, frame: Frame, parent: int) -> None:
        """Ends a frame at an interface that is down. Of a bridge's own one that is as it should be: nobody uses it."""
        index = self.hop(parent, interface.host, interface.where, f"{interface.link.name} is down")
        is_unused = frame.is_to_many and interface.host.bridge(interface.link.name) is not None
        verdict = Verdict.DROPPED_NOT_FOR_US if is_unused else Verdict.DROPPED_DOWN
        self.end(index, verdict, f"{ip_command(interface.namespace)} link set {interface.link.name} up")

    def is_behind(self, index: int, ancestor: int) -> bool:
        """Whether a hop is another one or came of it."""
        while index > ancestor:
            index = self.hops[index].parent
        return index == ancestor

    def way_to(self, index: int) -> tuple[Hop, ...]:
        """The hops that led to one, first to last."""
        found: list[Hop] = []
        while index >= 0 and len(found) <= 2 * DEPTH_LIMIT + HOP_LIMIT:
            found.append(self.hops[index])
            index = self.hops[index].parent
        return tuple(reversed(found))

    def path(self, index: int, verdict: Verdict, because: str, mend: str = "") -> Path:
        """The walk as a value, told along the copy that ends at a hop."""
        way = self.way_to(index)
        others = tuple(hop for i, hop in enumerate(self.hops) if hop.end and i != index and hop not in way)
        return Path(
            title=self.title, way=way, verdict=verdict, because=because, mend=mend, others=others,
            learned=tuple(dict.fromkeys(self.learned)),
        )  # fmt: skip


def ip_command(namespace: Namespace) -> str:
    """ip(8) for a namespace."""
    return f"ip -n {namespace.name}" if namespace.name else "ip"


def filters_bridges(namespace: Namespace, *, is_ipv6: bool) -> bool:
    """Whether frames on Linux bridges pass iptables (`bridge-nf-call-iptables`); so where nothing tells."""
    name = "net.bridge.bridge-nf-call-ip6tables" if is_ipv6 else "net.bridge.bridge-nf-call-iptables"
    return not namespace.sysctls or namespace.sysctls.get(name, "0") == "1"


def plain(packet: IpPacket) -> IpPacket:
    """A packet as it is on the wire: what one kernel knew of it stays behind."""
    fresh = IpPacket(source="", destination="")
    return replace(
        packet, mark=0, source_mac="", in_interface="", out_interface="", physdev_in="", physdev_out="",
        tracked=fresh.tracked,
    )  # fmt: skip
