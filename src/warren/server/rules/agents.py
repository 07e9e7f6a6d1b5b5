"""Agents as administrators see them: taken out of service, put back, forgotten. Pure."""

from dataclasses import replace

from warren.core.errors import Conflict
from warren.server import model
from warren.server.attributes.attribute import Asked
from warren.server.context import Context
from warren.server.indexes import AGENTS_BY_HOST
from warren.server.placement import place_all
from warren.server.policy import require_admin
from warren.server.rules.found import visible
from warren.server.snapshot import Change, Snapshot


def update(now: Snapshot, context: Context, agent_id: str, asked: Asked) -> Change:
    """Drain an agent (`admin_state_up` false: its routers or DHCP servers move elsewhere) or put it back."""
    require_admin(context.caller, "update_agent")
    agent = visible(now, model.Agent, agent_id, context)
    change = Change.put(replace(agent, **asked))
    return change.then(place_all(now.after(change), context))


def delete(now: Snapshot, context: Context, agent_id: str) -> Change:
    """Forget an agent. Its host is forgotten with its last one; an agent that reports again is back.

    Raises:
        Conflict: the agent is alive.
    """
    require_admin(context.caller, "delete_agent")
    agent = visible(now, model.Agent, agent_id, context)
    if agent.host in context.alive:
        raise Conflict("AgentInUse", f"Agent {agent.id} is alive on host {agent.host}; stop it first.")
    change = Change.delete(agent)
    host = now.get(model.Host, agent.host)
    if host and len(now.ids(AGENTS_BY_HOST, agent.host)) == 1:
        change = change.then(Change.delete(host))
    return change.then(place_all(now.after(change), context))
