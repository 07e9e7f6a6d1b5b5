"""Against intent: the flows that Warren's own renderer gives for a host's desired state, against those installed."""

from collections.abc import Iterable, Iterator, Mapping

from warren.core.names import INTEGRATION_BRIDGE, to_physical
from warren.core.state import HostState, Network
from warren.inspect.parse.dump import Flow as DumpedFlow
from warren.inspect.parse.dump import read_dump
from warren.inspect.snapshot.model import Bridge, Host
from warren.inspect.verify.finding import Finding, Severity
from warren.pipeline import switch as sw
from warren.pipeline.flow import Flow, FlowKey
from warren.pipeline.render import render
from warren.pipeline.switch import switch_view
from warren.pipeline.view import Layout, PhysicalNetwork

EVIDENCE_LIMIT = 20


def intent_findings(host: Host, state: HostState) -> Iterator[Finding]:
    """Flows of one host that are missing, that are other than asked for, or that nobody asked for."""
    view = switch_view(switch_of(host), state)
    for name, wanted in render(state, view, layout_of(host, state)).items():
        bridge = host.bridge(name)
        if bridge is None or bridge.flows is None:
            continue
        plan = wanted.plan(installed(bridge))
        yield from _of_owners("missing-flow", Severity.OUTAGE, host, bridge, plan.add.values())
        changed = (desired for _, desired in plan.change.values())
        yield from _of_owners("changed-flow", Severity.OUTAGE, host, bridge, changed)
        yield from _of_owners("unasked-flow", Severity.RISK, host, bridge, plan.remove.values())


_SENTENCES = {
    "missing-flow": (
        "{count} that {owner} needs {are} not installed{reason}",
        "its agent adds what is missing: is it running?",
    ),
    "changed-flow": (
        "{count} of {owner} {are} not as {owner} needs{reason}",
        "its agent puts it right: is it running?",
    ),
    "unasked-flow": (
        "{count} that nobody asked for {are} installed",
        "ovs-ofctl del-flows, or start the agent, which removes it",
    ),
}


def _of_owners(kind: str, severity: Severity, host: Host, bridge: Bridge, flows: Iterable[Flow]) -> Iterator[Finding]:
    by_owner: dict[str, list[Flow]] = {}
    for flow in flows:
        by_owner.setdefault(flow.owner or "the bridge itself", []).append(flow)
    what, mend = _SENTENCES[kind]
    for owner, found in by_owner.items():
        count = "a flow" if len(found) == 1 else f"{len(found)} flows"
        reason = f": {found[0].reason}" if found[0].reason else ""
        yield Finding(
            kind=kind,
            severity=severity,
            host=host.name,
            object=f"{bridge.name}: {owner}",
            what=what.format(count=count, owner=owner, are="is" if len(found) == 1 else "are", reason=reason),
            mend=mend,
            evidence=tuple(f"{bridge.name}: {flow}" for flow in found[:EVIDENCE_LIMIT]),
        )


def installed(bridge: Bridge) -> Mapping[FlowKey, Flow]:
    """A bridge's flows as the renderer spells them: plain `ovs-ofctl dump-flows` is its spelling."""
    if bridge.flows is None:
        return {}
    found = (_flow(flow) for flow in read_dump(bridge.flows.text, bridge.flows.file).flows)
    return {flow.key: flow for flow in found}


def _flow(dumped: DumpedFlow) -> Flow:
    timeouts = (("idle_timeout", dumped.idle_timeout_s), ("hard_timeout", dumped.hard_timeout_s))
    options = [f"{name}={value}" for name, value in timeouts if value]
    return Flow(
        table=dumped.table if isinstance(dumped.table, int) else -1,
        priority=dumped.priority,
        match=dumped.match_text,
        actions=dumped.actions_text,
        cookie=dumped.cookie,
        options=", ".join([*options, *dumped.flags.split()]),
    )


def switch_of(host: Host) -> sw.Switch:
    """A captured host's switch as the agent's driver would have read it."""
    return sw.Switch(
        bridges={
            bridge.name: sw.Bridge(name=bridge.name, datapath_type=bridge.datapath_type, fail_mode=bridge.fail_mode)
            for bridge in host.bridges
        },
        ports={
            port.name: sw.SwitchPort(
                name=port.name,
                bridge=bridge.name,
                type=port.type,
                options=port.options,
                tag=port.tag,
                other_config=port.other_config,
                interface_ids=port.external_ids,
                ofport=port.ofport,
            )
            for bridge, port in host.ports()
        },
    )


def layout_of(host: Host, state: HostState) -> Layout:
    """What the agent's configuration says, as far as the switch shows it: which bridge is for which physical network.

    Told from the patch ports; with several physical bridges, a network is taken to be on the one named after it. A
    bridge of no network that the host knows is there all the same, under its own name.
    """
    integration = host.bridge(INTEGRATION_BRIDGE)
    bridges = [bridge.name for bridge in host.bridges if integration and integration.port(to_physical(bridge.name)[0])]
    wanted = {network.physical_network for network in state.of(Network) if network.physical_network}
    physical = {
        name: PhysicalNetwork(bridge=bridges[0] if len(bridges) == 1 else f"br-{name}") for name in wanted if bridges
    }
    known = {where.bridge for where in physical.values()}
    physical |= {bridge: PhysicalNetwork(bridge=bridge) for bridge in bridges if bridge not in known}
    return Layout(local_ip=min(host.vteps(), default=""), physical_networks=physical)
