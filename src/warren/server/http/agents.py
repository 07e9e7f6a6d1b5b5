"""The agents' own two endpoints: the state stream and reports. A token is good for one host's only."""

from dataclasses import dataclass

import structlog
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from warren.core.errors import DriverError, Forbidden, Refused, Rejected
from warren.core.ids import HostName
from warren.core.roles import token_command
from warren.server.http import answers
from warren.server.http.call import body_of
from warren.server.http.holders import Asker, Holders
from warren.server.http.streams import StateStreams
from warren.server.http.threads import in_thread
from warren.server.identity.secrets import roles_of_agent
from warren.server.identity.tokens import Unauthorized
from warren.server.query import whole
from warren.server.service import Service
from warren.sync.messages import Report, decode_report

log: structlog.stdlib.BoundLogger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Credential:
    """Which host asks, and what it may be for."""

    host: HostName
    roles: frozenset[str]


def _credential(service: Service, request: Request) -> _Credential:
    """That of the host that the path names.

    Raises:
        Unauthorized: no credential.
        Forbidden: it is for another host, or none.
    """
    host = HostName(request.path_params["host"])
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise Unauthorized("Unauthorized", "An agent's request needs `Authorization: Bearer TOKEN`.")
    roles = roles_of_agent(service.secret, host, token.strip())
    if roles is None:
        raise Forbidden("Forbidden", f"This credential is not for host {host}: see `warren server agent-token {host}`.")
    return _Credential(host, roles)


def _permitted(credential: _Credential, said: Report) -> Report:
    """The report, if the host claims no role that its credential does not give it.

    Raises:
        Forbidden: it does. Routers and DHCP servers, and what passes through them, go to hosts by their role.
    """
    if beyond := set(said.roles) - credential.roles:
        mend = token_command(credential.host, said.roles)
        raise Forbidden(
            "Forbidden",
            f"The credential of host {credential.host} gives it the role {' and '.join(sorted(credential.roles))}, "
            f"not {' and '.join(sorted(beyond))}: see `{mend}`.",
        )
    return said


class AgentEndpoints:
    """The endpoints, over one service and its streams."""

    def __init__(self, service: Service, streams: StateStreams) -> None:
        self._service = service
        self._streams = streams
        self._holders = Holders(streams.end, service.hosts.alive)

    async def state(self, request: Request) -> Response:
        """`GET /agent/v1/hosts/<host>/state?agent=A&epoch=E&revision=R`; without `agent` somebody only looks."""
        try:
            host = _credential(self._service, request).host
            asker = Asker(request.query_params.get("agent", ""), request.client.host if request.client else "")
            tenure = await self._holders.take(host, asker)
        except Refused as refused:
            return answers.identity_error(refused)
        known = whole(request.query_params.get("revision", ""))
        lines = self._streams.lines(host, request.query_params.get("epoch", ""), -1 if known is None else known, tenure)
        return StreamingResponse(lines, media_type="application/x-ndjson", headers={"Cache-Control": "no-store"})

    async def report(self, request: Request) -> Response:
        """`POST /agent/v1/hosts/<host>/report`."""
        try:
            credential = _credential(self._service, request)
        except Refused as refused:
            return answers.identity_error(refused)
        try:
            said = _permitted(credential, decode_report(await body_of(request, lambda: True)))
            self._holders.check(credential.host, str(said.started_at))
            said = replace(said, errors=(*said.errors, *self._holders.complaints(credential.host)))
            await in_thread(lambda: self._service.hosts.report(credential.host, said))
        except (Refused, Rejected) as error:
            log.warning("report.refused", host=credential.host, reason=str(error))
            return answers.identity_error(error if isinstance(error, Refused) else Refused("BadRequest", str(error)))
        except DriverError as failed:
            log.warning("report.unavailable", host=request.path_params["host"], reason=str(failed))
            return answers.unavailable()
        return Response(status_code=204)
