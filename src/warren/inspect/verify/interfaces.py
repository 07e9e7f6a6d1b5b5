"""Below and beside the flows: patch pairs, fail modes, MTUs, interfaces of routers and DHCP servers."""

from collections.abc import Iterator
from typing import Final

from warren.core.names import (
    INTEGRATION_BRIDGE,
    ON_LINUX_BRIDGE,
    ROUTER_NAMESPACE_PREFIX,
    TUNNEL_BRIDGE,
)
from warren.core.protocols import TUNNEL_OVERHEAD_BYTES
from warren.inspect.snapshot.model import HOST_NAMESPACE, REFUSALS, Namespace
from warren.inspect.verify.facts import SERVICE_PREFIXES, EstateFacts, HostFacts
from warren.inspect.verify.finding import Finding, Severity

_SERVICE_LINKS: Final = ("qr-", "qg-", "sg-", "ha-", "tap")


def interface_findings(facts: HostFacts) -> Iterator[Finding]:
    """Of one host."""
    yield from _patches(facts)
    yield from _fail_modes(facts)
    yield from _lost_interfaces(facts)
    yield from _hybrid_plugs(facts)
    yield from _refusing_ports(facts)
    for namespace in facts.services:
        yield from _namespace(facts, namespace)


def _patches(facts: HostFacts) -> Iterator[Finding]:
    patches = {port.name: (bridge, port) for bridge, port in facts.host.ports() if port.type == "patch"}
    for name, (bridge, port) in patches.items():
        peer = patches.get(port.patch_peer)
        if peer is None or peer[1].patch_peer != name:
            yield Finding(
                kind="broken-patch",
                severity=Severity.OUTAGE,
                host=facts.name,
                object=f"port {name} of {bridge.name}",
                what=f"its other end, {port.patch_peer or 'none'}, "
                + ("leads elsewhere" if peer else "does not exist")
                + ": frames between the two bridges are lost",
                mend=f"ovs-vsctl set Interface {name} options:peer=ITS OTHER END, and there the same",
                evidence=(f"{name}: options={dict(port.options)}",),
            )


def _fail_modes(facts: HostFacts) -> Iterator[Finding]:
    for bridge in facts.host.bridges:
        if bridge.name in (INTEGRATION_BRIDGE, TUNNEL_BRIDGE) and bridge.ports and bridge.fail_mode != "secure":
            yield Finding(
                kind="fails-open",
                severity=Severity.RISK,
                host=facts.name,
                object=f"bridge {bridge.name}",
                what=f"fail_mode is {bridge.fail_mode or 'not set'}: without its agent it may forward anything",
                mend=f"ovs-vsctl set-fail-mode {bridge.name} secure",
            )


def _lost_interfaces(facts: HostFacts) -> Iterator[Finding]:
    """Ports of routers and DHCP servers that are on br-int but in no namespace that was captured."""
    bridge = facts.host.bridge(INTEGRATION_BRIDGE)
    namespaces = facts.host.namespaces
    inside = {link.name for ns in namespaces if ns.name != HOST_NAMESPACE for link in ns.links}
    if bridge is None or not any(ns.is_complete for ns in namespaces):
        return
    if any(not ns.is_complete for ns in namespaces if ns.name.startswith(SERVICE_PREFIXES)):
        return
    for port in bridge.ports:
        if port.type == "internal" and port.name.startswith(_SERVICE_LINKS) and port.name not in inside:
            yield Finding(
                kind="interface-without-namespace",
                severity=Severity.OUTAGE,
                host=facts.name,
                object=f"port {facts.names.port(port.port_id) if port.port_id else port.name}",
                what=f"{port.name} is on br-int, but in no router's or DHCP server's namespace: nobody answers there",
                mend="have the agent make the namespace anew, or remove the port if its router is gone",
                evidence=(f"{port.name}: external_ids={dict(port.external_ids)}",),
            )


def _hybrid_plugs(facts: HostFacts) -> Iterator[Finding]:
    """Between an instance and br-int: tap and qvb on a qbr, a cable from qvb to qvo, all up."""
    bridge, namespace = facts.host.bridge(INTEGRATION_BRIDGE), facts.host.namespace(HOST_NAMESPACE)
    if bridge is None or namespace is None or not namespace.is_complete:
        return
    links = {link.name: link for link in namespace.links}
    for port in bridge.ports:
        if not port.name.startswith("qvo"):
            continue
        own = port.name.removeprefix("qvo")
        for link in filter(None, (links.get(f"{kind}{own}") for kind in ("tap", "qbr", "qvb", "qvo"))):
            about = f"{link.name} of port {facts.names.port(port.port_id) if port.port_id else own}"
            if not link.is_up:
                yield Finding(
                    kind="interface-down", severity=Severity.OUTAGE, host=facts.name, object=about,
                    what="the interface is down: its instance reaches nobody", mend=f"ip link set {link.name} up",
                )  # fmt: skip
            if link.name.startswith(ON_LINUX_BRIDGE) and link.master != f"qbr{own}":
                yield Finding(
                    kind="interface-off-its-bridge", severity=Severity.OUTAGE, host=facts.name, object=about,
                    what=f"it is a port of {link.master or 'no bridge'}, not of qbr{own}: its instance reaches nobody",
                    mend=f"ip link set {link.name} master qbr{own}",
                )  # fmt: skip


def _refusing_ports(facts: HostFacts) -> Iterator[Finding]:
    for bridge, port in facts.host.ports():
        for word in sorted(port.config & REFUSALS.keys()):
            yield Finding(
                kind="port-refuses",
                severity=Severity.OUTAGE,
                host=facts.name,
                object=f"port {port.name} of {bridge.name}",
                what=f"it has {word} set: the switch drops all that it should {REFUSALS[word]} there",
                mend=f"ovs-ofctl mod-port {bridge.name} {port.name} {REFUSALS[word]}",
                evidence=(f"{port.name}: config={' '.join(sorted(port.config))}",),
            )


def _namespace(facts: HostFacts, namespace: Namespace) -> Iterator[Finding]:
    is_standby = any(link.name.startswith("ha-") for link in namespace.links) and not _serves(namespace)
    for link in namespace.links:
        if link.name.startswith(_SERVICE_LINKS) and not link.is_up and not is_standby:
            yield Finding(
                kind="interface-down",
                severity=Severity.OUTAGE,
                host=facts.name,
                object=f"{link.name} in {namespace.name}",
                what="the interface is down",
                mend=f"ip -n {namespace.name} link set {link.name} up",
            )
    forwards = namespace.sysctls.get("net.ipv4.ip_forward")
    if namespace.name.startswith(ROUTER_NAMESPACE_PREFIX) and forwards == "0":
        yield Finding(
            kind="router-does-not-forward",
            severity=Severity.OUTAGE,
            host=facts.name,
            object=namespace.name,
            what="net.ipv4.ip_forward is 0: the router forwards nothing",
            mend=f"ip netns exec {namespace.name} sysctl -w net.ipv4.ip_forward=1",
        )


def _serves(namespace: Namespace) -> bool:
    """Whether a highly available router is the active one: the standby ones hold no address of their networks."""
    ours = [link for link in namespace.links if link.name.startswith(("qr-", "qg-"))]
    return any(address.scope == "global" for link in ours for address in link.addresses)


def mtu_findings(estate: EstateFacts) -> Iterator[Finding]:
    """Networks whose largest frame does not fit into the underlay with its tunnel header."""
    for facts in estate.hosts:
        for kind, underlay in _underlays(facts).items():
            device, mtu = underlay
            overhead = TUNNEL_OVERHEAD_BYTES.get(kind, 0)
            for network, (size, evidence) in _network_mtus(facts, kind).items():
                if size + overhead > mtu:
                    yield Finding(
                        kind="mtu-too-small",
                        severity=Severity.RISK,
                        host=facts.name,
                        object=f"network {facts.names.network(network)}",
                        what=f"its MTU of {size} and {overhead} bytes of {kind} do not fit into {device}'s {mtu}: "
                        "large packets vanish",
                        mend=f"give the network an MTU of {mtu - overhead}, or {device} one of {size + overhead}",
                        evidence=(evidence,),
                    )


def _underlays(facts: HostFacts) -> dict[str, tuple[str, int]]:
    """Tunnel type -> the interface that its packets leave by, and its MTU (the smallest on the way out)."""
    namespace = facts.host.namespace(HOST_NAMESPACE)
    found: dict[str, tuple[str, int]] = {}
    for tunnel in facts.tunnels:
        link = namespace.holder_of(tunnel.local) if namespace else None
        if namespace is None or link is None or not link.mtu:
            continue
        bridge = facts.host.bridge(link.name)
        nics = [namespace.link(p.name) for p in bridge.ports if p.type in ("", "system")] if bridge else []
        device, mtu = min([(i.name, i.mtu) for i in (link, *nics) if i and i.mtu], key=lambda pair: pair[1])
        if mtu < found.get(tunnel.port.type, ("", 1 << 20))[1]:
            found[tunnel.port.type] = (device, mtu)
    return found


def _network_mtus(facts: HostFacts, kind: str) -> dict[str, tuple[int, str]]:
    """Network -> MTU of what sends on it here: routers and DHCP servers, or what the API says."""
    vlans = {vlan for (segment_kind, _), vlan in facts.segments.items() if segment_kind == kind}
    bridge = facts.host.bridge(INTEGRATION_BRIDGE)
    links = {link.name: link for ns in facts.host.namespaces if ns.name != HOST_NAMESPACE for link in ns.links}
    found: dict[str, tuple[int, str]] = {}
    for port in bridge.ports if bridge else ():
        if port.tag in vlans:
            network = facts.network_of(port.tag or 0) or f"VLAN {port.tag}"
            known = facts.names.networks.get(network)
            link = links.get(port.name) if port.type == "internal" else None
            size = max(link.mtu if link else 0, known.mtu if known else 0)
            if size > found.get(network, (0, ""))[0]:
                found[network] = (size, f"{port.name}: mtu {link.mtu}" if link else f"the API: mtu {size}")
    return found
