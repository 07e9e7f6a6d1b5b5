"""Security groups of 200 ports: sets, iptables and ip6tables read, rendered, compared and written."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from bench.figure import Figure
from warren.agent.drivers import netns
from warren.agent.drivers.filters import Filters
from warren.core.errors import Rejected
from warren.core.ids import GroupId
from warren.core.state import FixedIp, Group, GroupRule, HostState, Port
from warren.namespaces import filters
from warren.reconcile.plan import plan
from warren.testing.sites import Site, mac_of, state_of

RUNS = 7
PORTS = 200


@contextmanager
def _host() -> Iterator[None]:
    name = f"bench-{uuid.uuid4().hex[:8]}"
    netns.create(name)
    try:
        with netns.entered(name):
            yield
    finally:
        netns.delete(name)


def _state() -> tuple[HostState, Group]:
    """200 ports with the group that every project begins with, and ping and ssh in it."""
    site, own = Site(), GroupId(str(uuid.uuid4()))
    rules = (
        GroupRule(id="1", direction="egress"),
        GroupRule(id="2", direction="egress", ethertype="IPv6"),
        GroupRule(id="3", direction="ingress", remote_group_id=own),
        GroupRule(id="4", direction="ingress", remote_group_id=own, ethertype="IPv6"),
        GroupRule(id="5", direction="ingress", protocol="icmp"),
        GroupRule(id="6", direction="ingress", protocol="tcp", port_range_min=22),
    )
    members = tuple(f"10.1.0.{number}" for number in range(5, 5 + PORTS))
    group = Group(id=own, rules=rules, members=members)
    return state_of(site.red, group, *(_port(site, own, address) for address in members)), group


def _port(site: Site, group: GroupId, address: str) -> Port:
    port = site.port(site.red, int(address.rpartition(".")[2]))
    fixed = FixedIp(subnet_id=site.red.subnets[0].id, ip_address=address)
    return replace(
        port, fixed_ips=(fixed,), mac_address=mac_of(int(address.rpartition(".")[2])), security_groups=(group,)
    )


def _pass(state: HostState) -> float:
    """Read, render, compare, write; in milliseconds."""
    driver, started = Filters(), time.perf_counter()
    installed = driver.installed()
    failed = driver.apply(plan(filters(state, installed), installed))
    if failed:
        raise Rejected("; ".join(failed.values()))
    return 1000 * (time.perf_counter() - started)


def from_nothing() -> Iterator[float]:
    state, _ = _state()
    for _ in range(RUNS):
        with _host():
            yield _pass(state)


def _then(change: Callable[[HostState, Group, int], HostState]) -> Iterator[float]:
    """What a pass costs on a host that has all its rules."""
    state, group = _state()
    with _host():
        _pass(state)
        for run in range(RUNS):
            yield _pass(change(state, group, run))


def idle() -> Iterator[float]:
    yield from _then(lambda state, _group, _run: state)


def one_rule() -> Iterator[float]:
    def change(state: HostState, group: Group, run: int) -> HostState:
        rule = GroupRule(id=f"run {run}", direction="ingress", protocol="udp", port_range_min=1 + run)
        return state_of(*{**state.objects, group.key: replace(group, rules=(*group.rules, rule))}.values())

    yield from _then(change)


def one_port() -> Iterator[float]:
    def change(state: HostState, _group: Group, run: int) -> HostState:
        first = min(key for key in state.objects if key.startswith("port/"))
        return state_of(*(each for key, each in state.objects.items() if run % 2 or key != first))

    yield from _then(change)


FIGURES: Final = (
    Figure(
        name="groups-all",
        what="rules of 200 ports written on an empty host",
        unit="ms",
        reach=200,
        peer="",
        measure=from_nothing,
    ),
    Figure(
        name="groups-idle",
        what="rules of 200 ports read back, nothing to do",
        unit="ms",
        reach=100,
        peer="",
        measure=idle,
    ),
    Figure(
        name="groups-rule",
        what="a rule added to the group of 200 ports",
        unit="ms",
        reach=200,
        peer="",
        measure=one_rule,
    ),
    Figure(
        name="groups-port",
        what="a port with groups comes to or leaves 200",
        unit="ms",
        reach=200,
        peer="",
        measure=one_port,
    ),
)
