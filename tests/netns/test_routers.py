from dataclasses import replace

import pytest

from warren.agent.drivers.command import run
from warren.agent.drivers.namespaces import Namespaces
from warren.core.state import HostState
from warren.namespaces import Kind, render
from warren.reconcile.plan import plan
from warren.testing.sites import Site

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("host")]


def make_interfaces(state: HostState) -> None:
    """What the OVSDB stage does: each wanted interface exists on the host. Its other end stays there."""
    for key in render(state):
        if key.kind is Kind.LINK:
            run(["ip", "link", "add", key.name, "type", "veth", "peer", "name", f"x{key.name[1:]}"])


def converge(state: HostState) -> None:
    driver, desired = Namespaces(), render(state)
    outcome = driver.apply(plan(desired, driver.installed({key.namespace for key in desired})))
    assert not outcome.failed


def test_after_one_apply_a_fresh_read_back_plans_nothing() -> None:
    site = Site()
    state = site.state(replace(site.router, floating_ips=(site.floating_ip(50, "10.1.0.7"),)))
    make_interfaces(state)
    converge(state)
    desired = render(state)
    assert not plan(desired, Namespaces().installed({key.namespace for key in desired}))
