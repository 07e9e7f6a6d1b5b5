"""One real server for all tests of the API, and who asks it. Each test makes what it needs; they share the users."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from warren.sync.messages import ObjectStatus
from warren.testing.api_server import Agent, ApiServer, Client, api_server

WIRED = ObjectStatus(status="wired")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("server")) as running:
        yield running


@pytest.fixture(scope="session")
def admin(server: ApiServer) -> Iterator[Client]:
    client = server.client()
    yield client
    client.close()


@pytest.fixture(scope="session")
def alice(server: ApiServer) -> Iterator[Client]:
    client = server.client("alice", "red")
    yield client
    client.close()


@pytest.fixture(scope="session")
def bob(server: ApiServer) -> Iterator[Client]:
    client = server.client("bob", "blue")
    yield client
    client.close()


@pytest.fixture(scope="session")
def network_host(server: ApiServer) -> Iterator[Agent]:
    agent = server.agent("network", 1, ("network",))
    assert agent.report() == 204
    yield agent
    agent.close()


@pytest.fixture(scope="session")
def compute(server: ApiServer) -> Iterator[Agent]:
    agent = server.agent("compute1", 2)
    assert agent.report() == 204
    yield agent
    agent.close()


@pytest.fixture(scope="session")
def external(admin: Client) -> dict[str, Any]:
    flat = {"provider__network_type": "flat", "provider__physical_network": "public"}
    network = admin.create("network", name="public", router__external=True, **flat)
    admin.create("subnet", network_id=network["id"], ip_version=4, cidr="203.0.113.0/24", enable_dhcp=False)
    return network


def with_subnet(client: Client, cidr: str = "10.0.0.0/24", **attributes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    network = client.create("network", **attributes)
    return network, client.create("subnet", network_id=network["id"], ip_version=4, cidr=cidr)


def state_of(agent: Agent) -> tuple[dict[str, Any], int]:
    """The snapshot that the agent is sent: objects and revision."""
    stream = agent.stream()
    message = msgspec.json.decode(stream.readline())
    stream.close()
    return message["objects"], message["revision"]
