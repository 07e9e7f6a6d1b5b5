"""Stage `ports`: ports that OpenFlow keeps from taking, forwarding or flooding frames are freed.

What `ovs-ofctl mod-port` does is neither in OVSDB nor in the flows: such a port is right in both, and still dead.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from warren.agent.decisions import Wording, say
from warren.agent.drivers.ofctl import OfctlSwitch
from warren.agent.loop import Outcome, Pass, Reason, Source
from warren.agent.settle import seen_right, settle
from warren.agent.stages.bridges import owner_of
from warren.core.errors import DriverError, Impossible
from warren.core.ids import OfPort
from warren.core.state import HostState
from warren.pipeline.switch import Switch, SwitchPort
from warren.pipeline.switch_rows import AccessRow, PortRow, desired_rows, present_rows
from warren.pipeline.view import Layout
from warren.reconcile.plan import Plan, plan

FREE: Final = ""
DOWN: Final = "PORT_DOWN"


class Ports:
    """The ports that Warren made or wires, compared as name -> what each is kept from."""

    name = "ports"
    needs: frozenset[str] = frozenset({"bridges", "flows"})

    def __init__(self, layout: Layout, rundir: Path) -> None:
        self._layout = layout
        self._rundir = rundir
        self._known: Mapping[str, str] | None = None
        self._is_settled = False

    def run(self, now: Pass) -> Outcome:
        """Settle, unless all were free when last looked at and nobody was kept from anything since."""
        if now.switch is None:
            raise Impossible("ports were asked for before the switch was read")
        if self._is_settled and not now.looks_everywhere and not now.named(Source.PORTS):
            return Outcome(stage=self.name)
        switch, self._is_settled = now.switch, False
        owners = dict(_ours(now.state, switch, self._layout))
        desired = dict.fromkeys(owners, FREE)

        def difference() -> Plan[str, str]:
            now.forget(Reason(Source.PORTS))
            return plan(desired, self._present([switch.ports[name] for name in owners]))

        settled = settle(
            difference,
            lambda changes: self._free(changes, switch),
            lambda changes: say(changes, _wording(switch), self._known, now),
            is_dry=now.is_dry,
        )
        self._is_settled, self._known = not settled.left, seen_right(desired, settled.stuck)
        wrong = {
            owners[name]: settled.failed.get(name, f"port {name} of the switch is kept from something: {had}")
            for name, (had, _) in settled.left.change.items()
        }
        return Outcome(stage=self.name, changes=settled.changes, wrong=wrong)

    def _present(self, ports: list[SwitchPort]) -> dict[str, str]:
        kept = {bridge: self._bridge(bridge).kept_from() for bridge in {port.bridge for port in ports}}
        return {
            port.name: " ".join(sorted(kept[port.bridge].get(_number(port), frozenset()) - _not_ours(port)))
            for port in ports
        }

    def _free(self, changes: Plan[str, str], switch: Switch) -> dict[str, str]:
        failed: dict[str, str] = {}
        for name, (had, _) in changes.change.items():
            port = switch.ports[name]
            try:
                self._bridge(port.bridge).free(_number(port), had.split())
            except DriverError as error:
                failed[name] = str(error)
        return failed

    def _bridge(self, name: str) -> OfctlSwitch:
        return OfctlSwitch(bridge=name, rundir=self._rundir)


def _ours(state: HostState, switch: Switch, layout: Layout) -> Iterator[tuple[str, str]]:
    """(name, key of the object that it is for) of each port that has a number and that Warren made or wires."""
    for row in present_rows(switch, desired_rows(state, switch, layout)).values():
        if isinstance(row, PortRow | AccessRow) and switch.ports[row.name].has_ofport:
            yield row.name, owner_of(row, switch)


def _not_ours(port: SwitchPort) -> frozenset[str]:
    """A NIC's direction is the operator's; of an interface in a namespace ovs-vswitchd sees none."""
    is_instances = not port.type and "iface-id" in port.interface_ids
    return frozenset() if is_instances else frozenset({DOWN})


def _number(port: SwitchPort) -> OfPort:
    return OfPort(port.ofport or 0)


def _wording(switch: Switch) -> Wording[str, str]:
    return Wording(
        event="port",
        where=lambda name, _: {"bridge": switch.ports[name].bridge, "port": name},
        text=lambda words: words or "free",
        because=lambda _: "frames pass a port as the flows say",
    )
