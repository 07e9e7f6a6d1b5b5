"""What the host says of each object: a pure function of one pass. Claims nothing that was not read back."""

from collections.abc import Iterable, Mapping
from typing import Final

from warren.agent.loop import Outcome, Pass
from warren.agent.report import Picture
from warren.core.state import Dhcp, HostState, Port, Router, kind_of
from warren.pipeline.switch import switch_view
from warren.pipeline.view import SwitchView
from warren.pipeline.wiring import refusal, unwired_reason
from warren.sync.messages import ObjectStatus

WIRED = ObjectStatus(status="wired")
ABSENT = ObjectStatus(status="absent")
MEMORY: Final = "memory"
"""What goes before the stages: the state is put on disk."""
SHOWS: Final[Mapping[str, frozenset[str]]] = {
    MEMORY: frozenset(),
    "bridges": frozenset({"port", "router", "dhcp"}),
    "underlay": frozenset(),
    "filters": frozenset({"port"}),
    "namespaces": frozenset({"port", "router", "dhcp"}),
    "flows": frozenset({"port", "router", "dhcp"}),
    "ports": frozenset({"port", "router", "dhcp"}),
    "replug": frozenset(),
    "dnsmasq": frozenset({"dhcp"}),
}
"""Stage -> the kinds of objects whose status cannot be told without it."""


def picture(now: Pass, outcomes: Iterable[Outcome], before: Picture) -> Picture:
    """What to report after a pass.

    Where a stage could not do its work at all, nothing was seen of its kinds of objects: what was last seen of them
    stays, and the failure is among the errors. What this host refuses is among them too.
    """
    outcomes = tuple(outcomes)
    wrong = _wrong(now, outcomes)
    unseen = {kind for outcome in outcomes if outcome.failure for kind in SHOWS[outcome.stage]}
    view = switch_view(now.switch, now.state) if now.switch else SwitchView()
    objects = {key: status for key, status in _objects(now.state, view, wrong).items() if kind_of(key) not in unseen}
    objects |= {key: old for key, old in before.objects.items() if kind_of(key) in unseen and key in now.state.objects}
    failures = (outcome.failure for outcome in outcomes if outcome.failure)
    reasons = {*wrong.values(), *(status.reason for status in objects.values() if status.status == "error")}
    return Picture(revision=now.state.revision, objects=objects, errors=(*failures, *sorted(reasons)))


def _wrong(now: Pass, outcomes: Iterable[Outcome]) -> dict[str, str]:
    wrong = dict(now.held_back)
    for outcome in outcomes:
        for key, why in outcome.wrong.items():
            wrong.setdefault(key, why)
    return wrong


def _objects(state: HostState, view: SwitchView, wrong: Mapping[str, str]) -> dict[str, ObjectStatus]:
    found = {port.key: _port(port, state, view, wrong) for port in state.of(Port)}
    for router in state.of(Router):
        found[router.key] = _wired_unless(wrong.get(router.key)) if router.admin_state_up else ABSENT
    for dhcp in state.of(Dhcp):
        found[dhcp.key] = _wired_unless(wrong.get(dhcp.key))
    return found


def _port(port: Port, state: HostState, view: SwitchView, wrong: Mapping[str, str]) -> ObjectStatus:
    network = state.network(port.network_id)
    interface = view.interfaces.get(port.id)
    broken = refusal(port, interface) or wrong.get(port.key)
    if broken is not None or network is None:
        return ObjectStatus(status="error", reason=broken or unwired_reason(port, state, interface or "") or "")
    if view.port_ofport(port.id) is None or not (port.admin_state_up and network.admin_state_up):
        return ABSENT
    if network.id not in view.local_vlans:
        return ObjectStatus(status="error", reason=f"no local VLAN is left for network {network.id}")
    return _wired_unless(wrong.get(network.key))


def _wired_unless(why: str | None) -> ObjectStatus:
    return WIRED if why is None else ObjectStatus(status="error", reason=why)
