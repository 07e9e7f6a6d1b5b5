"""HTTP to the server: the state stream and reports, over TCP, TLS or a Unix socket. The only module that uses urllib3.

Translates everything that can go wrong into `Unreachable` (try again) or `Rejected` (it answered no; the sentence says
the mend). Retries nothing itself and keeps no state but idle connections.
"""

import json
import socket
import ssl
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

import urllib3
from urllib3.connection import HTTPConnection as PooledConnection
from urllib3.exceptions import HTTPError, NewConnectionError, SSLError
from urllib3.response import BaseHTTPResponse

from warren.agent.config import ServerConfig
from warren.core.errors import Rejected, Unreachable
from warren.core.ids import HostName
from warren.core.roles import token_command
from warren.sync.messages import Report, StateMessage, decode_message, encode

CONNECT_TIMEOUT_S: Final = 3.0
REPORT_TIMEOUT_S: Final = 10.0
SILENCE_TIMEOUT_S: Final = 30.0
"""A state stream that sent nothing, not even a keepalive, for this long is dead."""
READ_BYTES: Final = 1 << 16
LINE_BYTES_MAX: Final = 1 << 26
"""A server that never ends a line must not take the host's memory; a state of 100,000 objects is shorter."""
SAID_BYTES_MAX: Final = 1 << 13
REASON_LETTERS_MAX: Final = 500
BROKEN: Final = (HTTPError, OSError, ValueError)
"""What comes of an answer that is not whole, or none; of a chunk with a negative length a `ValueError`."""


class UnixConnection(PooledConnection):
    """An HTTP connection through a Unix stream socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=CONNECT_TIMEOUT_S)
        self._path = path

    def _new_conn(self) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.settimeout(CONNECT_TIMEOUT_S)
        try:
            connection.connect(self._path)
        except OSError as error:
            connection.close()
            raise NewConnectionError(self, f"{self._path}: {error.strerror}") from error
        return connection


class UnixPool(urllib3.HTTPConnectionPool):
    """Connections to one Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", maxsize=2)
        self._path = path

    def _new_conn(self) -> UnixConnection:
        return UnixConnection(self._path)


class Server:
    """The server, as one host's agent sees it. Safe for one thread that streams and one that reports."""

    def __init__(self, config: ServerConfig, host: HostName, roles: tuple[str, ...]) -> None:
        self.url = config.url
        self._token_file = config.token_file
        self._prefix, self._pool = _connect(config.url)
        self._host = host
        self._roles = roles

    def stream(self, resume_point: tuple[str, int] | None, agent: str = "") -> Iterator[StateMessage]:
        """Every message of one conversation, as it arrives; ends only by raising.

        With a name in `agent` (when this process started) it is the host's agent that asks, of which there is one.

        Raises:
            Unreachable: no connection, or it broke, or was silent for too long.
            Rejected: the server refused, or sent what is no message.
        """
        asked = {"agent": agent} if agent else {}
        if resume_point:
            asked |= {"epoch": resume_point[0], "revision": str(resume_point[1])}
        query = f"?{urlencode(asked)}" if asked else ""
        response = self._request("GET", f"state{query}", None, SILENCE_TIMEOUT_S)
        try:
            if response.status != HTTPStatus.OK:
                raise self._refusal(response)
            yield from self._messages(response)
        except BROKEN as error:
            raise Unreachable(f"the state stream of {self.url} broke: {_brief(error)}") from error
        finally:
            response.close()
        raise Unreachable(f"{self.url} ended the state stream")

    def report(self, report: Report) -> None:
        """Deliver a report.

        Raises:
            Unreachable: it was not delivered, as far as is known.
            Rejected: the server refused it.
        """
        response = self._request("POST", "report", encode(report), REPORT_TIMEOUT_S)
        try:
            if response.status != HTTPStatus.NO_CONTENT:
                raise self._refusal(response)
        except BROKEN as error:
            raise Unreachable(f"the answer of {self.url} to a report broke: {_brief(error)}") from error
        finally:
            response.drain_conn()
            response.release_conn()

    def _request(self, method: str, what: str, body: bytes | None, timeout_s: float) -> BaseHTTPResponse:
        headers = {"Content-Type": "application/json"} if body else {}
        if self._token_file is not None:
            headers["Authorization"] = f"Bearer {_read_token(self._token_file)}"
        try:
            return self._pool.urlopen(
                method,
                f"{self._prefix}/agent/v1/hosts/{quote(self._host, safe='')}/{what}",
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=timeout_s),
            )
        except SSLError as error:
            raise Rejected(f"the server {self.url} {_distrust(error)}") from error
        except BROKEN as error:
            raise Unreachable(f"the server {self.url} does not answer: {_brief(error)}") from error

    def _messages(self, response: BaseHTTPResponse) -> Iterator[StateMessage]:
        try:
            for line in _lines(response):
                yield decode_message(line)
        except Rejected as error:
            raise Rejected(f"the server {self.url} sent what it should not: {error}; check server.url") from error

    def _refusal(self, response: BaseHTTPResponse) -> Unreachable | Rejected:
        if response.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            return Rejected(
                f"the server {self.url} does not accept this agent's token for host {self._host} with the role "
                f"{' and '.join(self._roles)}: put what `{token_command(self._host, self._roles)}` prints into "
                f"{self._token_file or 'a file and name it as server.token_file'}"
            )
        said = _said(response.read(SAID_BYTES_MAX))
        if response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Unreachable(f"the server {self.url} answered {response.status}: {said or response.reason}")
        mend = f"{response.reason}, as no server of Warren's does: check server.url"
        return Rejected(f"the server {self.url} answered {response.status}: {said or mend}")


def _said(body: bytes) -> str:
    """The message in an error of the server's; empty for anything else, a web server's page for instance."""
    try:
        (error,) = json.loads(body).values()
        return " ".join(str(error["message"]).split())
    except (ValueError, AttributeError, TypeError, KeyError, RecursionError):
        return ""


def _brief(error: Exception) -> str:
    """What went wrong, without all that a server sent which is none of Warren's."""
    text = str(error)
    return text if len(text) <= REASON_LETTERS_MAX else f"{text[:REASON_LETTERS_MAX]}…"


def _distrust(error: SSLError) -> str:
    """Why there is no TLS with the server, and the mend."""
    why = error.args[0] if error.args else error
    if not isinstance(why, ssl.SSLCertVerificationError):
        return f"does not speak TLS as this host does ({why}): check server.url, which may have to begin with http://"
    return (
        f"shows a certificate that this host does not accept ({why.verify_message}): put the authority that signed it "
        "among this host's (update-ca-certificates), or write the name that the certificate is for into server.url"
    )


def _connect(url: str) -> tuple[str, urllib3.HTTPConnectionPool]:
    """(path prefix, idle connections) of a URL; connects to nothing yet."""
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return "", UnixPool(parts.path)
    pool = urllib3.HTTPSConnectionPool if parts.scheme == "https" else urllib3.HTTPConnectionPool
    return parts.path, pool(parts.hostname or "", parts.port, maxsize=2)


def _read_token(path: Path) -> str:
    """The token, read anew for each request, so that it can be exchanged under a running agent.

    Raises:
        Rejected: the file cannot be read, or does not hold one word.
    """
    try:
        token = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(f"the agent's token cannot be read from {path}: {error}") from error
    if len(token.split()) != 1 or not token.isprintable():
        what = "more than a token: it is one word" if token else "no token"
        raise Rejected(f"the agent's token file {path} holds {what}, as `warren server agent-token HOST` prints it")
    return token


def _lines(response: BaseHTTPResponse) -> Iterator[bytes]:
    """Whole lines of a body of unknown length, each as soon as its end has come.

    Raises:
        Rejected: a line does not end.
    """
    line = bytearray()
    while piece := response.read1(READ_BYTES):
        *ended, rest = piece.split(b"\n")
        for end in ended:
            line += end
            if whole := bytes(line).strip():
                yield whole
            line.clear()
        line += rest
        if len(line) > LINE_BYTES_MAX:
            raise Rejected(f"a line of more than {LINE_BYTES_MAX >> 20} MiB, which no state has")
