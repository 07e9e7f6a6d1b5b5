"""Against the API: what nobody asked for, and what was asked for and is missing."""

from collections.abc import Iterator, Mapping
from typing import TypeAlias

from warren.core.names import DHCP_NAMESPACE_PREFIX, INTEGRATION_BRIDGE, ROUTER_NAMESPACE_PREFIX
from warren.inspect.filter.evaluate import Outcome, walk
from warren.inspect.filter.match import Known
from warren.inspect.filter.model import RuleSet
from warren.inspect.filter.packet import IpPacket, Tracked
from warren.inspect.filter.source_nat import source_nat_rule
from warren.inspect.snapshot.model import Namespace
from warren.inspect.snapshot.names import NamedFloatingIp
from warren.inspect.snapshot.text import neighbour_of
from warren.inspect.verify.facts import EstateFacts, HostFacts
from warren.inspect.verify.finding import Finding, Severity


def asked_findings(estate: EstateFacts) -> Iterator[Finding]:
    """Nothing where the API was not asked."""
    if not estate.estate.names.is_known:
        return
    for facts in estate.hosts:
        yield from _ports_nobody_asked_for(facts)
        yield from _namespaces_nobody_asked_for(facts)
        yield from _segments_nobody_asked_for(facts)
        yield from _source_nat(facts)
    yield from _missing_ports(estate)
    yield from _missing_routers(estate)
    yield from _floating_ips(estate)


def _ports_nobody_asked_for(facts: HostFacts) -> Iterator[Finding]:
    bridge = facts.host.bridge(INTEGRATION_BRIDGE)
    for port in bridge.ports if bridge else ():
        if port.port_id and port.port_id not in facts.names.ports:
            yield Finding(
                kind="unknown-port",
                severity=Severity.UNTIDY,
                host=facts.name,
                object=f"port {port.port_id}",
                what=f"{port.name} is plugged for a port that the API does not have",
                mend=f"ovs-vsctl del-port {INTEGRATION_BRIDGE} {port.name}, once nothing uses it",
                evidence=(f"{port.name}: tag={port.tag} external_ids={dict(port.external_ids)}",),
            )


def _namespaces_nobody_asked_for(facts: HostFacts) -> Iterator[Finding]:
    for namespace in facts.host.namespaces:
        for prefix, known in (
            (ROUTER_NAMESPACE_PREFIX, facts.names.routers),
            (DHCP_NAMESPACE_PREFIX, facts.names.networks),
        ):
            found = namespace.name.removeprefix(prefix)
            if namespace.name.startswith(prefix) and found not in known:
                yield Finding(
                    kind="unknown-namespace",
                    severity=Severity.UNTIDY,
                    host=facts.name,
                    object=f"namespace {namespace.name}",
                    what="it belongs to nothing that the API has",
                    mend=f"ip netns delete {namespace.name}, once its processes are stopped",
                )


def _segments_nobody_asked_for(facts: HostFacts) -> Iterator[Finding]:
    asked = {(n.network_type, n.segmentation_id) for n in facts.names.networks.values()}
    for kind, number in facts.segments:
        if (kind, number) not in asked:
            yield Finding(
                kind="unknown-segment",
                severity=Severity.UNTIDY,
                host=facts.name,
                object=f"{kind} {number}",
                what=f"{kind} {number} is let in as local VLAN {facts.segments[kind, number]}, but no network has it",
                mend="remove its flows",
            )


def _missing_ports(estate: EstateFacts) -> Iterator[Finding]:
    plugged = {port.port_id for facts in estate.hosts for _, port in facts.host.ports() if port.port_id}
    for port in estate.estate.names.ports.values():
        facts = next((facts for facts in estate.hosts if facts.name == port.host), None)
        if (
            facts
            and port.status == "ACTIVE"
            and port.id not in plugged
            and not port.device_owner.startswith("network:f")
        ):
            yield Finding(
                kind="missing-port",
                severity=Severity.OUTAGE,
                host=facts.name,
                object=f"port {estate.estate.names.port(port.id)}",
                what="the API says that it is ACTIVE here, but no interface of br-int is plugged for it",
                mend="plug it (external_ids:iface-id is the port's id), or have its agent do it",
            )


def _missing_routers(estate: EstateFacts) -> Iterator[Finding]:
    here = {ns.name for facts in estate.hosts for ns in facts.host.namespaces}
    hosts = {facts.name for facts in estate.hosts}
    for port in estate.estate.names.ports.values():
        wanted = {
            "network:dhcp": f"{DHCP_NAMESPACE_PREFIX}{port.network_id}",
            "network:router_interface": f"{ROUTER_NAMESPACE_PREFIX}{port.device_id}",
            "network:router_gateway": f"{ROUTER_NAMESPACE_PREFIX}{port.device_id}",
        }.get(port.device_owner)
        if wanted and wanted not in here and port.host in hosts and port.status == "ACTIVE":
            yield Finding(
                kind="missing-namespace",
                severity=Severity.OUTAGE,
                host=port.host,
                object=f"namespace {wanted}",
                what="the API says that it is on this host, but it is not there",
                mend="restart the agent that makes it",
            )


def _source_nat(facts: HostFacts) -> Iterator[Finding]:
    """Routers that the API has translate what goes out, asked about a packet from inside."""
    for namespace in facts.services:
        router = facts.names.routers.get(namespace.name.removeprefix(ROUTER_NAMESPACE_PREFIX).removeprefix("snat-"))
        if not (router and router.has_source_nat and namespace.iptables):
            continue
        gateway, outside = next(_addresses(namespace, "qg-"), ("", ""))
        _, inside = next(_addresses(namespace, "qr-", "sg-"), ("", "")) if outside else ("", "")
        if not inside:
            continue
        neighbour = neighbour_of(inside)
        packet = IpPacket(source=neighbour, destination=outside, out_interface=gateway, tracked=Tracked(state="NEW"))
        chains = facts.packet_filter(namespace.iptables).tables.get("nat", {})
        walked = walk("nat", chains, "POSTROUTING", packet, Known())
        if walked.outcome is Outcome.ACCEPT and walked.translation is None:
            yield Finding(
                kind="source-not-translated",
                severity=Severity.OUTAGE,
                host=facts.name,
                object=namespace.name,
                what=f"no rule gives what leaves by {gateway} the address {outside}: instances without a floating IP "
                "reach outside, and no answer comes back",
                mend=source_nat_rule(namespace.name, chains, gateway, outside),
                evidence=(f"iptables of {namespace.name}, table nat",),
            )


def _addresses(namespace: Namespace, *prefixes: str) -> Iterator[tuple[str, str]]:
    """(interface, IPv4 address of its network), of interfaces whose name begins so."""
    for link in namespace.links:
        for address in link.addresses:
            if link.name.startswith(prefixes) and ":" not in address.ip and address.prefix_length < 32:
                yield link.name, address.ip


_Routers: TypeAlias = Mapping[str, list[tuple[HostFacts, Namespace, Mapping[str, str]]]]
"""Namespace -> the hosts that have it (several, where a router is highly available) and what each translates."""


def _floating_ips(estate: EstateFacts) -> Iterator[Finding]:
    """Translations of routers against the API's floating IPs."""
    routers: dict[str, list[tuple[HostFacts, Namespace, Mapping[str, str]]]] = {}
    for facts in estate.hosts:
        for ns in facts.host.namespaces:
            if ns.name.startswith(ROUTER_NAMESPACE_PREFIX) and ns.iptables:
                translated = _translations(facts.packet_filter(ns.iptables))
                routers.setdefault(ns.name, []).append((facts, ns, translated))
    asked: set[tuple[str, str]] = set()
    for floating in estate.estate.names.floating_ips.values():
        name = f"{ROUTER_NAMESPACE_PREFIX}{floating.router_id}"
        asked.add((name, floating.address))
        if floating.router_id and name in routers:
            yield from _floating_ip(routers, name, floating)
    yield from _nobody_asked(routers, asked)


def _floating_ip(routers: _Routers, name: str, floating: NamedFloatingIp) -> Iterator[Finding]:
    there = routers[name]
    facts, _, translated = next((each for each in there if floating.address in each[2]), there[0])
    to = translated.get(floating.address)
    if to != floating.fixed_address:
        yield Finding(
            kind="floating-ip-not-translated",
            severity=Severity.OUTAGE,
            host=facts.name,
            object=f"floating IP {floating.address}",
            what=f"it stands for {floating.fixed_address}, but "
            + (f"is translated to {to}" if to else "no DNAT rule translates it"),
            mend=f"ip netns exec {name} iptables -t nat -A PREROUTING -d {floating.address}/32 -j DNAT "
            f"--to-destination {floating.fixed_address}",
            evidence=(f"iptables of {name}, table nat",),
        )
    # A distributed router's host has no qg-; its floating IPs are held elsewhere.
    gateways = [link for _, ns, _ in there for link in ns.links if link.name.startswith("qg-")]
    if gateways and not any(ns.holder_of(floating.address) for _, ns, _ in there):
        yield Finding(
            kind="floating-ip-not-held",
            severity=Severity.OUTAGE,
            host=facts.name,
            object=f"floating IP {floating.address}",
            what="no interface of its router has it, so nobody answers ARP for it outside",
            mend=f"ip -n {name} addr add {floating.address}/32 dev {gateways[0].name}",
        )


def _nobody_asked(routers: _Routers, asked: set[tuple[str, str]]) -> Iterator[Finding]:
    for name, there in routers.items():
        for facts, _, translated in there:
            for address, fixed in translated.items():
                if (name, address) not in asked:
                    yield Finding(
                        kind="unknown-translation",
                        severity=Severity.RISK,
                        host=facts.name,
                        object=f"address {address} in {name}",
                        what=f"{address} is translated to {fixed}, but no floating IP asks for it",
                        mend="remove the DNAT and SNAT rules, or have the agent do it",
                    )


def _translations(rules: RuleSet) -> dict[str, str]:
    """Destination -> new destination, from the DNAT rules for one address each that PREROUTING leads to."""
    chains = rules.tables.get("nat", {})
    reached = ["PREROUTING"]
    found: dict[str, str] = {}
    for name in reached:
        for rule in chains[name].rules if name in chains else ():
            if rule.target in chains and rule.target not in reached:
                reached.append(rule.target)
            to = next((o.values[0] for o in rule.target_options if o.name == "--to-destination" and o.values), "")
            destination = next(
                (o.values[0] for o in rule.matches if o.name == "-d" and o.values and not o.inverted), ""
            )
            if rule.target == "DNAT" and to and destination:
                found.setdefault(destination.removesuffix("/32"), to)
    return found
