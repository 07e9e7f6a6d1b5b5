"""What an agent's report changes: its host's description, and the status of the objects on that host. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from ipaddress import IPv4Address
from typing import Final

from warren.core.errors import Conflict, Invalid
from warren.core.ids import HostName
from warren.core.roles import NETWORK_ROLE
from warren.core.state import NetworkType, Plug
from warren.server import model
from warren.server.context import Context, new_id
from warren.server.indexes import (
    AGENTS_BY_HOST,
    DHCP_PORTS_BY_NETWORK,
    FLOATING_IPS_BY_ROUTER,
    HOSTS_BY_VTEP,
    PORTS_BY_HOST,
    ROUTERS_BY_HOST,
)
from warren.server.placement import place_all
from warren.server.snapshot import Change, Snapshot
from warren.sync.messages import ObjectStatus, Report

_PORT_STATUS: Final = {"wired": model.ACTIVE, "absent": model.DOWN, "error": model.ERROR}
_TYPES: Final = {kind.value for kind in NetworkType}


@dataclass(frozen=True, slots=True)
class Reported:
    """The change, and the keys that the report spoke of although they are not its host's (ignored; logged)."""

    change: Change
    foreign: tuple[str, ...] = ()


def report(now: Snapshot, context: Context, host: HostName, said: Report) -> Reported:
    """What to store of a report from `host`, which is among `context.alive`.

    A host that is new, or that can now do other things, may get routers, DHCP servers and failed bindings at once.

    Raises:
        Invalid: the report says of the host what cannot be; other hosts would be told it.
        Conflict: it claims the tunnel endpoint of another host that lives.
    """
    _check(said)
    _check_vtep_is_free(now, context, host, said.vtep_ip)
    change = _host(now, context, host, said)
    after = now.after(change)
    if _abilities(after, host) != _abilities(now, host):
        change = change.then(place_all(after, context))
        after = now.after(change)
    ports, foreign_ports = _ports(after, context, host, said)
    routers, foreign_routers = _routers(after, context, host, said)
    return Reported(change.then(ports, routers), (*foreign_ports, *foreign_routers))


def _check(said: Report) -> None:
    try:
        _check_vtep(said.vtep_ip)
        datetime.fromtimestamp(said.started_at, timezone.utc)
        Plug(said.plug)
    except (ValueError, OverflowError, OSError) as error:
        raise Invalid("BadRequest", f"this is not an agent's report: {error}") from error


def _check_vtep(text: str) -> None:
    address = IPv4Address(text) if text else None
    if address and (address.is_multicast or address.is_unspecified or address.is_loopback):
        raise ValueError(f"{text} is no host's address")


def _check_vtep_is_free(now: Snapshot, context: Context, host: HostName, vtep_ip: str) -> None:
    known = now.get(model.Host, host)
    if known and known.vtep_ip == vtep_ip:
        return
    for other in now.find(HOSTS_BY_VTEP, vtep_ip):
        if other.id in context.alive:
            message = f"host {other.id}, whose agent is alive, has the tunnel address {vtep_ip}: give {host} its own"
            raise Conflict("Conflict", message)


def _host(now: Snapshot, context: Context, host: HostName, said: Report) -> Change:
    described = model.Host(
        id=host,
        roles=said.roles,
        vtep_ip=said.vtep_ip,
        tunnel_types=tuple(NetworkType(kind) for kind in said.tunnel_types if kind in _TYPES),
        datapath_type=said.datapath_type,
        plug=Plug(said.plug),
        bridge_mappings=said.bridge_mappings,
        version=said.version,
        started_at=datetime.fromtimestamp(said.started_at, timezone.utc).strftime("%Y-%m-%d %H:%M:%S"),
        errors=said.errors,
    )
    types = [model.OVS_AGENT, *([model.L3_AGENT, model.DHCP_AGENT] if NETWORK_ROLE in said.roles else [])]
    rows = {agent.agent_type: agent for agent in now.find(AGENTS_BY_HOST, host)}
    new = [
        model.Agent(id=new_id(), host=host, agent_type=agent_type, created_at=context.at)
        for agent_type in types
        if agent_type not in rows
    ]
    gone = [agent for agent_type, agent in rows.items() if agent_type not in types]
    same = now.get(model.Host, host) == described
    return Change.put(*([] if same else [described]), *new).then(Change.delete(*gone))


def _abilities(now: Snapshot, host: HostName) -> object:
    """What decides what may run on a host: not when its agent was started, nor what is wrong there at the moment."""
    there = now.get(model.Host, host)
    described = there and (there.roles, there.tunnel_types, there.bridge_mappings, there.plug)
    return described, now.ids(AGENTS_BY_HOST, host)


def _ports(now: Snapshot, context: Context, host: HostName, said: Report) -> tuple[Change, list[str]]:
    foreign = []
    statuses: dict[str, ObjectStatus] = {}
    for key, status in said.objects.items():
        kind, _, object_id = key.partition("/")
        if kind not in ("port", "dhcp"):
            continue
        port = now.get(model.Port, object_id) if kind == "port" else now.find_one(DHCP_PORTS_BY_NETWORK, object_id)
        if port is None or port.host != host or not port.is_bound:
            foreign.append(key)
        elif kind == "port" or status.status == "error":
            statuses[port.id] = status
    if said.complete:
        for port_id in now.ids(PORTS_BY_HOST, host):
            statuses.setdefault(port_id, ObjectStatus(status="absent"))
    changed = (_port(now.of(model.Port, port_id), context, status) for port_id, status in statuses.items())
    return Change.put(*(port for port in changed if port)), foreign


def _port(port: model.Port, context: Context, said: ObjectStatus) -> model.Port | None:
    status = _PORT_STATUS.get(said.status)
    if status is None or not port.is_bound:
        return None
    return model.revised(port, context.at, status=status, reason=said.reason if status == model.ERROR else "")


def _routers(now: Snapshot, context: Context, host: HostName, said: Report) -> tuple[Change, list[str]]:
    here = now.ids(ROUTERS_BY_HOST, host)
    foreign = [key for key in said.objects if key.startswith("router/") and key.partition("/")[2] not in here]
    change = Change()
    for router in now.find(ROUTERS_BY_HOST, host):
        status = said.objects.get(f"router/{router.id}")
        if status is None:
            status = ObjectStatus(status="" if said.complete else router.reported, reason=router.reason)
        known = _router(router, context, status, said.revision)
        change = change.then(Change.put(known, *_floating_ips(now, context, known, said.revision)))
    return change, foreign


def _router(router: model.Router, context: Context, said: ObjectStatus, revision: int) -> model.Router:
    if revision < router.wanted_at:
        return router
    status = {"wired": model.ACTIVE, "error": model.ERROR}.get(said.status, model.BUILD)
    reason = said.reason if status == model.ERROR else ""
    if (router.status, router.reason, router.reported) == (status, reason, said.status):
        return router
    return model.revised(router, context.at, status=status, reason=reason, reported=said.status)


def _floating_ips(now: Snapshot, context: Context, router: model.Router, revision: int) -> Iterable[model.FloatingIp]:
    status = {"wired": model.ACTIVE, "error": model.ERROR}.get(router.reported, model.DOWN)
    for floating_ip in now.find(FLOATING_IPS_BY_ROUTER, router.id):
        if floating_ip.wanted_at <= revision and floating_ip.status != status:
            yield replace(floating_ip, status=status, updated_at=context.at)
