"""The server's promises: how fast it answers, how much memory it takes, on SQLite that waits for the disk."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.figure import Figure
from warren.sync.messages import ObjectStatus
from warren.testing.api_server import Agent, ApiServer, Client, api_server

RUNS = 5
PORTS_PER_REQUEST = 100


@contextmanager
def _served() -> Iterator[tuple[ApiServer, Client, str]]:
    with tempfile.TemporaryDirectory() as folder, api_server(Path(folder)) as server:
        client = server.client()
        network = client.create("network")["id"]
        client.create("subnet", network_id=network, ip_version=4, cidr="10.0.0.0/16")
        yield server, client, network
        client.close()


def _fill(client: Client, network: str, count: int) -> None:
    for _ in range(count // PORTS_PER_REQUEST):
        body = {"ports": [{"network_id": network}] * PORTS_PER_REQUEST}
        assert client.call("POST", "ports", body).status == 201


def port_creation() -> Iterator[float]:
    """Ports per second, one client, one after another."""
    with _served() as (_, client, network):
        for _ in range(RUNS):
            start = time.perf_counter()
            for _ in range(300):
                client.create("port", network_id=network)
            yield 300 / (time.perf_counter() - start)


def port_list(count: int) -> Callable[[], Iterator[float]]:
    """Milliseconds of `GET /v2.0/ports`, answer read and decoded by the client."""

    def measure() -> Iterator[float]:
        with _served() as (_, client, network):
            _fill(client, network, count)
            client.list("ports")
            for _ in range(RUNS):
                start = time.perf_counter()
                assert len(client.list("ports")) >= count
                yield (time.perf_counter() - start) * 1000

    return measure


def memory() -> Iterator[float]:
    """MB of resident memory with 5,000 ports, after they were listed."""
    with _served() as (server, client, network):
        _fill(client, network, 5000)
        client.list("ports")
        yield server.rss_bytes() / 1e6


def report_to_active() -> Iterator[float]:
    """Milliseconds from an agent's report to a port that a client sees ACTIVE."""
    with _served() as (server, client, network):
        agent = server.agent("compute1")
        agent.report()
        for _ in range(50):
            yield _to_active(client, agent, network)
        agent.close()


def _to_active(client: Client, agent: Agent, network: str) -> float:
    port = client.create("port", network_id=network, binding__host_id=agent.host)["id"]
    start = time.perf_counter()
    agent.report({f"port/{port}": ObjectStatus(status="wired")})
    assert client.call("GET", f"ports/{port}").body["port"]["status"] == "ACTIVE"
    return (time.perf_counter() - start) * 1000


FIGURES = (
    Figure(
        name="server-port-create",
        what="POST /v2.0/ports, 1 client, SQLite",
        unit="/s",
        reach=300,
        peer="5/s",
        measure=port_creation,
        more_is_better=True,
        needs_root=False,
    ),
    Figure(
        name="server-port-list-1000",
        what="GET /v2.0/ports with 1,000 ports",
        unit="ms",
        reach=50,
        peer="1.0 s",
        measure=port_list(1000),
        needs_root=False,
    ),
    Figure(
        name="server-port-list-5000",
        what="GET /v2.0/ports with 5,000 ports",
        unit="ms",
        reach=250,
        peer="4.2 s",
        measure=port_list(5000),
        needs_root=False,
    ),
    Figure(
        name="server-memory",
        what="server's memory with 5,000 ports",
        unit="MB",
        reach=200,
        peer="1.0 GB",
        measure=memory,
        needs_root=False,
    ),
    Figure(
        name="server-report",
        what="agent's report to a port seen ACTIVE",
        unit="ms",
        reach=10,
        peer="",
        measure=report_to_active,
        needs_root=False,
    ),
)
