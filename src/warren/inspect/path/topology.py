"""What is plugged into what: bridges, patch pairs, veth pairs, tunnels, namespaces. Looked up, never walked."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from ipaddress import ip_interface

from warren.core.names import INTEGRATION_BRIDGE
from warren.inspect.path.pairs import End, veth_pairs
from warren.inspect.snapshot.model import HOST_NAMESPACE, Address, Bridge, BridgePort, Estate, Host, Link, Namespace


@dataclass(frozen=True, slots=True)
class Interface:
    """An interface of the kernel in one namespace of one host."""

    host: Host
    namespace: Namespace
    link: Link

    @property
    def where(self) -> str:
        return f"{self.link.name} in {self.namespace.name}" if self.namespace.name else self.link.name


@dataclass(frozen=True, slots=True)
class SwitchPort:
    """A port of an Open vSwitch bridge of one host."""

    host: Host
    bridge: Bridge
    port: BridgePort


def _prefix(address: Address) -> str:
    return str(ip_interface(f"{address.ip}/{address.prefix_length}").network)


def _is_physical(bridge: Bridge) -> bool:
    """A bridge that joins br-int to the wire."""
    return any(port.type == "patch" for port in bridge.ports) and not any(port.is_tunnel for port in bridge.ports)


@dataclass(frozen=True, kw_only=True)
class Topology:
    """The cables of an estate."""

    estate: Estate

    @cached_property
    def switch_ports(self) -> Mapping[tuple[str, str], SwitchPort]:
        """(host, interface) -> the bridge that has it."""
        return {
            (host.name, port.name): SwitchPort(host, bridge, port)
            for host in self.estate.hosts
            for bridge, port in host.ports()
        }

    @cached_property
    def _links(self) -> Mapping[tuple[str, str], Interface]:
        """(host, interface) -> the interface, inside a namespace before the host's own."""
        found: dict[tuple[str, str], Interface] = {}
        for host in self.estate.hosts:
            for namespace in sorted(host.namespaces, key=lambda ns: ns.name == HOST_NAMESPACE):
                for link in namespace.links:
                    found.setdefault((host.name, link.name), Interface(host, namespace, link))
        return found

    def interface_of(self, port: SwitchPort) -> Interface | None:
        """The kernel's interface of a switch port: an internal one may be in any namespace."""
        if port.port.type == "internal":
            return self._links.get((port.host.name, port.port.name))
        namespace = port.host.namespace(HOST_NAMESPACE)
        link = namespace.link(port.port.name) if namespace else None
        return Interface(port.host, namespace, link) if namespace and link else None

    def switch_port_of(self, interface: Interface) -> SwitchPort | None:
        """The switch port that an interface is, if it is one."""
        found = self.switch_ports.get((interface.host.name, interface.link.name))
        if found is None:
            return None
        same = self.interface_of(found)
        return found if same and same.namespace.name == interface.namespace.name else None

    def other_end(self, interface: Interface) -> Interface | None:
        """The other end of a veth pair, where both ends were captured."""
        link = interface.link
        if link.peer_name:
            other = interface.namespace.link(link.peer_name)
            is_pair = other is not None and link.name in (other.peer_name, "") and other.kind in ("veth", "")
            return Interface(interface.host, interface.namespace, other) if other and is_pair else None
        end = self._pairs[interface.host.name].get((interface.namespace.name, link.name))
        return Interface(interface.host, *end) if end else None

    @cached_property
    def _pairs(self) -> Mapping[str, Mapping[tuple[str, str], End]]:
        """Host -> its veth pairs between namespaces."""
        return {host.name: veth_pairs(host) for host in self.estate.hosts}

    @cached_property
    def outer_lan(self) -> tuple[Interface, ...]:
        """Interfaces on the LAN outside: NICs of bridges for physical networks, and hosts with an address on it.

        That they are on one LAN is inferred: the bridges are joined to br-int and have no tunnels, the addresses are
        in the prefix of some router's gateway.
        """
        prefixes = {
            _prefix(a)
            for host in self.estate.hosts
            for namespace in host.namespaces
            for link in namespace.links
            if link.name.startswith(("qg-", "fg-"))
            for a in link.addresses
            if a.prefix_length < 32 and ":" not in a.ip
        }
        found = []
        for host in self.estate.hosts:
            namespace = host.namespace(HOST_NAMESPACE)
            for link in namespace.links if namespace else ():
                port = self.switch_ports.get((host.name, link.name))
                is_nic = port is not None and _is_physical(port.bridge) and port.port.type in ("", "system")
                is_there = port is None and any(_prefix(a) in prefixes for a in link.addresses)
                if namespace and (is_there or (is_nic and port and not port.port.port_id)):
                    found.append(Interface(host, namespace, link))
        return tuple(found)

    def bridged_with(self, interface: Interface) -> tuple[Interface, ...]:
        """The other ports of the Linux bridge that an interface is a port of."""
        return tuple(
            Interface(interface.host, interface.namespace, link)
            for link in interface.namespace.links
            if link.master == interface.link.master and link.name != interface.link.name
        )

    def patched(self, port: SwitchPort) -> SwitchPort | None:
        """The other end of a patch pair, where both name each other."""
        other = self.switch_ports.get((port.host.name, port.port.patch_peer))
        return other if other and other.port.patch_peer == port.port.name else None

    def tunnelled(self, port: SwitchPort) -> SwitchPort | None:
        """The port that takes at the other host what this tunnel port sends."""
        local, remote = port.port.options.get("local_ip", ""), port.port.options.get("remote_ip", "")
        for host in self.estate.hosts:
            for bridge, other in host.ports():
                if (
                    other.type == port.port.type
                    and other.options.get("local_ip", "") == remote
                    and other.options.get("remote_ip", "") == local
                ):
                    return SwitchPort(host, bridge, other)
        return None

    def host_of_address(self, ip: str) -> Host | None:
        """The host that a tunnel's remote address is on."""
        for host in self.estate.hosts:
            namespace = host.namespace(HOST_NAMESPACE)
            if ip in host.vteps() or (namespace and namespace.holder_of(ip)):
                return host
        return None

    @cached_property
    def leases(self) -> Mapping[str, tuple[str, ...]]:
        """MAC address -> the addresses that DHCP servers give to it."""
        found: dict[str, dict[str, None]] = defaultdict(dict)
        for entry in (entry for host in self.estate.hosts for table in host.dhcp for entry in table.entries):
            if entry.mac and entry.ip:
                found[entry.mac][entry.ip] = None
        return {mac: tuple(ips) for mac, ips in found.items()}

    @cached_property
    def _macs(self) -> frozenset[tuple[str, str]]:
        return frozenset(
            (host.name, link.mac) for host in self.estate.hosts for ns in host.namespaces for link in ns.links
        )

    def has_mac(self, host: Host, mac: str) -> bool:
        """Whether any interface of a host has a MAC address."""
        return (host.name, mac) in self._macs

    def instance_ports(self) -> tuple[SwitchPort, ...]:
        """Ports of br-int that something plugged for a port of the API and that no agent's own namespace has."""
        return tuple(
            port
            for port in self.switch_ports.values()
            if port.bridge.name == INTEGRATION_BRIDGE and port.port.port_id and port.port.type != "internal"
        )
