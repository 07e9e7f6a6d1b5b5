"""All flows of a host, and what of the installed ones is compared with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from warren.core.names import INTEGRATION_BRIDGE, TUNNEL_BRIDGE
from warren.core.state import HostState
from warren.pipeline.br_ex import br_ex
from warren.pipeline.br_int import br_int
from warren.pipeline.br_tun import br_tun
from warren.pipeline.cookies import decode
from warren.pipeline.flow import Flow, FlowKey
from warren.pipeline.learned import Learnable, is_learned, learnable
from warren.pipeline.view import Layout, SwitchView
from warren.pipeline.wiring import wiring
from warren.reconcile.plan import Plan, plan


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeFlows:
    """What one bridge should have."""

    bridge: str
    desired: Mapping[FlowKey, Flow]
    learnable: Learnable | None = None
    """br-tun only: which learned entries stay."""
    conflicts: Mapping[str, str] = field(default_factory=dict)
    """Object that asks for frames that another object already has -> a sentence. The other keeps its flow."""
    is_shared: bool = False
    """A physical bridge may have flows of somebody else; they are left alone, known by their cookies."""

    def plan(self, installed: Mapping[FlowKey, Flow]) -> Plan[FlowKey, Flow]:
        """The changes that this bridge needs; what is learned and right, or not ours, is none of them."""
        compared = {key: entry for key, entry in installed.items() if key in self.desired or not self._spared(entry)}
        return plan(self.desired, compared)

    def _spared(self, entry: Flow) -> bool:
        if self.learnable is not None and is_learned(entry):
            return self.learnable.allows(entry)
        return self.is_shared and decode(entry.cookie) is None


def render(state: HostState, view: SwitchView, layout: Layout) -> dict[str, BridgeFlows]:
    """The flows of br-int, br-tun and every physical bridge that is there, by bridge name."""
    wired = wiring(state, view, layout)
    rendered = [
        _keyed(INTEGRATION_BRIDGE, br_int(wired)),
        replace(_keyed(TUNNEL_BRIDGE, br_tun(wired)), learnable=learnable(wired)),
    ]
    rendered += [
        replace(_keyed(bridge, br_ex(bridge, wired)), is_shared=True)
        for bridge in sorted({where.bridge for where in layout.physical_networks.values()})
    ]
    return {flows.bridge: flows for flows in rendered if flows.bridge in view.ofports}


def _keyed(bridge: str, flows: Iterable[Flow]) -> BridgeFlows:
    keyed: dict[FlowKey, Flow] = {}
    conflicts: dict[str, str] = {}
    for wanted in flows:
        other = keyed.setdefault(wanted.key, wanted)
        if other is not wanted and other != wanted:
            conflicts[wanted.owner] = f"{wanted.owner} and {other.owner} ask for the same frames of {bridge}: {other}"
    return BridgeFlows(bridge=bridge, desired=keyed, conflicts=conflicts)
