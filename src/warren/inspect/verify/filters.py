"""Packet filters that take away what no policy asked for: in routers and DHCP servers, before instances and tunnels.

The namespace of a router or DHCP server is its agent's alone, and Neutron's and Warren's agents put nothing into a
built-in chain but jumps to chains of their own. A host's filter belongs to others as well: there packets are asked
for, and what every security group lets pass must come through.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from warren.core.names import INTEGRATION_BRIDGE
from warren.inspect.filter.evaluate import Outcome, RuleHit, walk
from warren.inspect.filter.hooks import Netfilter, Passage
from warren.inspect.filter.match import Known
from warren.inspect.filter.model import AddressSet, Chain, Rule, RuleSet
from warren.inspect.filter.packet import ICMP, PROTOCOLS, TCP, IpPacket, Tracked
from warren.inspect.filter.read import read_sets
from warren.inspect.filter.underlay import arriving, kept_out, let_in
from warren.inspect.snapshot.model import HOST_NAMESPACE, BridgePort, Namespace
from warren.inspect.snapshot.names import Names
from warren.inspect.snapshot.text import Page, neighbour_of
from warren.inspect.verify.facts import HostFacts
from warren.inspect.verify.finding import Finding, Severity

_DROPPING: Final = frozenset({"DROP", "REJECT"})
_WATCHING: Final = frozenset({"LOG", "NFLOG", "TRACE"})
_BRIDGED: Final = (("raw", "PREROUTING"), ("mangle", "PREROUTING"), ("mangle", "FORWARD"), ("filter", "FORWARD"))
"""Where a frame that crosses a Linux bridge can be dropped, in order (br_netfilter)."""
_UDP: Final = PROTOCOLS["udp"]
_NO_ADDRESS: Final = "0.0.0.0"  # noqa: S104 - a packet's source, nothing listens there
_DISCOVER: Final = IpPacket(
    source=_NO_ADDRESS,
    destination="255.255.255.255",
    protocol=_UDP,
    source_port=68,
    destination_port=67,
    tracked=Tracked(state="NEW"),
)
_ESTABLISHED: Final = Tracked(state="ESTABLISHED", is_reply=True)
_IS_FILTERED: Final = "net.bridge.bridge-nf-call-iptables"
_DEVICES: Final = frozenset({"-i", "-o", "--physdev-in", "--physdev-out"})


def filter_findings(facts: HostFacts) -> Iterator[Finding]:
    """Of one host."""
    for namespace in facts.services:
        for command, saved in (("iptables", namespace.iptables), ("ip6tables", namespace.ip6tables)):
            if saved is not None:
                yield from _service(facts, namespace, command, facts.packet_filter(saved))
    own = facts.host.namespace(HOST_NAMESPACE)
    if own and own.iptables:
        rules = _filter(facts.read_filter(own.iptables))
        yield from _before_instances(facts, own, rules)
        yield from _before_tunnels(facts, own, rules)
    if own and own.ip6tables and any(":" in tunnel.local for tunnel in facts.tunnels):
        yield from _before_tunnels(facts, own, _filter(facts.read_filter(own.ip6tables)), is_ipv6=True)


def _sets(namespace: Namespace) -> Mapping[str, AddressSet]:
    return read_sets(Page(file=namespace.sets.file, text=namespace.sets.text)) if namespace.sets else {}


def _service(facts: HostFacts, namespace: Namespace, command: str, rules: RuleSet) -> Iterator[Finding]:
    mend = f"ip netns exec {namespace.name} {command}"
    for table, chains in rules.tables.items():
        for chain in filter(lambda chain: chain.policy, chains.values()):
            where = f"{command} of {namespace.name}, table {table}"
            if chain.policy in _DROPPING:
                yield Finding(
                    kind="closed-chain", severity=Severity.OUTAGE, host=facts.name,
                    object=f"{chain.name} in {namespace.name}",
                    what=f"the policy of its chain {chain.name} is {chain.policy}: what no rule accepts is dropped",
                    mend=f"{mend} -t {table} -P {chain.name} ACCEPT",
                    evidence=(f"{where}: :{chain.name} {chain.policy}",),
                )  # fmt: skip
            for rule in chain.rules:
                if rule.target and rule.target not in chains:
                    yield Finding(
                        kind="unasked-filter-rule", severity=_severity(rule), host=facts.name,
                        object=f"{chain.name} in {namespace.name}",
                        what="a rule that nobody asked for: its agent has none but in chains of its own",
                        mend=f"{mend} -t {table} -D {rule.text.removeprefix('-A ')}",
                        evidence=(f"{where}: {rule.text}",),
                    )  # fmt: skip


def _severity(rule: Rule) -> Severity:
    if rule.target in _DROPPING:
        return Severity.OUTAGE
    return Severity.UNTIDY if rule.target in _WATCHING else Severity.RISK


# Between an instance and br-int, where the plug is hybrid.


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plug:
    """The Linux bridge between an instance and br-int."""

    port: BridgePort
    bridge: str
    tap: str
    veth: str


def _before_instances(facts: HostFacts, namespace: Namespace, rules: "_Filter") -> Iterator[Finding]:
    """Packets that every security group lets pass, and the rules of the host that drop them."""
    if namespace.sysctls.get(_IS_FILTERED) == "0":
        return
    known = Known(sets=_sets(namespace))
    dropped: dict[RuleHit, list[str]] = {}
    for plug in _plugs(facts, namespace):
        tables = rules.about(frozenset({plug.bridge, plug.tap, plug.veth}))
        called = f"port {facts.names.port(plug.port.port_id or plug.port.name)}"
        for probe, leaving_by in _probes(plug, facts.names):
            if hit := _drop(tables, probe, leaving_by, known):
                dropped.setdefault(hit, []).append(called)
    for hit, ports in dropped.items():
        yield _cut_off(facts, hit, list(dict.fromkeys(ports)))


def _plugs(facts: HostFacts, namespace: Namespace) -> Iterator[_Plug]:
    bridge = facts.host.bridge(INTEGRATION_BRIDGE)
    links = {link.name for link in namespace.links}
    for port in bridge.ports if bridge else ():
        own = port.name.removeprefix("qvo")
        if port.name.startswith("qvo") and {f"qbr{own}", f"tap{own}"} <= links:
            yield _Plug(port=port, bridge=f"qbr{own}", tap=f"tap{own}", veth=f"qvb{own}")


_Tables: TypeAlias = Mapping[str, Mapping[str, Chain]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Filter:
    """A host's rules, and which interfaces they ask for: with many ports nearly all are for another port."""

    tables: _Tables
    asked: Mapping[tuple[str, str], tuple[frozenset[str], ...]]
    """(table, chain) -> for each of its rules, the interfaces that it asks for; chains where some rule does."""

    def about(self, devices: frozenset[str]) -> _Tables:
        """The tables without those rules that are for other interfaces."""
        return {
            table: {
                **chains,
                **{name: self._about(table, chains[name], devices) for name in chains if (table, name) in self.asked},
            }
            for table, chains in self.tables.items()
        }

    def _about(self, table: str, chain: Chain, devices: frozenset[str]) -> Chain:
        rules = zip(chain.rules, self.asked[table, chain.name], strict=True)
        return replace(chain, rules=tuple(rule for rule, asked in rules if asked <= devices))


def _filter(rules: RuleSet) -> _Filter:
    asked = {
        (table, name): tuple(map(_devices, chain.rules))
        for table, chains in rules.tables.items()
        for name, chain in chains.items()
    }
    return _Filter(tables=rules.tables, asked={key: devices for key, devices in asked.items() if any(devices)})


def _devices(rule: Rule) -> frozenset[str]:
    """The interfaces that a rule asks for by their whole names."""
    asked = (option for option in rule.matches if option.name in _DEVICES and not option.inverted)
    return frozenset(value for option in asked for value in option.values if not value.endswith("+"))


def _probes(plug: _Plug, names: Names) -> Iterator[tuple[IpPacket, str]]:
    """Packets that every group lets pass, with the port that they leave by.

    A DHCP client's question; and, both ways, packets of connections that exist, where the API tells the port's address.
    """
    mac, bridge = plug.port.attached_mac, plug.bridge
    yield replace(_DISCOVER, source_mac=mac, in_interface=bridge, physdev_in=plug.tap), plug.veth
    named = names.ports.get(plug.port.port_id)
    own = next((ip for ip in named.ips if ":" not in ip), "") if named else ""
    if own:
        other = neighbour_of(own)
        for protocol in (TCP, _UDP, ICMP):
            packet = IpPacket(
                source=own, destination=other, protocol=protocol, icmp_type=0, tracked=_ESTABLISHED, in_interface=bridge
            )
            yield replace(packet, source_mac=mac, physdev_in=plug.tap), plug.veth
            yield replace(packet, source=other, destination=own, physdev_in=plug.veth), plug.tap


def _drop(tables: Mapping[str, Mapping[str, Chain]], packet: IpPacket, leaving_by: str, known: Known) -> RuleHit | None:
    """The rule or policy that drops a bridged packet; `None` where none does, or nobody can tell."""
    for table, chain in _BRIDGED:
        if chain != "PREROUTING":
            packet = replace(packet, out_interface=packet.in_interface, physdev_out=leaving_by)
        walked = walk(table, tables.get(table, {}), chain, packet, known)
        if walked.outcome is not Outcome.ACCEPT:
            return None if walked.outcome is Outcome.NOT_MODELLED else walked.hits[-1]
        packet = walked.packet
    return None


def _cut_off(facts: HostFacts, hit: RuleHit, ports: list[str]) -> Finding:
    is_policy = hit.rule.startswith(":")
    command = f"iptables -t {hit.table}"
    return Finding(
        kind="ports-cut-off",
        severity=Severity.OUTAGE,
        host=facts.name,
        object=ports[0] if len(ports) == 1 else f"{len(ports)} ports",
        what=f"{'the policy' if is_policy else 'a rule'} of the host's chain {hit.chain} drops packets that every "
        "security group lets pass",
        mend=f"{command} -P {hit.chain} ACCEPT" if is_policy else f"{command} -D {hit.rule.removeprefix('-A ')}",
        evidence=(f"iptables, table {hit.table}: {hit.rule}", *ports),
    )


# Between the underlay and a tunnel's port.


def _before_tunnels(
    facts: HostFacts, namespace: Namespace, rules: _Filter, *, is_ipv6: bool = False
) -> Iterator[Finding]:
    """Tunnels whose other ends' packets the host's own rules drop."""
    known = Known(sets=_sets(namespace), addresses=frozenset(a.ip for link in namespace.links for a in link.addresses))
    filters: dict[str, Netfilter] = {}
    dropped: dict[str, list[tuple[str, Passage]]] = {}
    for bridge, port in facts.host.ports():
        packet = arriving(port, namespace) if port.is_tunnel else None
        if packet is None or packet.is_ipv6 is not is_ipv6:
            continue
        device = packet.in_interface
        if device not in filters:
            filters[device] = Netfilter(rules=RuleSet(tables=rules.about(frozenset({device}))), known=known)
        if passage := kept_out(filters[device], bridge, packet):
            dropped.setdefault(let_in(passage), []).append((port.name, passage))
    for mend, tunnels in dropped.items():
        hit = tunnels[0][1].hits[-1]
        names = [name for name, _ in tunnels]
        yield Finding(
            kind="tunnels-cut-off",
            severity=Severity.OUTAGE,
            host=facts.name,
            object=f"tunnel {names[0]}" if len(names) == 1 else f"{len(names)} tunnels",
            what=f"{'the policy' if hit.rule.startswith(':') else 'a rule'} of the host's chain {hit.chain} drops what "
            f"the other end sends: {tunnels[0][1].packet}",
            mend=mend,
            evidence=(f"table {hit.table}: {hit.rule}", *names),
        )
