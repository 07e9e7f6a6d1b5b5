"""One server process: open what it needs, serve until told to stop. Needs no root."""

import asyncio
import gc
import logging
import resource
import socket
from contextlib import ExitStack
from pathlib import Path

import structlog
import uvicorn

from warren.core.errors import Unmet
from warren.server.config import Config
from warren.server.http.app import Application
from warren.server.http.connection import patient_for
from warren.server.identity.secrets import server_secret
from warren.server.service import Service
from warren.server.store.store import Store

log: structlog.stdlib.BoundLogger = structlog.get_logger()

BACKLOG = 2048
UNHEARD_MS = 60_000
"""A client that takes nothing of what it is sent for so long is gone, as is an agent whose host lost its power."""

MIDDLE_COLLECTIONS_TO_A_FULL_ONE = 1000


def serve(config: Config) -> None:
    """Serve the API until SIGTERM or SIGINT.

    Raises:
        Unmet: a port is busy, or a file cannot be used; nothing was started.
    """
    with ExitStack() as stack:
        sockets = _sockets(config, stack)
        _allow_connections()
        _collect_all_rarely()
        secret = server_secret(config.secret_file)
        store = Store(config.database)
        stack.callback(store.close)
        application = Application(Service(config, store, secret))
        server = _Server(application, config.request_within_s)
        host, port = sockets[0].getsockname()[:2]
        log.info(
            "server.ready",
            url=f"http://{host}:{port}",
            unix_socket=str(config.unix_socket or ""),
            revision=store.snapshot.revision,
        )
        asyncio.run(server.serve(sockets))
        log.info("server.stopped")


class _Server(uvicorn.Server):
    """Ends the agents' streams first when told to stop, since they never end by themselves."""

    def __init__(self, application: Application, request_within_s: float) -> None:
        super().__init__(
            uvicorn.Config(
                application.asgi,
                interface="asgi3",
                http=patient_for(request_within_s),
                access_log=False,
                log_config=None,
                log_level=logging.WARNING,
                timeout_graceful_shutdown=2,
                timeout_keep_alive=75,
                lifespan="on",
            )
        )
        self._application = application

    def handle_exit(self, sig: int, frame: object) -> None:
        self.should_exit = True
        self._application.stop_streams()


def _allow_connections() -> None:
    """As many as the hard limit lets: each host's state stream holds one, and the usual soft limit is 1,024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _collect_all_rarely() -> None:
    """Have the garbage collector look at everything less often than by Python's own measure, which is 10.

    What the server holds is values without cycles: they go when nobody has them. A full collection looks at all of
    them, 0.2 s and more for 5,000 ports, and everybody waits.
    """
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, MIDDLE_COLLECTIONS_TO_A_FULL_ONE)


def _sockets(config: Config, stack: ExitStack) -> list[socket.socket]:
    # asyncio sets TCP_NODELAY only where the protocol is named; without it every answer waits 40 ms for a delayed ACK.
    tcp = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP))
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    tcp.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNHEARD_MS)  # connections inherit it
    where = f"{config.listen_host}:{config.listen_port}"
    try:
        tcp.bind((config.listen_host, config.listen_port))
        tcp.listen(BACKLOG)
    except OSError as error:
        raise Unmet(
            f"cannot listen on {where}: {error.strerror}; stop what listens there or change `listen`"
        ) from error
    sockets = [tcp]
    if config.unix_socket:
        sockets.append(_unix_socket(config.unix_socket, stack))
    return sockets


def _unix_socket(path: Path, stack: ExitStack) -> socket.socket:
    unix = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
    try:
        if path.is_socket() and _is_abandoned(path):
            path.unlink()
        unix.bind(str(path))
        unix.listen(BACKLOG)
    except OSError as error:
        reason = error.strerror or error
        raise Unmet(f"cannot listen on {path}: {reason}; stop what listens there or change `unix_socket`") from error
    stack.callback(path.unlink, missing_ok=True)
    return unix


def _is_abandoned(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) != 0
