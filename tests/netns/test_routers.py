import subprocess
from dataclasses import replace
from typing import Any

import pytest

from warren.agent.drivers import netns
from warren.agent.drivers.command import run
from warren.agent.drivers.namespaces import Namespaces, Outcome
from warren.core import names
from warren.core.state import FloatingIp, HostState, Route
from warren.namespaces import Key, Setting, render
from warren.reconcile.plan import Plan, plan
from warren.testing.segments import Machine, lay, machine
from warren.testing.sites import Site

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("host")]


def difference(state: HostState) -> Plan[Key, Setting]:
    desired = render(state)
    return plan(desired, Namespaces().installed({key.namespace for key in desired}))


def converge(state: HostState) -> Outcome:
    outcome = Namespaces().apply(difference(state))
    assert not outcome.failed
    assert not difference(state)
    return outcome


class Town:
    """A site that stands: an instance on red, two on blue, and the world outside."""

    def __init__(self, *, has_gateway: bool = True, enable_snat: bool = True) -> None:
        self.site = Site()
        self.router = replace(self.site.router, enable_snat=enable_snat)
        lay(self.site.state())
        self.set_router() if has_gateway else self.set_router(gateway_port_id=None)
        self.red = machine(self.site.red, "10.1.0.7/24", gateway="10.1.0.1")
        self.red_too = machine(self.site.red, "10.1.0.8/24", gateway="10.1.0.1")
        self.blue = machine(self.site.blue, "10.2.0.7/24", gateway="10.2.0.1")
        self.world = machine(self.site.outside, "203.0.113.1/24")

    @property
    def namespace(self) -> str:
        return names.router_namespace(self.router.id)

    def state(self, **changed: Any) -> HostState:
        self.router = replace(self.router, **changed)
        return self.site.state(self.router)

    def set_router(self, **changed: Any) -> Outcome:
        return converge(self.state(**changed))

    def float(self, number: int, fixed: str) -> FloatingIp:
        floating = self.site.floating_ip(number, fixed)
        self.set_router(floating_ips=(*self.router.floating_ips, floating))
        return floating


def senders_seen(by: Machine, of: Machine, target: str) -> str:
    """Addresses that one machine sees another's pings come from."""
    capture = by.start("tcpdump", "-n", "-l", "-c", "2", "-i", "eth0", "icmp[icmptype] == icmp-echo")
    assert capture.stdout is not None
    while "listening" not in capture.stdout.readline():
        pass
    ping = of.start("ping", "-n", "-w", "8", "-i", "0.2", target)
    try:
        return capture.communicate(timeout=10)[0]
    finally:
        ping.kill()
        ping.communicate()


def test_tenants_reach_the_world_by_the_gateways_address() -> None:
    town = Town()
    assert "IP 203.0.113.10 > 203.0.113.1" in senders_seen(town.world, town.red, "203.0.113.1")


def test_without_snat_tenants_keep_their_addresses() -> None:
    town = Town(enable_snat=False)
    assert "IP 10.1.0.7 > 203.0.113.1" in senders_seen(town.world, town.red, "203.0.113.1")


def test_between_a_routers_networks_nothing_is_translated() -> None:
    town = Town()
    town.float(50, "10.1.0.7")
    assert "IP 10.1.0.7 > 10.2.0.7" in senders_seen(town.blue, town.red, "10.2.0.7")


def test_a_floating_ip_translates_both_ways() -> None:
    town = Town()
    town.float(50, "10.1.0.7")
    assert town.world.reaches("203.0.113.50")
    assert "IP 203.0.113.1 > 10.1.0.7" in senders_seen(town.red, town.world, "203.0.113.50")
    assert "IP 203.0.113.50 > 203.0.113.1" in senders_seen(town.world, town.red, "203.0.113.1")


def test_a_floating_ip_is_reached_from_inside_by_those_with_one_and_those_without() -> None:
    town = Town()
    town.float(50, "10.1.0.7")
    assert town.red_too.reaches("203.0.113.50")
    assert town.blue.reaches("203.0.113.50")
    town.float(51, "10.1.0.8")
    assert town.red_too.reaches("203.0.113.50")
    assert town.red.reaches("203.0.113.50")


def test_who_routes_a_tenants_prefix_to_the_gateway_does_not_get_in_while_snat_is_on() -> None:
    town = Town()
    town.world.ask("ip", "route", "add", "10.1.0.0/24", "via", "203.0.113.10")
    assert not town.world.reaches("10.1.0.7")
    town.set_router(enable_snat=False)
    assert town.world.reaches("10.1.0.7")


def test_a_ping_that_runs_while_the_gateway_is_set_is_answered_from_then_on() -> None:
    town = Town(has_gateway=False)
    ping = town.red.start("ping", "-n", "-w", "8", "-i", "0.002", "203.0.113.1")
    try:
        assert not town.red.reaches("203.0.113.1")
        town.set_router(gateway_port_id=town.site.gateway_port.id)
        assert lines(ping, until="bytes from")[-1].startswith("64 bytes from 203.0.113.1")
    finally:
        ping.kill()
        ping.communicate()


def lines(process: "subprocess.Popen[str]", until: str) -> list[str]:
    """Lines of a process until one has a text, or a great many had not."""
    seen: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        seen.append(line)
        if until in line or len(seen) > 5000:
            break
    return seen


def test_a_ping_that_runs_untranslated_is_translated_when_snat_is_switched_on() -> None:
    town = Town(enable_snat=False)
    ping = town.red.start("ping", "-n", "-w", "8", "-i", "0.002", "203.0.113.1")
    try:
        seen = town.world.ask("tcpdump", "-n", "-c", "3", "-i", "eth0", "src", "host", "10.1.0.7")
        assert "IP 10.1.0.7 > 203.0.113.1" in seen
        town.set_router(enable_snat=True)
        assert lines(ping, until="bytes from")[-1].startswith("64 bytes")
    finally:
        ping.kill()
        ping.communicate()


def test_connections_of_a_floating_ip_end_when_it_is_taken_away() -> None:
    town = Town()
    town.float(50, "10.1.0.7")
    assert town.world.reaches("203.0.113.50")
    town.set_router(floating_ips=())
    with netns.entered(town.namespace):
        assert "203.0.113.50" not in run(["conntrack", "-L"])
    assert not town.world.reaches("203.0.113.50")


def test_a_floating_ip_that_moves_to_another_instance_takes_its_running_ping_along() -> None:
    town = Town()
    floating = town.float(50, "10.1.0.7")
    ping = town.world.start("ping", "-n", "-w", "8", "-i", "0.05", "203.0.113.50")
    try:
        assert lines(ping, until="bytes from")
        town.set_router(floating_ips=(replace(floating, fixed_ip_address="10.1.0.8"),))
        seen = town.red_too.ask("tcpdump", "-n", "-c", "1", "-i", "eth0", "icmp[icmptype] == icmp-echo")
        assert "IP 203.0.113.1 > 10.1.0.8" in seen
    finally:
        ping.kill()
        ping.communicate()


def test_addresses_that_appear_are_announced_and_only_those() -> None:
    town = Town()
    floating = town.site.floating_ip(50, "10.1.0.7")
    outcome = town.set_router(floating_ips=(floating,))
    assert [(each.interface, each.address) for each in outcome.announcements] == [
        (names.router_gateway(town.site.gateway_port.id), "203.0.113.50")
    ]


def test_a_router_that_is_down_or_gone_has_no_namespace() -> None:
    town = Town()
    driver = Namespaces()
    desired = render(town.state(admin_state_up=False))
    outcome = driver.apply(plan(desired, driver.installed({town.namespace, *(key.namespace for key in desired)})))
    assert not outcome.failed
    assert town.namespace not in netns.names()


def test_extra_routes_lead_where_they_say_and_one_that_cannot_is_said() -> None:
    town = Town()
    far = machine(town.site.blue, "10.2.0.9/24", "172.30.0.1/32", gateway="10.2.0.1")
    assert far.reaches("10.2.0.1")
    good = Route(destination="172.30.0.0/24", nexthop="10.2.0.9")
    bad = Route(destination="172.31.0.0/24", nexthop="192.0.2.1")
    town.set_router(routes=(good,))
    assert town.red.reaches("172.30.0.1")
    outcome = Namespaces().apply(difference(town.state(routes=(good, bad))))
    assert [key.name for key in outcome.failed] == ["172.31.0.0/24"]
    assert town.red.reaches("172.30.0.1")
