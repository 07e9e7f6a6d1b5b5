"""Answers: JSON, and errors in the form that Networking API clients know."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, TypeAlias

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from warren.core.errors import Refused

ErrorForm: TypeAlias = Callable[[Refused], Response]
Endpoint: TypeAlias = Callable[[Request], Awaitable[Response]]

_encode = msgspec.json.Encoder().encode


def json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(_encode(body), status, headers, media_type="application/json")


def networking_error(error: Refused) -> Response:
    """`{"NeutronError": {"type", "message", "detail"}}`."""
    return json({"NeutronError": {"type": error.kind, "message": error.message, "detail": error.detail}}, error.status)


def identity_error(error: Refused) -> Response:
    """`{"error": {"code", "title", "message"}}`, as identity services answer and all services answer a 401."""
    title = HTTPStatus(error.status).phrase
    headers = {"WWW-Authenticate": 'Keystone uri="/v3"'} if error.status == 401 else None
    return json({"error": {"code": error.status, "title": title, "message": error.message}}, error.status, headers)


def unavailable() -> Response:
    """HTTP 503: nothing changed, and the same request may be met later; the reason is in the log."""
    message = "The server cannot do this now; try again."
    return json({"NeutronError": {"type": "ServiceUnavailable", "message": message, "detail": ""}}, 503)


def unexpected() -> Response:
    """HTTP 500; the reason is in the log, not in the answer."""
    message = "Request Failed: internal server error while processing your request."
    return json({"NeutronError": {"type": "HTTPInternalServerError", "message": message, "detail": ""}}, 500)
