"""Entries that say where an address is: right, wrong, or left over."""

from collections.abc import Iterator, Mapping

from warren.inspect.snapshot.model import Bridge
from warren.inspect.verify.facts import EstateFacts, HostFacts
from warren.inspect.verify.finding import Finding, Severity
from warren.inspect.verify.tables import Unicast


def entry_findings(estate: EstateFacts) -> Iterator[Finding]:
    """Unicast entries and ARP answers of all hosts against where the addresses are."""
    written = {
        (id(facts), unicast.vlan, unicast.mac) for facts, _, unicast in estate.unicasts() if not unicast.is_learned
    }
    for facts, bridge, unicast in estate.unicasts():
        is_overruled = unicast.is_learned and (id(facts), unicast.vlan, unicast.mac) in written
        if not is_overruled:
            yield from _unicast(facts, bridge, unicast, estate)
    addresses = _addresses(estate)
    for facts in estate.hosts:
        for bridge in facts.tunnel_bridges:
            for answer in facts.tables[bridge.name].arp_answers:
                network = facts.network_of(answer.vlan)
                known = addresses.get((network or "", answer.ip))
                if network and known and answer.mac not in known:
                    yield Finding(
                        kind="wrong-arp-answer",
                        severity=Severity.OUTAGE,
                        host=facts.name,
                        object=f"address {answer.ip}",
                        what=f"ARP for {answer.ip} is answered with {answer.mac}, not {' or '.join(sorted(known))}",
                        mend="write the right address into the flow of table 21",
                        evidence=(f"{bridge.name}: {answer.rule}",),
                    )


def _addresses(estate: EstateFacts) -> Mapping[tuple[str, str], frozenset[str]]:
    """(network, IPv4 address) -> MAC addresses, from the API and from DHCP's tables."""
    found: dict[tuple[str, str], set[str]] = {}
    for port in estate.estate.names.ports.values():
        for ip in port.ips:
            found.setdefault((port.network_id, ip), set()).add(port.mac)
    for facts in estate.hosts:
        for table in facts.host.dhcp:
            for entry in table.entries:
                found.setdefault((table.network_id, entry.ip), set()).add(entry.mac)
    return {key: frozenset(macs) for key, macs in found.items()}


def _unicast(facts: HostFacts, bridge: Bridge, unicast: Unicast, estate: EstateFacts) -> Iterator[Finding]:
    ports = bridge.by_ofport()
    held_by = estate.holders.get(unicast.mac, ())
    here = [h for h in held_by if _has(h, facts, unicast)]
    shown = (f"{bridge.name}: {unicast.rule}",)
    origin = "learned" if unicast.is_learned else "written ahead"
    for ofport in unicast.ofports:
        port = ports.get(ofport)
        if port is None or not port.is_tunnel:
            continue
        peer = estate.by_address.get(port.options.get("remote_ip", ""))
        if peer is None or not here or peer in here:
            if peer and not held_by and not unicast.is_learned:
                yield _leftover(facts, peer, unicast, shown)
            continue
        where = " and ".join(sorted(h.name for h in here))
        yield Finding(
            kind="entry-points-elsewhere",
            severity=Severity.OUTAGE,
            host=facts.name,
            object=f"address {unicast.mac}",
            what=f"frames for {unicast.mac} on local VLAN {unicast.vlan} go to {peer.name} by {port.name} ({origin}), "
            f"but the address is on {where}",
            mend=f"delete the entry on {facts.name}"
            + (
                f"; left alone it goes in {unicast.rule.flow.remaining_s:.0f} s"
                if unicast.rule.flow.remaining_s
                else ""
            ),
            evidence=shown,
        )


def _has(holder: HostFacts, facts: HostFacts, unicast: Unicast) -> bool:
    """Whether a host has the address on the network that the entry is for; MACs may repeat on other networks."""
    network = facts.network_of(unicast.vlan)
    vlans = holder.macs[unicast.mac]
    known = {holder.network_of(vlan) for vlan in vlans}
    return network is None or None in known or network in known


def _leftover(facts: HostFacts, peer: HostFacts, unicast: Unicast, shown: tuple[str, ...]) -> Finding:
    return Finding(
        kind="entry-left-over",
        severity=Severity.RISK,
        host=facts.name,
        object=f"address {unicast.mac}",
        what=f"frames for {unicast.mac} go to {peer.name}, where no port has that address",
        mend=f"delete the entry on {facts.name}",
        evidence=shown,
    )
