"""One request, read whole: what handlers get instead of the framework's request."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from warren.core.errors import DriverError, Invalid, Refused
from warren.server.http import answers
from warren.server.http.threads import in_thread
from warren.server.identity.tokens import Identity, Unauthorized
from warren.server.service import Service
from warren.sync.messages import UNREADABLE

log: structlog.stdlib.BoundLogger = structlog.get_logger()

MOST_BODY_BYTES: Final = 16 * 2**20
MOST_BYTES_OF_A_STRANGER: Final = 2**16
"""A login needs less; what is kept of a request before it is known whose it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request with its body."""

    service: Service
    method: str
    base_url: str
    """Scheme, host and port by which the client came."""
    url: str
    path: dict[str, str]
    parameters: Sequence[tuple[str, str]]
    headers: Any
    body: bytes

    def identity(self) -> Identity:
        """Whose token it is.

        Raises:
            Unauthorized: nobody's.
        """
        token = self.headers.get("x-auth-token", "")
        if not token:
            raise Unauthorized("Unauthorized", "The request you have made requires authentication.")
        return self.service.identify(token)

    def json(self) -> Any:
        """The body.

        Raises:
            Invalid: it is not JSON.
        """
        try:
            return msgspec.json.decode(self.body)
        except UNREADABLE as error:
            raise Invalid("HTTPBadRequest", f"The request's body is not JSON: {error}.") from error

    def wrapped(self, name: str) -> Any:
        """What stands under `name` in the body.

        Raises:
            Invalid: nothing does.
        """
        body = self.json()
        if not isinstance(body, dict) or name not in body:
            raise Invalid("HTTPBadRequest", f"Unable to find '{name}' in request body.")
        return body[name]


Handler = Callable[[Call], Response]


async def body_of(request: Request, is_known: Callable[[], bool]) -> bytes:
    """The request's body, read whole. `is_known` says whether the caller is no stranger; asked when it matters.

    Raises:
        Invalid: it is too long, or the client went away before its end.
    """
    chunks, length, most = [], 0, MOST_BYTES_OF_A_STRANGER
    try:
        async for chunk in request.stream():
            chunks.append(chunk)
            length += len(chunk)
            if length > most and is_known():
                most = MOST_BODY_BYTES
            if length > most:
                raise Invalid("HTTPBadRequest", f"The request's body has more than {most} bytes.")
    except ClientDisconnect as error:
        raise Invalid("HTTPBadRequest", "The request's body has no end: the client went away.") from error
    return b"".join(chunks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Responder:
    """A handler in the framework's form. It runs in a thread: what it waits for holds up nobody else."""

    service: Service
    handler: Handler
    error: answers.ErrorForm
    pool: Executor | None = None

    async def respond(self, request: Request) -> Response:
        """Read the request whole, and answer it."""
        try:
            body = await body_of(request, lambda: self._is_known(request))
        except Refused as refused:
            return self.error(refused)
        call = self._call(request, body)
        return await in_thread(lambda: self._answer(call), self.pool)

    def _is_known(self, request: Request) -> bool:
        try:
            self.service.identify(request.headers.get("x-auth-token", ""))
        except Unauthorized:
            return False
        return True

    def _call(self, request: Request, body: bytes) -> Call:
        came_by = f"{request.url.scheme}://{request.headers.get('host', 'localhost')}"
        base_url = self.service.config.public_url or came_by
        return Call(
            service=self.service,
            method=request.method,
            base_url=base_url,
            url=base_url + request.url.path,
            path=request.path_params,
            parameters=request.query_params.multi_items(),
            headers=request.headers,
            body=body,
        )

    def _answer(self, call: Call) -> Response:
        try:
            return self.handler(call)
        except Unauthorized as refused:
            return answers.identity_error(refused)
        except Refused as refused:
            return self.error(refused)
        except DriverError as failed:
            log.warning("request.unavailable", method=call.method, url=call.url, reason=str(failed))
            return answers.unavailable()
        except Exception:
            log.exception("request.failed", method=call.method, url=call.url)
            return answers.unexpected()
