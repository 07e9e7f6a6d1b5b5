"""Which host runs a router or a network's DHCP server. Pure.

One that runs on an eligible host stays there. One that has no host, or whose host died or is drained, goes to the live
host that has fewest; while there is none, it stays where it is: its data plane may well be alive.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from warren.core.ids import HostName
from warren.core.roles import NETWORK_ROLE
from warren.core.state import OWNER_ROUTER_GATEWAY, OWNER_ROUTER_INTERFACE
from warren.server import binding, model
from warren.server.context import Context
from warren.server.indexes import (
    AGENTS_BY_HOST,
    DHCP_PORTS_BY_HOST,
    DHCP_PORTS_BY_NETWORK,
    FAILED_PORTS_BY_HOST,
    FLOATING_IPS_BY_ROUTER,
    HOSTS_BY_ROLE,
    PORTS_BY_DEVICE,
    ROUTERS_BY_HOST,
)
from warren.server.snapshot import Change, Snapshot


@dataclass(frozen=True, slots=True)
class Candidates:
    """Live hosts with the network role, by name, whose agent for routers or for DHCP servers is in service."""

    routers: tuple[model.Host, ...]
    dhcp: tuple[model.Host, ...]


def candidates(now: Snapshot, context: Context) -> Candidates:
    hosts = [host for host in now.find(HOSTS_BY_ROLE, NETWORK_ROLE) if host.id in context.alive]
    return Candidates(
        routers=tuple(host for host in hosts if _in_service(now, host.id, model.L3_AGENT)),
        dhcp=tuple(host for host in hosts if _in_service(now, host.id, model.DHCP_AGENT)),
    )


def _in_service(now: Snapshot, host: HostName, agent_type: str) -> bool:
    agents = now.find(AGENTS_BY_HOST, host)
    return any(agent.agent_type == agent_type and agent.admin_state_up for agent in agents)


def router_ports(now: Snapshot, router_id: str) -> list[model.Port]:
    owners = (OWNER_ROUTER_INTERFACE, OWNER_ROUTER_GATEWAY)
    return [port for port in now.find(PORTS_BY_DEVICE, router_id) if port.device_owner in owners]


def place_router(now: Snapshot, context: Context, router_id: str, among: Candidates | None = None) -> Change:
    """Give the router a host if it needs one, and bring its ports there."""
    among = among or candidates(now, context)
    router = now.of(model.Router, router_id)
    ports = router_ports(now, router_id)
    host = HostName("")
    if ports:
        eligible = [candidate.id for candidate in among.routers]
        host = _chosen(
            router.host, eligible, _Fit(now, context, ports), lambda name: len(now.ids(ROUTERS_BY_HOST, name))
        )
    if host == router.host:
        settled = router if host else model.revised(router, context.at, status=_hostless(ports))
        return Change.put(settled, *_moved_ports(now, context, ports, host))
    moved = model.revised(
        router,
        context.at,
        host=host,
        status=model.BUILD if host else _hostless(ports),
        reason="",
        reported="",
        wanted_at=now.revision + 1,
    )
    floating_ips = [
        replace(floating_ip, status=model.DOWN, wanted_at=now.revision + 1)
        for floating_ip in now.find(FLOATING_IPS_BY_ROUTER, router_id)
    ]
    return Change.put(moved, *floating_ips, *_moved_ports(now, context, ports, host))


def _hostless(ports: list[model.Port]) -> str:
    """A router with nothing to do needs no host; one that waits for a host does not work."""
    return model.DOWN if ports else model.ACTIVE


@dataclass(frozen=True, slots=True)
class _Fit:
    """Whether a host could bind all of the ports."""

    now: Snapshot
    context: Context
    ports: Iterable[model.Port]

    def __call__(self, host: HostName) -> bool:
        return not any(binding.refusal(self.now, self.context, port, host) for port in self.ports)


def _moved_ports(now: Snapshot, context: Context, ports: Iterable[model.Port], host: HostName) -> list[model.Port]:
    return [_moved(now, context, port, host) for port in ports if port.host != host]


def _moved(now: Snapshot, context: Context, port: model.Port, host: HostName) -> model.Port:
    after = binding.bound(now, context, port, host)
    return model.revised(
        port,
        context.at,
        host=after.host,
        vif_type=after.vif_type,
        status=after.status,
        reason=after.reason,
        plug=after.plug,
    )


def _chosen(
    present: HostName, hosts: list[HostName], fits: Callable[[HostName], bool], load: Callable[[HostName], int]
) -> HostName:
    """Where it is, if it may stay there or nowhere else; else the host that it fits and that has fewest."""
    if present in hosts and fits(present):
        return present
    return min(filter(fits, hosts), key=lambda name: (load(name), name), default=present)


def place_dhcp(now: Snapshot, context: Context, port: model.Port, among: Candidates | None = None) -> Change:
    """Give the network's DHCP server a host."""
    among = among or candidates(now, context)
    eligible = [candidate.id for candidate in among.dhcp]
    fits = _Fit(now, context, [port])
    host = _chosen(port.host, eligible, fits, lambda name: len(now.ids(DHCP_PORTS_BY_HOST, name)))
    return Change.put(*_moved_ports(now, context, [port], host))


def place_all(now: Snapshot, context: Context) -> Change:
    """Every router and DHCP server on an eligible host, every failed binding tried again."""
    change = Change()
    for host in sorted(context.alive.intersection(now.index(FAILED_PORTS_BY_HOST))):
        change = change.then(Change.put(*binding.rebound(now, context, host)))
    now = now.after(change)
    among = candidates(now, context)
    for router in sorted(now.all(model.Router), key=lambda router: router.id):
        if step := now.effective(place_router(now, context, router.id, among)):
            now, change = now.after(step), change.then(step)
    for network in sorted(now.all(model.Network), key=lambda network: network.id):
        for port in now.find(DHCP_PORTS_BY_NETWORK, network.id):
            if step := now.effective(place_dhcp(now, context, port, among)):
                now, change = now.after(step), change.then(step)
    return change
