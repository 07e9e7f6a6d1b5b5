"""The agents' own two endpoints: the state stream and reports. A token is good for one host's only."""

import structlog
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from warren.core.errors import DriverError, Forbidden, Refused, Rejected
from warren.core.ids import HostName
from warren.server.http import answers
from warren.server.http.call import body_of
from warren.server.http.streams import StateStreams
from warren.server.http.threads import in_thread
from warren.server.identity.secrets import is_agent_token
from warren.server.identity.tokens import Unauthorized
from warren.server.query import whole
from warren.server.service import Service
from warren.sync.messages import decode_report

log: structlog.stdlib.BoundLogger = structlog.get_logger()


def _host(service: Service, request: Request) -> HostName:
    """The host that the path names, if the credential is for it.

    Raises:
        Unauthorized: no credential.
        Forbidden: it is for another host, or none.
    """
    host = HostName(request.path_params["host"])
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("Unauthorized", "An agent's request needs `Authorization: Bearer TOKEN`.")
    if not is_agent_token(service.secret, host, token.strip()):
        raise Forbidden("Forbidden", f"This credential is not for host {host}: see `warren server agent-token {host}`.")
    return host


class AgentEndpoints:
    """The endpoints, over one service and its streams."""

    def __init__(self, service: Service, streams: StateStreams) -> None:
        self._service = service
        self._streams = streams

    async def state(self, request: Request) -> Response:
        """`GET /agent/v1/hosts/<host>/state?epoch=E&revision=R`."""
        try:
            host = _host(self._service, request)
        except Refused as refused:
            return answers.identity_error(refused)
        known = whole(request.query_params.get("revision", ""))
        lines = self._streams.lines(host, request.query_params.get("epoch", ""), -1 if known is None else known)
        return StreamingResponse(lines, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})

    async def report(self, request: Request) -> Response:
        """`POST /agent/v1/hosts/<host>/report`."""
        try:
            host = _host(self._service, request)
            said = decode_report(await body_of(request))
            await in_thread(lambda: self._service.hosts.report(host, said))
        except Refused as refused:
            return answers.identity_error(refused)
        except Rejected as rejected:
            return answers.identity_error(Refused("BadRequest", str(rejected)))
        except DriverError as failed:
            log.warning("report.unavailable", host=request.path_params["host"], reason=str(failed))
            return answers.unavailable()
        return Response(status_code=204)
