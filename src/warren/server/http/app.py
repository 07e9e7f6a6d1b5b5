"""The application: paths joined to handlers, and what runs beside them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from warren.core.errors import DriverError, NotFound
from warren.server.http import answers, identity, networking
from warren.server.http.agents import AgentEndpoints
from warren.server.http.call import Handler, endpoint
from warren.server.http.streams import StateStreams
from warren.server.http.threads import in_thread
from warren.server.service import Service

log: structlog.stdlib.BoundLogger = structlog.get_logger()

TICK_S = 1.0
TICKS_PER_PRUNE = 600


class Application:
    """The ASGI application of one server process."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._streams: StateStreams | None = None
        routes = [
            *_routes(service, networking.paths(), answers.networking_error),
            *_routes(service, identity.paths(), answers.identity_error),
            Route("/agent/v1/hosts/{host}/state", self._state, methods=["GET"]),
            Route("/agent/v1/hosts/{host}/report", self._report, methods=["POST"]),
        ]
        self.asgi = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers={404: _nothing, 405: _nothing})

    def stop_streams(self) -> None:
        """End every open state stream, so that the server can stop at once."""
        if self._streams:
            self._streams.stop()

    @asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        self._streams = StateStreams(self._service.store, self._service.config.keepalive_s)
        self._agents = AgentEndpoints(self._service, self._streams)
        ticking = asyncio.create_task(_tick(self._service))
        yield
        ticking.cancel()
        try:
            self._service.hosts.exchange_heartbeats()
        except DriverError as failed:
            log.warning("stop.unavailable", reason=str(failed))

    async def _state(self, request: Request) -> Response:
        return await self._agents.state(request)

    async def _report(self, request: Request) -> Response:
        return await self._agents.report(request)


def _routes(
    service: Service,
    paths: dict[str, dict[str, Handler]],
    error: answers.ErrorForm,
) -> list[Route]:
    found = []
    for path, methods in paths.items():
        by_method = {name: endpoint(service, handler, error) for name, handler in methods.items()}
        found.append(Route(path, _by_method(by_method), methods=list(methods)))
    return found


def _by_method(endpoints: dict[str, answers.Endpoint]) -> answers.Endpoint:
    async def respond(request: Request) -> Response:
        return await endpoints.get(request.method, endpoints.get("GET", _unknown))(request)

    return respond


async def _unknown(_: Request) -> Response:
    return answers.networking_error(NotFound("HTTPNotFound", "The resource could not be found."))


async def _nothing(request: Request, _: Exception) -> Response:
    return await _unknown(request)


async def _tick(service: Service) -> None:
    """Once a second: heartbeats, other servers' commits, and what must move to another host."""
    ticks = 0
    while True:
        await asyncio.sleep(TICK_S)
        ticks += 1
        try:
            await in_thread(service.hosts.exchange_heartbeats)
            await in_thread(service.hosts.place)
            if ticks % TICKS_PER_PRUNE == 0:
                await in_thread(service.store.prune)
        except DriverError as failed:
            log.warning("tick.unavailable", reason=str(failed))
        except Exception:
            log.exception("tick.failed")
