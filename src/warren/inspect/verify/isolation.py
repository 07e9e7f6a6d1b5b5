"""Does a frame of one network come out on another? Asked of br-int's flows themselves, frame by frame.

Into every port that was plugged goes what every policy lets pass, a DHCP client's broadcast from the port's own
address. It may come out only on ports of the same network and into tunnels with a local VLAN of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from warren.core.names import INTEGRATION_BRIDGE
from warren.inspect.evaluate.classifier import Rule as EvaluatedRule
from warren.inspect.evaluate.classifier import Table
from warren.inspect.evaluate.model import BridgeModel, PortModel
from warren.inspect.evaluate.outcome import Outcome, Sent
from warren.inspect.evaluate.packet import Values, packet
from warren.inspect.evaluate.run import evaluate
from warren.inspect.parse import fields as f
from warren.inspect.parse.match import VLAN_PRESENT
from warren.inspect.snapshot.model import Bridge, BridgePort
from warren.inspect.snapshot.text import mac_number
from warren.inspect.verify.facts import HostFacts
from warren.inspect.verify.finding import Finding, Severity
from warren.inspect.verify.tables import Tables

_DHCP_DISCOVER = "udp,nw_src=0.0.0.0,nw_dst=255.255.255.255,tp_src=68,tp_dst=67,dl_dst=ff:ff:ff:ff:ff:ff"


def isolation_findings(facts: HostFacts) -> Iterator[Finding]:
    """Of one host, with all flows of its br-int."""
    bridge = facts.host.bridge(INTEGRATION_BRIDGE)
    if bridge is None or not facts.tables[bridge.name].rules:
        return
    networks = {
        port.ofport: network
        for port in bridge.ports
        if port.ofport is not None and (network := port.network(facts.names))
    }
    model = _model(bridge, facts.tables[bridge.name])
    frame = packet(_DHCP_DISCOVER)
    ports = bridge.by_ofport()
    for ofport, network in networks.items():
        port = ports.get(ofport)
        if port is None:
            continue
        outcome = evaluate({bridge.name: model}, bridge.name, _from_port(frame, port))
        for sent in outcome.sent:
            found = networks.get(sent.port) or _behind_patch(facts, ports.get(sent.port), sent)
            if found and found != network:
                yield _finding(facts, _Crossing(bridge, port, network, found, outcome, sent))


@dataclass(frozen=True, slots=True)
class _Crossing:
    """A frame of one network that came out on another."""

    bridge: Bridge
    port: BridgePort
    network: str
    reached: str
    outcome: Outcome
    sent: Sent


def _behind_patch(facts: HostFacts, port: BridgePort | None, sent: Sent) -> str | None:
    """The network of a copy that went on to another bridge, by its local VLAN; `None` where nobody knows."""
    tci = sent.values[f.VLAN_TCI.order]
    if port is None or port.type != "patch" or not tci & VLAN_PRESENT:
        return None
    return facts.network_of(tci & 0xFFF)


def _from_port(frame: Values, port: BridgePort) -> Values:
    values = list(frame)
    values[f.IN_PORT.order] = port.ofport or 0
    values[f.ETH_SRC.order] = mac_number(port.attached_mac or port.mac)
    return values


def _model(bridge: Bridge, tables: Tables) -> BridgeModel:
    """The bridge for the evaluator, from flows that are read already; it has learned nothing, so it floods."""
    evaluated: dict[int | str, Table] = {}
    for number, rules in tables.by_table.items():
        evaluated[number] = Table()
        evaluated[number].add(EvaluatedRule(rule.flow, rule.match, rule.actions) for rule in rules)
    return BridgeModel(
        name=bridge.name,
        tables=evaluated,
        ports={
            number: PortModel(number=number, name=port.name, tag=port.tag, vlan_mode=port.vlan_mode, trunks=port.trunks)
            for number, port in bridge.by_ofport().items()
        },
    )


def _finding(facts: HostFacts, crossing: _Crossing) -> Finding:
    names, port = facts.names, crossing.port
    out = crossing.bridge.by_ofport().get(crossing.sent.port)
    met = [step.flow for step in crossing.outcome.steps[: crossing.sent.step + 1] if step.flow is not None]
    return Finding(
        kind="frame-crosses-networks",
        severity=Severity.LEAK,
        host=facts.name,
        object=f"port {names.port(port.port_id) if port.port_id else port.name}",
        what=f"a broadcast of {port.name}, network {names.network(crossing.network)}, comes out by "
        f"{out.name if out else crossing.sent.port} on network {names.network(crossing.reached)}",
        mend="put the last of these flows, or the tag of one of the two ports, right",
        evidence=tuple(f"{crossing.bridge.name}: {flow}" for flow in met),
    )
