"""The law: whatever was there before, one apply makes the host what its state says."""

import uuid
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warren.agent.drivers.filters import Filters
from warren.core.ids import GroupId
from warren.core.state import Group, GroupRule, HostState, Port
from warren.namespaces import Kind, filters
from warren.reconcile.plan import plan
from warren.testing.sites import Site, state_of

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("host")]

SITE = Site()
GROUPS = [GroupId(str(uuid.uuid4())) for _ in range(3)]
PORTS = [SITE.port(SITE.red, number) for number in range(5, 10)]
ADDRESSES = ["10.1.0.5", "10.1.0.0/28", "0.0.0.0/0", "192.0.2.7", "2001:db8::7", "2001:db8::/32", "::/0"]

RULES = st.builds(
    GroupRule,
    id=st.uuids().map(str),
    direction=st.sampled_from(["ingress", "egress"]),
    ethertype=st.sampled_from(["IPv4", "IPv6"]),
    protocol=st.sampled_from([None, "tcp", "udp", "icmp", "sctp", "47"]),
    port_range_min=st.none() | st.integers(1, 200),
    remote_group_id=st.none() | st.sampled_from(GROUPS[:2]),
)


@st.composite
def states(draw: st.DrawFn) -> HostState:
    groups = [
        Group(
            id=each,
            rules=tuple(draw(st.lists(RULES, min_size=2, max_size=5))),
            members=tuple(draw(st.lists(st.sampled_from(ADDRESSES), unique=True))),
        )
        for each in draw(st.lists(st.sampled_from(GROUPS), min_size=2, unique=True))
    ]
    return state_of(*groups, *(draw(ports(port)) for port in draw(st.lists(st.sampled_from(PORTS), unique_by=id))))


def ports(port: Port) -> st.SearchStrategy[Port]:
    return st.builds(
        lambda groups, is_secured: replace(port, security_groups=tuple(groups), port_security_enabled=is_secured),
        st.lists(st.sampled_from(GROUPS), unique=True),
        st.sampled_from([True, True, True, False]),
    )


REACHED: set[tuple[str, Kind]] = set()
"""What happened to which kind of thing."""


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(states(), min_size=2, max_size=4))
def walk(way: list[HostState]) -> None:
    driver = Filters()
    for state in way:
        before = driver.installed()
        desired = filters(state, before)
        changes = plan(desired, before)
        for what, keys in (("add", changes.add), ("change", changes.change), ("remove", changes.remove)):
            REACHED.update((what, key.kind) for key in keys)
        assert not driver.apply(changes)
        after = driver.installed()
        assert after == desired
        assert filters(state, after) == desired


def test_any_state_follows_any_other_in_one_step() -> None:
    walk()
    kinds = (Kind.CHAIN, Kind.CHAIN6, Kind.SET)
    assert {(what, kind) for what in ("add", "change", "remove") for kind in kinds} <= REACHED
