"""What each flow of br-tun does, in a sentence, with the API's names; as `warren flows explain` says it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from warren.core.names import TUNNEL_BRIDGE
from warren.inspect.decode import Decoder
from warren.inspect.explain.context import context_of, openflow_names
from warren.inspect.explain.sentence import explain
from warren.inspect.parse.dump import read_dump
from warren.inspect.snapshot.model import Bridge, Estate, Host
from warren.inspect.snapshot.names import read_names
from warren.lab.experiments.tables import FlowKey, entry
from warren.sources.folder import hosts_of, read_tree


def sentences(stage: Path, answers: Mapping[str, Any]) -> dict[str, dict[FlowKey, str]]:
    """Host -> flow -> sentence, of all hosts that a stage's folder has; `answers` are the API's lists."""
    estate = Estate(hosts=hosts_of(read_tree(stage), stage.name), names=read_names(answers))
    return {host.name: _of_host(estate, host) for host in estate.hosts}


def _of_host(estate: Estate, host: Host) -> dict[FlowKey, str]:
    bridge = host.bridge(TUNNEL_BRIDGE)
    return {} if bridge is None or bridge.flows is None else _of_bridge(estate, host, bridge)


def _of_bridge(estate: Estate, host: Host, bridge: Bridge) -> dict[FlowKey, str]:
    assert bridge.flows is not None
    flows = read_dump(bridge.flows.text, bridge.flows.file).flows
    decoder = Decoder(names=openflow_names(bridge))
    context = context_of(estate, host, bridge, flows, decoder)
    names = {str(number): port.name for number, port in bridge.by_ofport().items()}
    return {entry(told.flow, names).key: told.sentence for told in explain(flows, context, decoder)}
