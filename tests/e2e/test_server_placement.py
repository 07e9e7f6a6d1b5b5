"""Routers and DHCP servers run on live network hosts, and move when theirs dies or is drained; on a real server."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from warren.testing.api_server import Agent, ApiServer, Client, api_server

DOWN_TIME_S = 1.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with api_server(tmp_path, agent_down_time_s=DOWN_TIME_S) as running:
        yield running


@pytest.fixture
def admin(server: ApiServer) -> Iterator[Client]:
    client = server.client()
    yield client
    client.close()


@pytest.fixture
def hosts(server: ApiServer) -> Iterator[dict[str, Agent]]:
    agents = {f"network{number}": server.agent(f"network{number}", number, ("network",)) for number in (1, 2)}
    for agent in agents.values():
        agent.report()
    yield agents
    for agent in agents.values():
        agent.close()


def until(condition: Callable[[], bool], said: Callable[[], object], within_s: float = 60) -> None:
    """Wait for a condition while `said` keeps agents alive."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        said()
        time.sleep(0.05)


def routed(client: Client, number: int) -> dict[str, Any]:
    """A router with one interface, and the port that it has there."""
    network = client.create("network")["id"]
    subnet = client.create("subnet", network_id=network, ip_version=4, cidr=f"10.{number}.0.0/24")["id"]
    router = client.create("router")["id"]
    answer = client.call("PUT", f"routers/{router}/add_router_interface", {"subnet_id": subnet})
    assert answer.status == 200
    return {"id": router, "network_id": network, "port_id": answer.body["port_id"]}


def host_of(client: Client, port_id: str) -> str:
    return str(client.call("GET", f"ports/{port_id}").body["port"]["binding:host_id"])


def dhcp_host(client: Client, network_id: str) -> str:
    (port,) = client.list(f"ports?network_id={network_id}&device_owner=network:dhcp")
    return str(port["binding:host_id"])


def test_routers_and_dhcp_servers_are_spread_evenly(admin: Client, hosts: dict[str, Agent]) -> None:
    routers = [routed(admin, number) for number in range(4)]
    assert Counter(host_of(admin, router["port_id"]) for router in routers) == dict.fromkeys(hosts, 2)
    assert Counter(dhcp_host(admin, router["network_id"]) for router in routers) == dict.fromkeys(hosts, 2)


def test_what_ran_on_a_host_that_died_moves_to_one_that_lives(admin: Client, hosts: dict[str, Agent]) -> None:
    routers = [routed(admin, number) for number in range(2)]
    alive = hosts["network2"]
    until(lambda: all(host_of(admin, one["port_id"]) == "network2" for one in routers), alive.report)
    until(lambda: all(dhcp_host(admin, one["network_id"]) == "network2" for one in routers), alive.report)
    stream = alive.stream()
    objects = msgspec.json.decode(stream.readline())["objects"]
    assert {f"router/{one['id']}" for one in routers} <= set(objects)
    stream.close()
    rows = {row["agent_type"]: row["alive"] for row in admin.list("agents?host=network1")}
    assert rows == {"Open vSwitch agent": False, "L3 agent": False, "DHCP agent": False}


@pytest.mark.usefixtures("hosts")
def test_a_drained_agent_loses_what_it_ran_to_another(admin: Client) -> None:
    routers = [routed(admin, number) for number in range(2)]
    (row,) = admin.list("agents?host=network1&agent_type=L3%20agent")
    answer = admin.call("PUT", f"agents/{row['id']}", {"agent": {"admin_state_up": False}})
    assert answer.body["agent"]["admin_state_up"] is False
    assert {host_of(admin, one["port_id"]) for one in routers} == {"network2"}
    assert {dhcp_host(admin, one["network_id"]) for one in routers} == {"network1", "network2"}


def test_what_cannot_move_stays_where_it_is(server: ApiServer, admin: Client) -> None:
    """A dead agent's data plane may well be alive: taking the router from it would help nobody."""
    agent = server.agent("network1", 1, ("network",))
    agent.report()
    router = routed(admin, 1)
    agent.close()
    until(lambda: not admin.list("agents?host=network1&agent_type=L3%20agent")[0]["alive"], lambda: None)
    assert host_of(admin, router["port_id"]) == "network1"


def test_a_router_that_waits_for_a_host_says_so_and_gets_the_first_that_appears(
    server: ApiServer, admin: Client
) -> None:
    router = routed(admin, 1)
    assert admin.call("GET", f"routers/{router['id']}").body["router"]["status"] == "DOWN"
    agent = server.agent("network1", 1, ("network",))
    agent.report()
    assert host_of(admin, router["port_id"]) == "network1"
    assert admin.call("GET", f"routers/{router['id']}").body["router"]["status"] == "BUILD"
    agent.close()


def test_a_dead_agent_can_be_forgotten_and_is_back_when_it_reports(server: ApiServer, admin: Client) -> None:
    agent = server.agent("compute1", 3)
    agent.report()
    (row,) = admin.list("agents?host=compute1")
    assert admin.call("DELETE", f"agents/{row['id']}").error == "AgentInUse"
    until(lambda: admin.call("DELETE", f"agents/{row['id']}").status == 204, lambda: None)
    assert admin.list("agents?host=compute1") == []
    agent.report()
    assert len(admin.list("agents?host=compute1")) == 1
    agent.close()


def test_the_tunnel_address_of_a_host_that_lives_is_no_other_hosts(server: ApiServer, admin: Client) -> None:
    old, new = server.agent("compute1", 3), server.agent("renamed1", 3)
    assert old.report() == 204
    assert new.report() == 409
    assert admin.list("agents?host=renamed1") == []
    until(lambda: new.report() == 204, lambda: None)
    assert [row["alive"] for row in admin.list("agents?host=compute1")] == [False], "a host may get another name"
    old.close()
    new.close()


def test_a_server_that_starts_again_knows_the_living_from_the_dead(
    server: ApiServer, admin: Client, hosts: dict[str, Agent]
) -> None:
    def alive(client: Client) -> set[str]:
        return {row["host"] for row in client.list("agents?agent_type=L3%20agent") if row["alive"]}

    until(lambda: alive(admin) == {"network2"}, hosts["network2"].report)
    hosts["network2"].report()
    server.stop()
    server.start()
    again = admin.at(server.url)
    assert alive(again) == {"network2"}, "nobody could report meanwhile, and the dead are still dead"
    again.close()
