"""JSON-RPC 1.0 over a stream socket, as OVSDB (RFC 7047, 4) and the control sockets of OVS daemons speak it.

Knows no method. Not thread-safe: one connection belongs to one thread.
"""

import codecs
import json
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from warren.core.errors import Invalid, Rejected, Unreachable

_CHUNK: Final = 1 << 20
_LONGEST: Final = 1 << 28
"""Characters of one message; far above any real database, so that garbage cannot fill the memory."""


class Connection:
    """A connection to a remote such as `unix:/run/openvswitch/db.sock` or `tcp:127.0.0.1:6640`.

    Raises:
        Unreachable: nobody listens there.
        Invalid: `remote` has neither form.
    """

    def __init__(self, remote: str, timeout_s: float) -> None:
        self.remote = remote
        self._decoder = json.JSONDecoder()
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._text = ""
        self._requests = 0
        family, address = _address(remote)
        self._socket = socket.socket(family)
        self._socket.settimeout(timeout_s)
        try:
            self._socket.connect(address)
        except OSError as error:
            self._socket.close()
            raise Unreachable(f"{remote}: {error.strerror or error}") from error

    def call(self, method: str, parameters: list[Any]) -> Any:
        """Ask and wait for the answer; notifications that come meanwhile are dropped.

        Raises:
            Unreachable: the connection broke, or there was no answer in time.
            Rejected: the answer is an error.
        """
        self._requests += 1
        self._send({"method": method, "params": parameters, "id": self._requests})
        for message in self.messages():
            if message.get("id") == self._requests and "method" not in message:
                if message.get("error") is not None:
                    raise Rejected(f"{self.remote}: {method}: {message['error']}")
                return message.get("result")
        raise Unreachable(f"{self.remote}: the connection was closed")

    def messages(self) -> Iterator[dict[str, Any]]:
        """Every message that arrives, until the other side closes. Echo requests are answered here.

        Raises:
            Unreachable: nothing came for the connection's timeout, or it broke.
            Rejected: what came is not JSON.
        """
        while True:
            while self._text:
                message = self._next()
                if message is None:
                    break
                if message.get("method") == "echo":
                    self._send({"id": message["id"], "result": message["params"], "error": None})
                else:
                    yield message
            try:
                chunk = self._socket.recv(_CHUNK)
            except OSError as error:
                raise Unreachable(f"{self.remote}: {error}") from error
            if not chunk:
                return
            self._text += self._utf8.decode(chunk)
            if len(self._text) > _LONGEST:
                raise Rejected(f"{self.remote}: a message is longer than {_LONGEST} characters")

    def settimeout(self, timeout_s: float | None) -> None:
        self._socket.settimeout(timeout_s)

    def close(self) -> None:
        """Close; a thread that waits in `messages` is woken."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _send(self, message: dict[str, Any]) -> None:
        try:
            self._socket.sendall(json.dumps(message).encode())
        except OSError as error:
            raise Unreachable(f"{self.remote}: {error}") from error

    def _next(self) -> dict[str, Any] | None:
        """The next whole message of what has arrived, or None: there is none yet."""
        if not self._text.rstrip().endswith("}"):
            return None
        try:
            message, end = self._decoder.raw_decode(self._text)
        except json.JSONDecodeError:
            return None
        self._text = self._text[end:].lstrip()
        if not isinstance(message, dict):
            raise Rejected(f"{self.remote}: this is not a JSON-RPC message: {message!r}")
        return message


def _address(remote: str) -> tuple[socket.AddressFamily, Any]:
    kind, _, rest = remote.partition(":")
    if kind == "unix" and rest:
        return socket.AF_UNIX, rest
    host, _, port = rest.rpartition(":")
    if kind == "tcp" and host and port.isdigit():
        family = socket.AF_INET6 if host.startswith("[") else socket.AF_INET
        return family, (host.strip("[]"), int(port))
    raise Invalid("BadRemote", f"{remote!r} is not an OVSDB remote: use unix:PATH or tcp:ADDRESS:PORT")
