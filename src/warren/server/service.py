"""What a request means, without HTTP: who asks, which rule answers, what the answer shows.

Joins the pure parts with the store, the clock and the agents' heartbeats. Knows no web framework.
"""

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import structlog

from warren.core.errors import Invalid
from warren.server import model, policy, query
from warren.server.attributes.agent import agent_row
from warren.server.attributes.attribute import on_create, on_update, shown
from warren.server.attributes.router import ROUTER, interface_view
from warren.server.config import Config
from warren.server.context import Context
from warren.server.hosts import Hosts
from warren.server.identity import tokens
from warren.server.indexes import DEFAULT_GROUPS_BY_PROJECT
from warren.server.narrate import narrate
from warren.server.policy import Caller
from warren.server.resources import ApiResource
from warren.server.rules import routers
from warren.server.rules.found import visible
from warren.server.rules.security_groups import with_default_group
from warren.server.snapshot import Change, Snapshot
from warren.server.store.store import Answer, AnsweringRule, Rule, Store

log: structlog.stdlib.BoundLogger = structlog.get_logger()


class Service:
    """The API, as calls with values."""

    def __init__(self, config: Config, store: Store, secret: bytes) -> None:
        self.config = config
        self.store = store
        self.secret = secret
        self.hosts = Hosts(store, config)
        deployment = model.Settings(deployment=config.offer.deployment)
        store.commit(lambda _: Change.put(deployment))

    # Who asks

    def identify(self, token: str) -> tokens.Identity:
        """Who a token is.

        Raises:
            Unauthorized: nobody.
        """
        return tokens.verify(self.secret, self.config.directory, token, time.time())

    def context(self, caller: Caller) -> Context:
        return self.hosts.context(caller)

    def _commit(self, caller: Caller, rule: Rule) -> Snapshot:
        return self._ask(caller, lambda now: (None, rule(now)))[1]

    def _ask(self, caller: Caller, rule: AnsweringRule[Answer]) -> tuple[Answer, Snapshot]:
        """Store what the rule wants; its answer, and the snapshot after."""
        answer, commit = self.store.ask(rule)
        for event, fields in narrate(commit.before, commit.after, commit.change):
            log.info(event, **fields, user=caller.user_id, project=caller.project_id, revision=commit.after.revision)
        return answer, commit.after

    # Reading

    def show(self, caller: Caller, resource: ApiResource, resource_id: str, fields: frozenset[str]) -> dict[str, Any]:
        """One resource.

        Raises:
            NotFound: it is not there for this caller.
        """
        now = self.store.current()
        found = self._reading(resource)(visible(now, resource.cls, resource_id, self.context(caller)))
        return shown(resource.table, now, found, caller, fields)

    def listed(
        self, caller: Caller, resource: ApiResource, parameters: Sequence[tuple[str, str]]
    ) -> tuple[list[dict[str, Any]], query.Page]:
        """The resources of one kind that the caller sees and asked for.

        Raises:
            Invalid: the query asks for what is not there.
        """
        asked = query.parse_query(resource.table, parameters, caller)
        now = self.store.current()
        if resource.cls is model.SecurityGroup and caller.project_id and caller.may_write:
            now = self._with_default_group(now, caller)
        seen = (one for one in now.all(resource.cls) if policy.sees(now, caller, one))
        page = query.select(now, resource.table, map(self._reading(resource), seen), asked)
        return [shown(resource.table, now, one, caller, asked.fields) for one in page.resources], page

    def _with_default_group(self, now: Snapshot, caller: Caller) -> Snapshot:
        """Clients expect a project's default group to be there before anything else is."""
        if now.ids(DEFAULT_GROUPS_BY_PROJECT, caller.project_id):
            return now
        context = self.context(caller)
        return self._commit(caller, lambda now: with_default_group(now, context, caller.project_id))

    def _reading(self, resource: ApiResource) -> Callable[[Any], Any]:
        """How one is read: as it is stored; an agent with what is known of its host now."""
        if resource.cls is not model.Agent:
            return lambda one: one
        alive, heard_at = self.hosts.alive(), self.hosts.heartbeats()
        return lambda agent: agent_row(agent, alive, heard_at)

    # Writing

    def create(self, caller: Caller, resource: ApiResource, bodies: Iterable[Any]) -> list[dict[str, Any]]:
        """Make resources, all or none.

        Raises:
            Refused: the first reason not to.
        """
        policy.require_writer(caller, f"create_{resource.name}")
        create = resource.create
        if create is None:
            raise Invalid("HTTPBadRequest", f"A {resource.name} cannot be created.")
        context = self.context(caller)
        asked = [on_create(resource.table, body, caller) for body in bodies]

        def rule(now: Snapshot) -> tuple[list[str], Change]:
            ids = []
            change = step = Change()
            for one in asked:
                now = now.after(step)
                resource_id, step = create(now, context, one)
                ids.append(resource_id)
                change = change.then(step)
            return ids, change

        ids, after = self._ask(caller, rule)
        return [shown(resource.table, after, after.of(resource.cls, one), caller, frozenset()) for one in ids]

    def update(self, caller: Caller, resource: ApiResource, resource_id: str, body: Any) -> dict[str, Any]:
        """Change a resource.

        Raises:
            Refused: the first reason not to.
        """
        context = self._to_change(caller, resource.cls, resource_id, f"update_{resource.name}")
        asked = on_update(resource.table, body, caller)
        after = self._commit(caller, lambda now: resource.update(now, context, resource_id, asked))
        changed = self._reading(resource)(after.of(resource.cls, resource_id))
        return shown(resource.table, after, changed, caller, frozenset())

    def delete(self, caller: Caller, resource: ApiResource, resource_id: str) -> None:
        """Delete a resource.

        Raises:
            Refused: the first reason not to.
        """
        context = self._to_change(caller, resource.cls, resource_id, f"delete_{resource.name}")
        self._commit(caller, lambda now: resource.delete(now, context, resource_id))

    def router_interface(self, caller: Caller, router_id: str, body: Any, *, is_added: bool) -> dict[str, Any]:
        """`add_router_interface` and `remove_router_interface`.

        Raises:
            Refused: the first reason not to.
        """
        action = "add_router_interface" if is_added else "remove_router_interface"
        context = self._to_change(caller, model.Router, router_id, action)
        ask = routers.add_interface if is_added else routers.remove_interface
        interface, _ = self._ask(caller, lambda now: ask(now, context, router_id, body))
        return interface_view(interface.router, interface.port)

    def router_routes(self, caller: Caller, router_id: str, body: Any, *, is_added: bool) -> dict[str, Any]:
        """`add_extraroutes` and `remove_extraroutes`.

        Raises:
            Refused: the first reason not to.
        """
        context = self._to_change(caller, model.Router, router_id, "update_router")
        routes = on_update({"routes": ROUTER["routes"]}, body, caller).get("routes", ())
        ask = routers.add_routes if is_added else routers.remove_routes
        after = self._commit(caller, lambda now: ask(now, context, router_id, routes))
        return shown(ROUTER, after, after.of(model.Router, router_id), caller, frozenset())

    def _to_change(self, caller: Caller, cls: type[Any], resource_id: str, action: str) -> Context:
        """The circumstances of a request to change one resource.

        Raises:
            NotFound: it is not there for this caller, whatever the caller may do.
            Forbidden: the caller may only read.
        """
        context = self.context(caller)
        visible(self.store.current(), cls, resource_id, context)
        policy.require_writer(caller, action)
        return context
