"""Attributes of agents. Whether one is alive is not stored: a row joins what is stored with what the clock says."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Final

from warren.core.ids import HostName
from warren.server import model
from warren.server.attributes import parse
from warren.server.attributes.attribute import Attribute, Table
from warren.server.indexes import DHCP_PORTS_BY_HOST, PORTS_BY_HOST, ROUTERS_BY_HOST
from warren.server.snapshot import Snapshot

_BINARIES: Final = {
    model.OVS_AGENT: "neutron-openvswitch-agent",
    model.L3_AGENT: "neutron-l3-agent",
    model.DHCP_AGENT: "neutron-dhcp-agent",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRow:
    """An agent as clients see it."""

    id: str
    host: HostName
    agent_type: str
    description: str
    admin_state_up: bool
    created_at: str
    alive: bool
    heartbeat_timestamp: str


def agent_row(agent: model.Agent, alive: frozenset[HostName], heartbeats: Mapping[HostName, float]) -> AgentRow:
    heartbeat = datetime.fromtimestamp(heartbeats.get(agent.host, 0.0), timezone.utc)
    return AgentRow(
        id=agent.id,
        host=agent.host,
        agent_type=agent.agent_type,
        description=agent.description,
        admin_state_up=agent.admin_state_up,
        created_at=agent.created_at,
        alive=agent.host in alive,
        heartbeat_timestamp=heartbeat.strftime("%Y-%m-%d %H:%M:%S"),
    )


def _host(now: Snapshot, agent: AgentRow) -> model.Host:
    return now.get(model.Host, agent.host) or model.Host(id=agent.host)


def _started_at(now: Snapshot, agent: AgentRow) -> str:
    return _host(now, agent).started_at


def _configurations(now: Snapshot, agent: AgentRow) -> dict[str, Any]:
    host = _host(now, agent)
    problems = {"errors": list(host.errors), "objects_in_error": _in_error(now, host)}
    if agent.agent_type == model.L3_AGENT:
        return {"agent_mode": "legacy", "routers": len(now.ids(ROUTERS_BY_HOST, host.id)), **problems}
    if agent.agent_type == model.DHCP_AGENT:
        return {"dhcp_driver": "dnsmasq", "networks": len(now.ids(DHCP_PORTS_BY_HOST, host.id)), **problems}
    return {
        "tunneling_ip": host.vtep_ip,
        "tunnel_types": [kind.value for kind in host.tunnel_types],
        "bridge_mappings": dict(host.bridge_mappings or {}),
        "datapath_type": host.datapath_type,
        "integration_bridge": "br-int",
        "plug": host.plug.value,
        "roles": list(host.roles),
        "version": host.version,
        "devices": len(now.ids(PORTS_BY_HOST, host.id)),
        **problems,
    }


def _in_error(now: Snapshot, host: model.Host) -> dict[str, str]:
    """What the host could not do or refused, by object, with the reason."""
    ports = {f"port/{port.id}": port.reason for port in now.find(PORTS_BY_HOST, host.id)}
    routers = {f"router/{router.id}": router.reason for router in now.find(ROUTERS_BY_HOST, host.id)}
    return {key: reason for key, reason in {**ports, **routers}.items() if reason}


AGENT: Final[Table] = {
    "id": Attribute(sortable=True),
    "agent_type": Attribute(sortable=True),
    "binary": Attribute(show=lambda _, agent: _BINARIES[agent.agent_type], sortable=True),
    "host": Attribute(sortable=True),
    "topic": Attribute(show=lambda *_: "N/A", filterable=False),
    "description": Attribute(on_update=True, parse=lambda value: parse.text(255)(value or "")),
    "alive": Attribute(sortable=True),
    "heartbeat_timestamp": Attribute(sortable=True),
    "admin_state_up": Attribute(on_update=True, parse=parse.boolean, sortable=True),
    "availability_zone": Attribute(show=lambda _, agent: None if agent.agent_type == model.OVS_AGENT else "nova"),
    "configurations": Attribute(show=_configurations, filterable=False),
    "resource_versions": Attribute(show=lambda *_: {}, filterable=False),
    "created_at": Attribute(sortable=True),
    "started_at": Attribute(show=_started_at, sortable=True),
}
