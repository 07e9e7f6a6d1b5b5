"""A connection that waits for a request, but not for ever. The only module that knows the web server's inside."""

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol


def patient_for(seconds: float) -> type[H11Protocol]:
    """The protocol of connections on which a request must be whole, head and body, so long after it began.

    It begins with the connection, or with its first byte where others went before; between two requests the web
    server's own keep-alive time holds. What is slow after that, the answer or a stream, is not bounded here.
    """

    class Connection(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._watch()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._watch()

        def connection_lost(self, exc: Exception | None) -> None:
            super().connection_lost(exc)
            self._forget()

        def _watch(self) -> None:
            if self.conn.their_state not in {h11.IDLE, h11.SEND_BODY}:
                self._forget()
            elif self._deadline is None and self.timeout_keep_alive_task is None:
                self._deadline = self.loop.call_later(seconds, self.transport.close)

        def _forget(self) -> None:
            if self._deadline:
                self._deadline.cancel()
                self._deadline = None

    return Connection
