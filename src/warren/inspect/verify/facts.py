"""What one host's capture says about networks, tunnels and addresses; and the same of all hosts together."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Final

from warren.core.names import DHCP_NAMESPACE_PREFIX, INTEGRATION_BRIDGE, ROUTER_NAMESPACE_PREFIX, TUNNEL_BRIDGE
from warren.inspect.filter.model import RuleSet
from warren.inspect.filter.read import read_rules
from warren.inspect.parse import fields as f
from warren.inspect.parse.problem import Problem
from warren.inspect.snapshot.model import (
    DEAD_VLAN,
    HOST_NAMESPACE,
    Bridge,
    BridgePort,
    Estate,
    Host,
    Namespace,
    Printout,
)
from warren.inspect.snapshot.names import Names
from warren.inspect.snapshot.text import Page
from warren.inspect.verify.tables import Tables, Unicast, goes_to, read_tables

Segment = tuple[str, int]
"""(tunnel type, segmentation id): VXLAN and GRE number apart."""


_TYPES_BY_NUMBER: Mapping[int | str, tuple[str, ...]] = {3: ("gre",), 4: ("vxlan",), 6: ("geneve",)}
"""Neutron's and Warren's numbering, for a host that has no tunnel yet."""
SERVICE_PREFIXES: Final = (ROUTER_NAMESPACE_PREFIX, DHCP_NAMESPACE_PREFIX, "snat-")
"""Names of namespaces that are an agent's alone begin so: routers, DHCP servers, a distributed router's SNAT."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tunnel:
    """A tunnel port of a host."""

    bridge: str
    port: BridgePort

    @property
    def remote(self) -> str:
        return self.port.options.get("remote_ip", "")

    @property
    def local(self) -> str:
        return self.port.options.get("local_ip", "")


@dataclass(kw_only=True)
class HostFacts:
    """One host: its bridges read, its VLANs and what they are."""

    host: Host
    names: Names
    tables: Mapping[str, Tables]
    vlan_networks: Mapping[int, Mapping[str, BridgePort]] = field(default_factory=dict)
    """VLAN -> network id -> a port of br-int that says so."""
    problems: list[Problem] = field(default_factory=list)
    """What of its packet filters could not be read."""
    filters: dict[str, RuleSet] = field(default_factory=dict)
    """File -> the packet filter in it, of routers and DHCP servers: several judges ask for them."""

    @property
    def name(self) -> str:
        return self.host.name

    @property
    def services(self) -> Iterator[Namespace]:
        """Its routers and DHCP servers, as far as they were captured."""
        return (ns for ns in self.host.namespaces if ns.name.startswith(SERVICE_PREFIXES) and ns.is_complete)

    def packet_filter(self, saved: Printout) -> RuleSet:
        """What iptables-save printed in the namespace of a router or DHCP server, read once."""
        if saved.file not in self.filters:
            self.filters[saved.file] = self.read_filter(saved)
        return self.filters[saved.file]

    def read_filter(self, saved: Printout) -> RuleSet:
        """What iptables-save printed, of whatever size, kept nowhere; what is not understood goes to `problems`."""
        page = Page(file=f"{self.name}/{saved.file}", text=saved.text)
        rules = read_rules(page)
        self.problems.extend(page.problems)
        return rules

    @cached_property
    def tunnels(self) -> tuple[Tunnel, ...]:
        return tuple(Tunnel(bridge=bridge.name, port=port) for bridge, port in self.host.ports() if port.is_tunnel)

    @cached_property
    def tunnel_bridges(self) -> tuple[Bridge, ...]:
        """Bridges that tunnel ports are on; br-tun also while it has none."""
        names = {tunnel.bridge for tunnel in self.tunnels} | {TUNNEL_BRIDGE}
        return tuple(bridge for bridge in self.host.bridges if bridge.name in names)

    @cached_property
    def addresses(self) -> frozenset[str]:
        """The addresses that its tunnels start from; without tunnels, all that the host has."""
        namespace = self.host.namespace(HOST_NAMESPACE)
        own = {a.ip for link in namespace.links for a in link.addresses if a.scope == "global"} if namespace else set()
        return self.host.vteps() or frozenset(own)

    @cached_property
    def segments(self) -> Mapping[Segment, int]:
        """Segment -> local VLAN, from the flows that let networks in."""
        found: dict[Segment, int] = {}
        for bridge in self.tunnel_bridges:
            tables = self.tables[bridge.name]
            types = types_of_tables(bridge, tables)
            for inbound in tables.inbound:
                table = inbound.rule.flow.table
                for kind in sorted(types.get(table) or _TYPES_BY_NUMBER.get(table, ())):
                    found[kind, inbound.segmentation_id] = inbound.vlan
        return found

    @cached_property
    def macs(self) -> Mapping[str, frozenset[int]]:
        """MAC addresses that are on this host -> local VLANs (0 where the port has no tag)."""
        found: dict[str, set[int]] = {}
        interfaces = {link.name: link for ns in self.host.namespaces for link in ns.links}
        for bridge, port in self.host.ports():
            if bridge.name == INTEGRATION_BRIDGE and port.type != "patch":
                mac = port.attached_mac
                link = interfaces.get(port.name) if port.type == "internal" else None
                for address in filter(None, (mac, link.mac if link else "")):
                    found.setdefault(address, set()).add(port.tag or 0)
        return {mac: frozenset(vlans) for mac, vlans in found.items()}

    def without_rules(self) -> "HostFacts":
        """The same with only those flows whose shape is known: what is compared between hosts."""
        tables = {name: replace(found, rules=(), by_table={}) for name, found in self.tables.items()}
        facts = HostFacts(
            host=self.host, names=self.names, tables=tables, vlan_networks=self.vlan_networks, filters=self.filters
        )
        facts.__dict__["segments"] = self.segments  # a cached property, computed while its flows are there
        return facts

    def network_of(self, vlan: int) -> str | None:
        networks = self.vlan_networks.get(vlan, {})
        return next(iter(networks)) if len(networks) == 1 else None


def types_of_tables(bridge: Bridge, tables: Tables) -> Mapping[int | str, frozenset[str]]:
    """Table -> types of the tunnels whose frames come there: from the flows that match a tunnel port in `in_port`."""
    found: dict[int | str, set[str]] = {}
    ports = bridge.by_ofport()
    for rule in tables.by_table.get(0, ()):
        port = ports.get(rule.match.exact(f.IN_PORT) or -1)
        if port and port.is_tunnel:
            for table in goes_to(rule.actions, 0):
                found.setdefault(table, set()).add(port.type)
    return {table: frozenset(kinds) for table, kinds in found.items()}


def host_facts(host: Host, names: Names) -> HostFacts:
    """Read one host's bridges."""
    integration = host.bridge(INTEGRATION_BRIDGE)
    networks: dict[int, dict[str, BridgePort]] = {}
    if integration:
        for port in integration.ports:
            network = port.network(names)
            if network and port.tag and port.tag != DEAD_VLAN:
                networks.setdefault(port.tag, {})[network] = port
    tables = {bridge.name: read_tables(bridge) for bridge in host.bridges}
    return HostFacts(host=host, names=names, tables=tables, vlan_networks=networks)


@dataclass(kw_only=True)
class EstateFacts:
    """All hosts together."""

    estate: Estate
    hosts: tuple[HostFacts, ...]

    @cached_property
    def by_address(self) -> Mapping[str, HostFacts]:
        """Tunnel end -> host."""
        return {address: facts for facts in self.hosts for address in facts.addresses}

    @cached_property
    def network_of_segment(self) -> Mapping[Segment, frozenset[str]]:
        """Segment -> ids of the networks that hosts or the API say it is."""
        found: dict[Segment, set[str]] = {}
        for facts in self.hosts:
            for segment, vlan in facts.segments.items():
                for network in facts.vlan_networks.get(vlan, {}):
                    found.setdefault(segment, set()).add(network)
        return {segment: frozenset(networks) for segment, networks in found.items()}

    @cached_property
    def holders(self) -> Mapping[str, tuple[HostFacts, ...]]:
        """MAC address -> the hosts that it is on."""
        found: dict[str, list[HostFacts]] = {}
        for facts in self.hosts:
            for mac in facts.macs:
                found.setdefault(mac, []).append(facts)
        return {mac: tuple(hosts) for mac, hosts in found.items()}

    @cached_property
    def knows_ahead(self) -> bool:
        """Whether the hosts are told where addresses are (l2population): unicast entries that no frame taught."""
        return any(not u.is_learned for _, _, u in self.unicasts())

    def unicasts(self) -> Iterator[tuple[HostFacts, Bridge, Unicast]]:
        for facts in self.hosts:
            for bridge in facts.tunnel_bridges:
                for unicast in facts.tables[bridge.name].unicasts:
                    yield facts, bridge, unicast

    def called(self, segment: Segment) -> str:
        """A segment's network by name."""
        networks = sorted(self.network_of_segment.get(segment, ()))
        if len(networks) == 1:
            return f"network {self.estate.names.network(networks[0])}"
        return f"{segment[0]} {segment[1]}"
