"""Between hosts: do tunnels go both ways, do both ends call a network alike, does a flood reach all who need it."""

from collections.abc import Iterator

from warren.inspect.parse import fields as f
from warren.inspect.snapshot.model import HOST_NAMESPACE, Bridge, BridgePort
from warren.inspect.verify.facts import EstateFacts, HostFacts, Segment, Tunnel
from warren.inspect.verify.finding import Finding, Severity
from warren.inspect.verify.tables import Flood


def tunnel_findings(estate: EstateFacts) -> Iterator[Finding]:
    """Of all hosts."""
    for facts in estate.hosts:
        for tunnel in facts.tunnels:
            yield from _tunnel(facts, tunnel, estate)
        yield from _floods(facts, estate)
        yield from _not_let_in(facts)
    yield from _unlike_segments(estate)
    yield from _missing_tunnels(estate)


def deaf_tunnels(facts: HostFacts) -> Iterator[Finding]:
    """Tunnel ports whose frames the first table drops. Of one host."""
    for bridge in facts.tunnel_bridges:
        first = facts.tables[bridge.name].by_table.get(0, ())
        heard = {rule.match.exact(f.IN_PORT) for rule in first if rule.actions}
        any_port = any(rule.actions and rule.match.get(f.IN_PORT) is None for rule in first)
        for port in bridge.ports:
            if port.is_tunnel and first and port.ofport not in heard and not any_port:
                yield Finding(
                    kind="deaf-tunnel",
                    severity=Severity.OUTAGE,
                    host=facts.name,
                    object=f"tunnel {port.name}",
                    what=f"{bridge.name} takes no frame from {port.name}: all that {_remote(port)} sends is lost",
                    mend=f"add table=0,priority=1,in_port={port.ofport} actions=resubmit to {port.type}'s table",
                    evidence=(f"{bridge.name}: {first[-1]}",),
                )


def _remote(port: BridgePort) -> str:
    return port.options.get("remote_ip", "its peer")


def _tunnel(facts: HostFacts, tunnel: Tunnel, estate: EstateFacts) -> Iterator[Finding]:
    name = f"tunnel {tunnel.port.name}"
    shown = f"{tunnel.port.name}: type={tunnel.port.type} options={dict(tunnel.port.options)}"
    if tunnel.port.error or (tunnel.port.ofport or 0) < 0:
        yield Finding(
            kind="broken-tunnel-port", severity=Severity.OUTAGE, host=facts.name, object=name,
            what=f"Open vSwitch could not make it: {tunnel.port.error or 'it has no OpenFlow port'}",
            mend="look at its options; two tunnels with the same ends and key cannot be", evidence=(shown,),
        )  # fmt: skip
    namespace = facts.host.namespace(HOST_NAMESPACE)
    if tunnel.local and namespace and namespace.is_complete and namespace.holder_of(tunnel.local) is None:
        yield Finding(
            kind="tunnel-address-missing", severity=Severity.OUTAGE, host=facts.name, object=name,
            what=f"it starts from {tunnel.local}, which no interface of this host has",
            mend=f"give {tunnel.local} to the underlay's interface, or mend the agent's local_ip", evidence=(shown,),
        )  # fmt: skip
    peer = estate.by_address.get(tunnel.remote)
    if peer and peer is not facts:
        yield from _both_ends(facts, tunnel, peer)


def _both_ends(facts: HostFacts, tunnel: Tunnel, peer: HostFacts) -> Iterator[Finding]:
    back = [t for t in peer.tunnels if t.remote == tunnel.local]
    same = [t for t in back if t.port.type == tunnel.port.type]
    shown = f"{facts.name} {tunnel.port.name}: {tunnel.port.type} {tunnel.local} -> {tunnel.remote}"
    if not same:
        types = ", ".join(sorted({t.port.type for t in back}))
        yield Finding(
            kind="tunnel-type-mismatch" if back else "one-way-tunnel",
            severity=Severity.OUTAGE,
            host=peer.name,
            object=f"tunnel {peer.name} -> {facts.name}",
            what=f"{facts.name} sends {tunnel.port.type} to {peer.name}, which has "
            + (f"only {types} back" if back else "no tunnel back")
            + ": what comes is dropped and nothing is answered",
            mend=f"make a {tunnel.port.type} port to {tunnel.local} on {peer.name}'s br-tun",
            evidence=(shown, *(f"{peer.name} {t.port.name}: {t.port.type} {t.local} -> {t.remote}" for t in back)),
        )
    for other in same:
        mine, theirs = tunnel.port.tunnel_udp_port, other.port.tunnel_udp_port
        if mine != theirs and facts.name < peer.name:
            yield Finding(
                kind="tunnel-port-mismatch", severity=Severity.OUTAGE, host=facts.name,
                object=f"tunnel {facts.name} -> {peer.name}",
                what=f"{facts.name} uses UDP port {mine}, {peer.name} {theirs}: neither hears the other",
                mend="one dst_port on both hosts", evidence=(shown,),
            )  # fmt: skip
        sent, taken = tunnel.port.tunnel_key("out_key"), other.port.tunnel_key("in_key")
        if sent != taken:
            yield Finding(
                kind="tunnel-key-mismatch", severity=Severity.OUTAGE, host=facts.name,
                object=f"tunnel {facts.name} -> {peer.name}",
                what=f"{facts.name}'s end sends {_key(sent)}, {peer.name}'s takes {_key(taken)}",
                mend="in_key=flow and out_key=flow on both hosts",
                evidence=tuple(f"{t.port.name}: options={dict(t.port.options)}" for t in (tunnel, other)),
            )  # fmt: skip


def _key(key: int | None) -> str:
    return "what key flows say" if key is None else f"key {key} only"


def _unlike_segments(estate: EstateFacts) -> Iterator[Finding]:
    """One network, two segments on two hosts: they do not hear each other."""
    found: dict[str, dict[Segment, list[HostFacts]]] = {}
    for facts in estate.hosts:
        for segment, vlan in facts.segments.items():
            network = facts.network_of(vlan)
            if network:
                found.setdefault(network, {}).setdefault(segment, []).append(facts)
    for network, segments in found.items():
        if len(segments) > 1:
            rarest = min(segments, key=lambda segment: (len(segments[segment]), segment))
            others = sorted(segment for segment in segments if segment != rarest)
            said = " and ".join(f"{kind} {number}" for kind, number in others)
            for facts in segments[rarest]:
                yield Finding(
                    kind="segment-mismatch",
                    severity=Severity.LEAK if len(estate.network_of_segment.get(rarest, ())) > 1 else Severity.OUTAGE,
                    host=facts.name,
                    object=f"network {estate.estate.names.network(network)}",
                    what=f"here it is {rarest[0]} {rarest[1]}, on other hosts {said}",
                    mend=f"its flows on {facts.name} must have the segmentation id of the other hosts",
                    evidence=tuple(f"{h.name}: {s[0]} {s[1]}" for s, hosts in sorted(segments.items()) for h in hosts),
                )


def _missing_tunnels(estate: EstateFacts) -> Iterator[Finding]:
    """Two hosts of one network without any tunnel between them."""
    members: dict[Segment, list[HostFacts]] = {}
    for facts in estate.hosts:
        for segment in facts.segments:
            members.setdefault(segment, []).append(facts)
    seen: set[tuple[str, str, str]] = set()
    for segment, hosts in members.items():
        for facts in hosts:
            remotes = {t.remote for t in facts.tunnels if t.port.type == segment[0]}
            for peer in hosts:
                key = (facts.name, peer.name, segment[0])
                if peer is facts or key in seen or not peer.addresses or remotes & peer.addresses:
                    continue
                seen.add(key)
                yield Finding(
                    kind="missing-tunnel",
                    severity=Severity.OUTAGE,
                    host=facts.name,
                    object=f"tunnel {facts.name} -> {peer.name}",
                    what=f"both have {estate.called(segment)}, but there is no {segment[0]} tunnel to {peer.name}",
                    mend=f"make a {segment[0]} port to {min(peer.addresses)} on {facts.name}'s br-tun",
                )


def _not_let_in(facts: HostFacts) -> Iterator[Finding]:
    """Networks whose frames leave for the tunnels, or whose ports are here, and that no tunnel id leads to."""
    numbers = {number for _, number in facts.segments}
    wanted: dict[tuple[int, int], str] = {}
    for bridge in facts.tunnel_bridges:
        for flood in facts.tables[bridge.name].floods:
            wanted.setdefault((flood.vlan, flood.segmentation_id or 0), f"{bridge.name}: {flood.rule}")
    for vlan, networks in facts.vlan_networks.items():
        for port in networks.values():
            text = port.other_config.get("segmentation_id", "")
            if port.other_config.get("network_type") in ("vxlan", "gre", "geneve") and text.isdecimal():
                wanted.setdefault((vlan, int(text)), f"{port.name}: other_config={dict(port.other_config)}")
    for (vlan, number), evidence in wanted.items():
        if vlan not in facts.segments.values() and number not in numbers and facts.tunnel_bridges:
            network = facts.network_of(vlan)
            yield Finding(
                kind="network-not-let-in",
                severity=Severity.OUTAGE,
                host=facts.name,
                object=f"network {facts.names.network(network)}" if network else f"VLAN {vlan}",
                what=f"no flow takes tunnel id {number:#x} as local VLAN {vlan}: what other hosts send is dropped",
                mend=f"tun_id={number:#x} must set VLAN {vlan} in its tunnel type's table",
                evidence=(evidence,),
            )


def _floods(facts: HostFacts, estate: EstateFacts) -> Iterator[Finding]:
    for bridge in facts.tunnel_bridges:
        floods = {flood.vlan: flood for flood in facts.tables[bridge.name].floods}
        for segment, vlan in facts.segments.items():
            others = [peer for peer in estate.hosts if peer is not facts and segment in peer.segments]
            flood = floods.get(vlan)
            reached = frozenset() if flood is None else flood.ofports
            yield from _too_few(facts, bridge, segment, others, reached, estate)
            if flood and estate.knows_ahead:
                yield from _too_many(facts, bridge, segment, flood, estate)


def _too_few(
    facts: HostFacts, bridge: Bridge, segment: Segment, others: list[HostFacts], reached: frozenset[int],
    estate: EstateFacts,
) -> Iterator[Finding]:  # fmt: skip
    for peer in others:
        towards = [p for p in bridge.ports if p.type == segment[0] and p.options.get("remote_ip") in peer.addresses]
        if towards and not any(port.ofport in reached for port in towards):
            vlan = facts.segments[segment]
            yield Finding(
                kind="flood-misses-host",
                severity=Severity.OUTAGE,
                host=facts.name,
                object=estate.called(segment),
                what=f"broadcasts of local VLAN {vlan} do not go to {peer.name}, which has ports on it: "
                "ARP and DHCP between the two fail",
                mend=f"add output:{towards[0].ofport} ({towards[0].name}) to the flood flow of VLAN {vlan}",
                evidence=tuple(
                    f"{bridge.name}: {flood.rule}" for flood in facts.tables[bridge.name].floods if flood.vlan == vlan
                )
                or (f"{bridge.name}: no flood flow for VLAN {vlan}",),
            )


def _too_many(
    facts: HostFacts, bridge: Bridge, segment: Segment, flood: Flood, estate: EstateFacts
) -> Iterator[Finding]:
    ports = bridge.by_ofport()
    for ofport in sorted(flood.ofports):
        port = ports.get(ofport)
        peer = estate.by_address.get(port.options.get("remote_ip", "")) if port else None
        if port and port.type == segment[0] and peer and peer is not facts and segment not in peer.segments:
            yield Finding(
                kind="flood-has-too-many",
                severity=Severity.UNTIDY,
                host=facts.name,
                object=estate.called(segment),
                what=f"broadcasts go to {peer.name} by {port.name} too, which has no port on this network",
                mend=f"remove output:{ofport} from the flood flow",
                evidence=(f"{bridge.name}: {flood.rule}",),
            )
