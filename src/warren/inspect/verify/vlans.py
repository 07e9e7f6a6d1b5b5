"""Local VLANs: one network each, one VLAN a network, and in and out by the same segment."""

from collections.abc import Iterator
from typing import Final

from warren.core.names import INTEGRATION_BRIDGE
from warren.inspect.parse.actions import Output
from warren.inspect.parse.values import PORTS
from warren.inspect.snapshot.model import DEAD_VLAN, BridgePort
from warren.inspect.verify.facts import EstateFacts, HostFacts
from warren.inspect.verify.finding import Finding, Severity
from warren.inspect.verify.tables import Flood, Unicast

_TRUNK_MODES: Final = frozenset({"trunk", "native-tagged", "native-untagged"})
"""Modes that carry VLANs beside the port's own (ovs-vswitchd.conf.db(5)); Neutron's unwired ports carry 4095 alone."""


def vlan_findings(facts: HostFacts, estate: EstateFacts) -> Iterator[Finding]:
    """Of one host."""
    yield from _shared_vlans(facts)
    yield from _split_networks(facts)
    yield from _segments_of_one_vlan(facts)
    yield from _wrong_way_out(facts, estate)
    yield from _not_as_remembered(facts)


def _shared_vlans(facts: HostFacts) -> Iterator[Finding]:
    for vlan, networks in facts.vlan_networks.items():
        if len(networks) > 1:
            called = sorted(facts.names.network(network) for network in networks)
            yield Finding(
                kind="vlan-of-two-networks",
                severity=Severity.LEAK,
                host=facts.name,
                object=f"VLAN {vlan}",
                what=f"networks {' and '.join(called)} share local VLAN {vlan}: their frames mix",
                mend="give the later network's ports a VLAN of their own (Port.tag), or restart its agent",
                evidence=tuple(
                    f"{port.name} tag={vlan} network={network}" for network, port in sorted(networks.items())
                ),
            )


def _split_networks(facts: HostFacts) -> Iterator[Finding]:
    vlans: dict[str, dict[int, BridgePort]] = {}
    for vlan, networks in facts.vlan_networks.items():
        for network, port in networks.items():
            vlans.setdefault(network, {})[vlan] = port
    for network, found in vlans.items():
        if len(found) > 1:
            yield Finding(
                kind="network-of-two-vlans",
                severity=Severity.OUTAGE,
                host=facts.name,
                object=f"network {facts.names.network(network)}",
                what=f"its ports are on VLANs {' and '.join(map(str, sorted(found)))}: they do not hear each other",
                mend="set Port.tag of all its ports to the VLAN that br-tun's flows have",
                evidence=tuple(f"{port.name} tag={vlan}" for vlan, port in sorted(found.items())),
            )


def _segments_of_one_vlan(facts: HostFacts) -> Iterator[Finding]:
    segments: dict[int, list[tuple[str, int]]] = {}
    for segment, vlan in facts.segments.items():
        segments.setdefault(vlan, []).append(segment)
    for vlan, found in segments.items():
        if len(found) > 1:
            called = " and ".join(f"{kind} {number}" for kind, number in sorted(found))
            yield Finding(
                kind="vlan-of-two-segments",
                severity=Severity.LEAK,
                host=facts.name,
                object=f"VLAN {vlan}",
                what=f"frames of {called} both come in as local VLAN {vlan}: two networks mix",
                mend="remove the tun_id flow that is not this network's",
                evidence=_inbound_of(facts, vlan),
            )
        for network in facts.vlan_networks.get(vlan, {}):
            wanted = facts.names.networks.get(network)
            if (
                wanted
                and wanted.segmentation_id is not None
                and (wanted.network_type, wanted.segmentation_id) not in found
            ):
                yield _other_segment(facts, vlan, network)


def _other_segment(facts: HostFacts, vlan: int, network: str) -> Finding:
    wanted = facts.names.networks[network]
    return Finding(
        kind="vlan-of-another-segment",
        severity=Severity.LEAK,
        host=facts.name,
        object=f"network {facts.names.network(network)}",
        what=f"its local VLAN {vlan} is not fed by its own segment, {wanted.network_type} {wanted.segmentation_id}",
        mend=f"tun_id={wanted.segmentation_id:#x} must set VLAN {vlan}; remove the flow of the other segment",
        evidence=_inbound_of(facts, vlan),
    )


def _inbound_of(facts: HostFacts, vlan: int) -> tuple[str, ...]:
    return tuple(
        f"{bridge.name}: {inbound.rule}"
        for bridge in facts.tunnel_bridges
        for inbound in facts.tables[bridge.name].inbound
        if inbound.vlan == vlan
    )


def _wrong_way_out(facts: HostFacts, estate: EstateFacts) -> Iterator[Finding]:
    """Frames leave with a tunnel id that is not what comes in as their VLAN."""
    ids: dict[int, set[int]] = {}
    for (_, number), vlan in facts.segments.items():
        ids.setdefault(vlan, set()).add(number)
    for bridge in facts.tunnel_bridges:
        sending: list[Flood | Unicast] = [*facts.tables[bridge.name].floods, *facts.tables[bridge.name].unicasts]
        for sent in sending:
            right = ids.get(sent.vlan)
            if right and sent.segmentation_id is not None and sent.segmentation_id not in right:
                kinds = {port.type for port in bridge.ports if port.ofport in sent.ofports}
                others = {n for kind in kinds for n in estate.network_of_segment.get((kind, sent.segmentation_id), ())}
                yield Finding(
                    kind="wrong-tunnel-id",
                    severity=Severity.LEAK if others else Severity.OUTAGE,
                    host=facts.name,
                    object=f"VLAN {sent.vlan}",
                    what=f"frames of local VLAN {sent.vlan} leave with tunnel id {sent.segmentation_id:#x}, "
                    f"but come in with {', '.join(f'{number:#x}' for number in sorted(right))}",
                    mend=f"the flow must set tunnel id {min(right):#x}",
                    evidence=(f"{bridge.name}: {sent.rule}", *_inbound_of(facts, sent.vlan)),
                )


def _not_as_remembered(facts: HostFacts) -> Iterator[Finding]:
    """What OVSDB remembers of a port (`other_config`) against the tag and the flows."""
    bridge = facts.host.bridge(INTEGRATION_BRIDGE)
    for port in bridge.ports if bridge else ():
        remembered, kind = port.other_config.get("segmentation_id", ""), port.other_config.get("network_type", "")
        if not port.tag or not remembered.isdecimal() or kind not in ("vxlan", "gre", "geneve"):
            continue
        vlan = facts.segments.get((kind, int(remembered)))
        if port.tag == DEAD_VLAN:
            yield from _dead(facts, port, vlan)
        elif vlan is not None and vlan != port.tag:
            yield Finding(
                kind="port-on-wrong-vlan",
                severity=Severity.LEAK if port.tag in facts.segments.values() else Severity.OUTAGE,
                host=facts.name,
                object=_called(facts, port),
                what=f"{port.name} has tag {port.tag}, but its network, {kind} {remembered}, is local VLAN {vlan}",
                mend=f"ovs-vsctl set Port {port.port} tag={vlan}",
                evidence=(
                    f"{port.name}: tag={port.tag} other_config={dict(port.other_config)}",
                    *_inbound_of(facts, vlan),
                ),
            )


def _dead(facts: HostFacts, port: BridgePort, vlan: int | None) -> Iterator[Finding]:
    """A port that an agent gave up; one that the API has switched off is meant to be dead."""
    named = facts.names.ports.get(port.port_id)
    if named and not named.is_enabled:
        return
    by_hand = f"; by hand: ovs-vsctl set Port {port.port} tag={vlan}" if vlan else ""
    yield Finding(
        kind="dead-port",
        severity=Severity.OUTAGE,
        host=facts.name,
        object=_called(facts, port),
        what=f"{port.name} has tag {DEAD_VLAN}, which an agent gives a port that it does not wire: it reaches nobody",
        mend=f"see in its agent's log why it does not wire the port{by_hand}",
        evidence=(f"{port.name}: tag={port.tag} other_config={dict(port.other_config)}",),
    )


def trunk_findings(facts: HostFacts) -> Iterator[Finding]:
    """Ports of instances that hear every network where br-int forwards by NORMAL: without a tag, or trunks."""
    bridge = facts.host.bridge(INTEGRATION_BRIDGE)
    if bridge is None:
        return
    normal = next(
        (
            rule
            for rule in facts.tables[bridge.name].rules
            if any(isinstance(action, Output) and action.port == PORTS["NORMAL"] for action in rule.actions)
        ),
        None,
    )
    for port in bridge.ports:
        if port.type == "patch" or not (port.port_id or port.network(facts.names)):
            continue
        if port.tag is None and not port.vlan_mode and normal:
            yield Finding(
                kind="untagged-port",
                severity=Severity.LEAK,
                host=facts.name,
                object=_called(facts, port),
                what=f"{port.name} has no VLAN tag on a bridge that forwards by NORMAL: it hears every network",
                mend=f"ovs-vsctl set Port {port.port} tag={DEAD_VLAN} until the agent wires it",
                evidence=(f"{port.name}: tag=[]", f"{bridge.name}: {normal}"),
            )
        elif port.vlan_mode in _TRUNK_MODES and port.trunks != {DEAD_VLAN}:
            hears = "it hears every network, and speaks on each" if normal else "only no flow forwards by NORMAL yet"
            yield Finding(
                kind="trunk-port",
                severity=Severity.LEAK if normal else Severity.RISK,
                host=facts.name,
                object=_called(facts, port),
                what=f"vlan_mode of {port.name} is {port.vlan_mode}, which carries all VLANs: {hears}",
                mend=f"ovs-vsctl clear Port {port.port} vlan_mode",
                evidence=(
                    f"{port.name}: tag={port.tag or '[]'} vlan_mode={port.vlan_mode} trunks={sorted(port.trunks)}",
                    *((f"{bridge.name}: {normal}",) if normal else ()),
                ),
            )


def _called(facts: HostFacts, port: BridgePort) -> str:
    return f"port {facts.names.port(port.port_id) if port.port_id else port.name}"
