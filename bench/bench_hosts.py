"""The server with a thousand hosts: what a commit costs while all their state streams are open.

The hosts are agents without a machine behind them: each has reported, and one thread hears all of their streams. Ports
are where a deployment has them: five on each host, each network on ten hosts. l2pop, where a host is told who is where.
"""

import queue
import resource
import selectors
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from bench.figure import Figure
from warren.core.errors import Unreachable
from warren.testing.api_server import ApiServer, Client, api_server

HOSTS: Final = 1000
NETWORKS: Final = 500
PORTS_ON_A_HOST: Final = 5
RUNS: Final = 5
PORTS_OF_A_RUN: Final = 200
CHANGES: Final = 100
PATIENCE_S: Final = 30


@dataclass(frozen=True, slots=True)
class _Net:
    id: str
    group: str


class _Streams:
    """Every host's state stream, heard by one thread: when which host was told what."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._selector = selectors.DefaultSelector()
        self._heard: queue.SimpleQueue[tuple[float, str, bytes]] = queue.SimpleQueue()
        self._ear = threading.Thread(target=self._hear, daemon=True)
        self._is_done = False

    def open(self, host: str, headers: Mapping[str, str]) -> None:
        name, _, port = self._server.url.removeprefix("http://").partition(":")
        connection = socket.create_connection((name, int(port)))
        asked = f"GET /agent/v1/hosts/{host}/state?epoch=&revision=-1 HTTP/1.1\r\nHost: {name}\r\n"
        connection.sendall((asked + "".join(f"{k}: {v}\r\n" for k, v in headers.items()) + "\r\n").encode())
        self._selector.register(connection, selectors.EVENT_READ, (host, bytearray()))

    def start(self) -> None:
        """Begin to hear, and wait for the first line of every stream."""
        self._ear.start()
        self.until_told({f"h{number}" for number in range(HOSTS)}, b'"snapshot"')

    def until_told(self, hosts: set[str], words: bytes) -> float:
        """The time at which the last of the hosts was told a line with these words."""
        at, waited_for = 0.0, set(hosts)
        while waited_for:
            try:
                at, host, line = self._heard.get(timeout=PATIENCE_S)
            except queue.Empty:
                raise Unreachable(f"{len(waited_for)} hosts were not told of {words.decode()}") from None
            if words in line:
                waited_for.discard(host)
        return at

    def _hear(self) -> None:
        while not self._is_done:
            for key, _ in self._selector.select(timeout=0.1):
                host, held = key.data
                held += key.fileobj.recv(1 << 20)  # type: ignore[union-attr]
                *lines, rest = held.split(b"\n")
                held[:] = rest
                now = time.perf_counter()
                for line in lines:
                    if line.startswith(b"{"):
                        self._heard.put((now, host, bytes(line)))

    def close(self) -> None:
        self._is_done = True
        if self._ear.is_alive():
            self._ear.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()


@contextmanager
def _crowd() -> Iterator[tuple[ApiServer, Client, _Streams]]:
    """A server with a thousand hosts that reported and listen."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with (
        tempfile.TemporaryDirectory() as folder,
        api_server(Path(folder), mode="l2pop", agent_down_time_s=600) as server,
        closing(_Streams(server)) as streams,
    ):
        for number in range(HOSTS):
            agent = server.agent(f"h{number}")
            vtep_ip = f"10.9.{number // 250}.{number % 250 + 1}"
            if agent.report(vtep_ip=vtep_ip) != 204:
                raise Unreachable(f"the report of {agent.host} was refused")
            streams.open(agent.host, agent.headers)
            agent.close()
        streams.start()
        client = server.client()
        yield server, client, streams
        client.close()


def _network(client: Client, name: str) -> _Net:
    """A network with a subnet, and a group whose members let each other in."""
    network = client.create("network", name=name)["id"]
    client.create("subnet", network_id=network, ip_version=4, cidr="10.0.0.0/16")
    group = client.create("security_group", "security-groups", name=name)["id"]
    rule = {"security_group_id": group, "direction": "ingress", "remote_group_id": group}
    client.create("security_group_rule", "security-group-rules", **rule)
    return _Net(network, group)


def _port(net: _Net, host: int) -> dict[str, Any]:
    return {"network_id": net.id, "security_groups": [net.group], "binding:host_id": f"h{host}"}


def _nets_on(host: int) -> list[int]:
    return [(host + 101 * number) % NETWORKS for number in range(PORTS_ON_A_HOST)]


def _network_creation(client: Client, nets: list[_Net]) -> Iterator[float]:
    """Networks per second, each with all that belongs to it: four requests, one after another."""
    while len(nets) < NETWORKS:
        start = time.perf_counter()
        nets += [_network(client, f"n{len(nets) + number}") for number in range(NETWORKS // RUNS)]
        yield NETWORKS / RUNS / (time.perf_counter() - start)


def _port_creation(client: Client, nets: list[_Net]) -> Iterator[float]:
    """Ports per second, one client, one after another, here and there."""
    for run in range(RUNS):
        start = time.perf_counter()
        for number in range(run * PORTS_OF_A_RUN, (run + 1) * PORTS_OF_A_RUN):
            assert client.call("POST", "ports", {"port": _port(nets[number % NETWORKS], number % HOSTS)}).status == 201
        yield PORTS_OF_A_RUN / (time.perf_counter() - start)


def _telling(client: Client, streams: _Streams, nets: list[_Net]) -> Iterator[float]:
    """Milliseconds from a request for a port until all hosts on its network have been told of it."""
    for number in range(CHANGES):
        net = number * 7 % NETWORKS
        concerned = {host for host in range(HOSTS) if net in _nets_on(host)}
        start = time.perf_counter()
        answer = client.call("POST", "ports", {"port": _port(nets[net], min(concerned))})
        mac_address = answer.body["port"]["mac_address"]
        told_at = streams.until_told({f"h{host}" for host in concerned}, mac_address.encode())
        yield (told_at - start) * 1000


@cache
def _measured() -> Mapping[str, tuple[float, ...]]:
    """The values of every figure here, of one deployment: to fill it takes longer than to measure."""
    with _crowd() as (server, client, streams):
        nets: list[_Net] = []
        networks = tuple(_network_creation(client, nets))
        for host in range(HOSTS):
            body = {"ports": [_port(nets[net], host) for net in _nets_on(host)]}
            assert client.call("POST", "ports", body).status == 201
        return {
            "networks": networks,
            "memory": (server.rss_bytes() / 1e6,),
            "told": tuple(_telling(client, streams, nets)),
            "ports": tuple(_port_creation(client, nets)),
        }


def _values(name: str) -> Callable[[], Iterator[float]]:
    return lambda: iter(_measured()[name])


FIGURES = (
    Figure(
        name="hosts-networks",
        what="1,000 hosts listen: networks with subnet, group and rule",
        unit="/s",
        reach=100,
        peer="",
        measure=_values("networks"),
        more_is_better=True,
        needs_root=False,
    ),
    Figure(
        name="hosts-ports",
        what="1,000 hosts listen: POST /v2.0/ports, 1 client",
        unit="/s",
        reach=300,
        peer="",
        measure=_values("ports"),
        more_is_better=True,
        needs_root=False,
    ),
    Figure(
        name="hosts-told",
        what="1,000 hosts listen: a new port, until the last of the 10 hosts on its network is told",
        unit="ms",
        reach=25,
        peer="",
        measure=_values("told"),
        needs_root=False,
    ),
    Figure(
        name="hosts-memory",
        what="server's memory with 1,000 hosts that listen, 5,000 ports",
        unit="MB",
        reach=250,
        peer="",
        measure=_values("memory"),
        needs_root=False,
    ),
)
