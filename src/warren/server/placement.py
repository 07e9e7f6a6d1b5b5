"""Which host runs a router or a network's DHCP server. Pure.

One that runs on an eligible host stays there. One that has no host, or whose host died or is drained, goes to the live
host that has fewest; while there is none, it stays where it is: its data plane may well be alive.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from warren.core.ids import HostName
from warren.core.state import OWNER_ROUTER_GATEWAY, OWNER_ROUTER_INTERFACE
from warren.server import binding, model
from warren.server.context import Context
from warren.server.snapshot import Change, Snapshot

NETWORK_ROLE = "network"


@dataclass(frozen=True, slots=True)
class Candidates:
    """Live hosts with the network role, by name, whose agent for routers or for DHCP servers is in service."""

    routers: tuple[model.Host, ...]
    dhcp: tuple[model.Host, ...]


def candidates(now: Snapshot, context: Context) -> Candidates:
    found = [host for name in sorted(context.alive) if (host := now.get(model.Host, name))]
    hosts = [host for host in found if NETWORK_ROLE in host.roles]
    return Candidates(
        routers=tuple(host for host in hosts if _in_service(now, host.id, model.L3_AGENT)),
        dhcp=tuple(host for host in hosts if _in_service(now, host.id, model.DHCP_AGENT)),
    )


def _in_service(now: Snapshot, host: HostName, agent_type: str) -> bool:
    agents = now.find(model.Agent, "agent.host", host)
    return any(agent.agent_type == agent_type and agent.admin_state_up for agent in agents)


def router_ports(now: Snapshot, router_id: str) -> list[model.Port]:
    owners = (OWNER_ROUTER_INTERFACE, OWNER_ROUTER_GATEWAY)
    return [port for port in now.find(model.Port, "port.device", router_id) if port.device_owner in owners]


def place_router(now: Snapshot, context: Context, router_id: str, among: Candidates | None = None) -> Change:
    """Give the router a host if it needs one, and bring its ports there."""
    among = among or candidates(now, context)
    router = now.of(model.Router, router_id)
    ports = router_ports(now, router_id)
    host = _chosen(
        router.host,
        [host for host in among.routers if _reaches(now, context, host, ports)],
        lambda name: len(now.ids("router.host", name)),
    )
    if not ports:
        host = HostName("")
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
        for floating_ip in now.find(model.FloatingIp, "floatingip.router", router_id)
    ]
    return Change.put(moved, *floating_ips, *_moved_ports(now, context, ports, host))


def _hostless(ports: list[model.Port]) -> str:
    """A router with nothing to do needs no host; one that waits for a host does not work."""
    return model.DOWN if ports else model.ACTIVE


def _reaches(now: Snapshot, context: Context, host: model.Host, ports: Iterable[model.Port]) -> bool:
    return not any(binding.refusal(now, context, port, host.id) for port in ports)


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


def _chosen(present: HostName, eligible: list[model.Host], load: Callable[[HostName], int]) -> HostName:
    names = [host.id for host in eligible]
    if present in names or not names:
        return present
    return min(names, key=lambda name: (load(name), name))


def place_dhcp(now: Snapshot, context: Context, port: model.Port, among: Candidates | None = None) -> Change:
    """Give the network's DHCP server a host."""
    among = among or candidates(now, context)
    eligible = [host for host in among.dhcp if _reaches(now, context, host, [port])]
    host = _chosen(port.host, eligible, lambda name: len(now.ids("port.dhcp_host", name)))
    return Change.put(*_moved_ports(now, context, [port], host))


def place_all(now: Snapshot, context: Context) -> Change:
    """Every router and DHCP server on an eligible host, every failed binding tried again."""
    change = Change()
    for host in sorted(context.alive):
        change = change.then(Change.put(*binding.rebound(now, context, host)))
    now = now.after(change)
    among = candidates(now, context)
    for router in sorted(now.all(model.Router), key=lambda router: router.id):
        step = now.effective(place_router(now, context, router.id, among))
        now, change = now.after(step), change.then(step)
    for network in sorted(now.all(model.Network), key=lambda network: network.id):
        for port in now.find(model.Port, "port.dhcp", network.id):
            step = now.effective(place_dhcp(now, context, port, among))
            now, change = now.after(step), change.then(step)
    return change
