"""The application: paths joined to handlers, and what runs beside them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from warren.core.errors import DriverError, NotFound, Refused
from warren.server.http import answers, identity, networking
from warren.server.http.agents import AgentEndpoints
from warren.server.http.call import Handler, Responder
from warren.server.http.streams import StateStreams
from warren.server.http.threads import HASHING, in_thread
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
        errors = {404: _unknown, 405: _not_allowed}
        self._starlette = Starlette(routes=routes, lifespan=self._lifespan, exception_handlers=errors)
        self._starlette.router.redirect_slashes = False

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application. A path means the same with a slash at its end; nobody is sent elsewhere by a redirect."""
        if scope["type"] == "http":
            scope["path"] = scope["path"].rstrip("/") or "/"
        await self._starlette(scope, receive, send)

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
        by_method = {name: _endpoint(service, handler, error) for name, handler in methods.items()}
        found.append(Route(path, _by_method(by_method), methods=list(methods)))
    return found


def _endpoint(service: Service, handler: Handler, error: answers.ErrorForm) -> answers.Endpoint:
    pool = HASHING if handler is identity.issue else None
    return Responder(service=service, handler=handler, error=error, pool=pool).respond


def _by_method(endpoints: dict[str, answers.Endpoint]) -> answers.Endpoint:
    async def respond(request: Request) -> Response:
        return await endpoints.get(request.method, endpoints.get("GET", _unknown))(request)

    return respond


class NotAllowed(Refused):
    """HTTP 405: the path is there, and has no such method."""

    status = 405


def _error(request: Request, refused: Refused) -> Response:
    """In the form of the service whose path it is, or would be."""
    is_networking = not request.url.path.startswith(("/v3", "/agent"))
    return (answers.networking_error if is_networking else answers.identity_error)(refused)


async def _unknown(request: Request, _: Exception | None = None) -> Response:
    message = f"The resource could not be found: this server has no {request.url.path}."
    return _error(request, NotFound("HTTPNotFound", message))


async def _not_allowed(request: Request, _: Exception) -> Response:
    message = f"The method {request.method} is not allowed for {request.url.path}."
    return _error(request, NotAllowed("HTTPMethodNotAllowed", message))


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
