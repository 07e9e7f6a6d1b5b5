"""Stage `flows`: br-tun, physical bridges, then br-int. A port passes frames from here on, and not before."""

from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from warren.agent.decisions import Wording, say
from warren.agent.drivers.namespaces import announce
from warren.agent.drivers.ofctl import OfctlSwitch
from warren.agent.loop import Outcome, Pass, Reason, Source
from warren.agent.settle import Settlement, apply_apart, seen_right, settle
from warren.core.errors import Impossible
from warren.core.names import INTEGRATION_BRIDGE
from warren.pipeline.flow import Flow, FlowKey
from warren.pipeline.render import BridgeFlows, render
from warren.pipeline.switch import switch_view
from warren.pipeline.view import Layout
from warren.reconcile.plan import Plan

log = structlog.get_logger()


class Flows:
    """The flow tables of every bridge that Warren programs."""

    name = "flows"
    needs: frozenset[str] = frozenset({"bridges", "filters"})
    """Without a word from `filters` nothing may be wired, and nothing that is wired need be cut off."""

    def __init__(self, layout: Layout, rundir: Path) -> None:
        self._layout = layout
        self._rundir = rundir
        self._settled: dict[str, tuple[str, BridgeFlows]] = {}
        """Bridge -> (its row in OVSDB, what it was last read back as). One made anew is another row."""
        self._known: dict[str, Mapping[FlowKey, Flow]] = {}
        """Bridge -> its flows that were right when it was last read back."""

    def run(self, now: Pass) -> Outcome:
        """Settle every bridge that is not known to be as desired; br-int last."""
        if now.switch is None:
            raise Impossible("the flows were asked for before the switch was read")
        changes, wrong = 0, dict[str, str]()
        state = now.state.without(now.held_back)
        touched = frozenset(self._settled) if now.looks_everywhere else now.named(Source.FLOWS)
        rendered = render(state, switch_view(now.switch, state), self._layout)
        for bridge in sorted(rendered, key=lambda name: name == INTEGRATION_BRIDGE):
            row = now.switch.bridges[bridge].uuid
            settled_row, settled = self._settled.pop(bridge, ("", None))
            memory = settled if settled_row == row and bridge not in touched else None
            left: Mapping[str, str] = {}
            if memory != rendered[bridge]:
                done, left = self._settle(rendered[bridge], memory, now)
                changes += done
            if not left:
                self._settled[bridge] = (row, rendered[bridge])
            wrong |= {**left, **rendered[bridge].conflicts}
        for complaint in announce(now.announcements):
            log.warning("announcement.lost", because=complaint)
        return Outcome(stage=self.name, changes=changes, wrong=wrong)

    def _settle(self, flows: BridgeFlows, memory: BridgeFlows | None, now: Pass) -> tuple[int, dict[str, str]]:
        """(number of changes made, owner -> what is still wrong) of one bridge.

        With a `memory` of what the bridge has, and no event since, the first plan is made against that; what is there
        is read after applying, and if memory was wrong, planned against once more.
        """
        switch, known = OfctlSwitch(bridge=flows.bridge, rundir=self._rundir), self._known.get(flows.bridge)

        def read() -> Plan[FlowKey, Flow]:
            now.forget(Reason(Source.FLOWS, flows.bridge))
            return flows.plan(switch.installed())

        def settle_against(difference: Callable[[], Plan[FlowKey, Flow]]) -> Settlement[FlowKey, Flow]:
            settled = settle(
                difference,
                lambda changes: apply_apart(changes, switch.apply, lambda _, flow: flow.owner),
                lambda changes: say(changes, _wording(flows.bridge), known, now),
                is_dry=now.is_dry,
            )
            self._known[flows.bridge] = seen_right(flows.desired, settled.stuck)
            return settled

        if memory is not None and memory.learnable == flows.learnable:
            remembered = [flows.plan(memory.desired)]
            settled = settle_against(lambda: remembered.pop() if remembered else read())
            if not settled.left:
                return settled.changes, {}
        settled = settle_against(read)
        return settled.changes, _wrong(flows, settled)


def _wrong(flows: BridgeFlows, settled: Settlement[FlowKey, Flow]) -> dict[str, str]:
    """Owner of each flow that is still not right -> why. Flows that are too many belong to nobody: owner ``."""
    missing = {**settled.left.add, **{key: desired for key, (_, desired) in settled.left.change.items()}}
    wrong = {
        flow.owner: settled.failed.get(key, f"flow {flow} of {flows.bridge} is not in the switch")
        for key, flow in missing.items()
    }
    if settled.left.remove:
        wrong.setdefault("", f"{len(settled.left.remove)} flows of {flows.bridge} could not be removed")
    return wrong


def _wording(bridge: str) -> Wording[FlowKey, Flow]:
    """How a flow is spoken of. The reason of one that goes is what its cookie says."""
    return Wording(
        event="flow",
        where=lambda key, _: {"bridge": bridge, "table": key.table, "key": f"priority={key.priority},{key.match}"},
        text=lambda flow: flow.actions,
        because=lambda flow: flow.reason,
    )
