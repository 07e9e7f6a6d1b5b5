"""What must hold when many ask at once, and when the server is killed while they do: real processes, real sockets."""

import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest
import urllib3

from warren.testing.api_server import Answer, ApiServer, Client, api_server

CLIENTS = 50


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ApiServer]:
    with api_server(tmp_path) as running:
        yield running


def network_with(client: Client, cidr: str) -> str:
    network = client.create("network")["id"]
    client.create("subnet", network_id=network, ip_version=4, cidr=cidr, enable_dhcp=False)
    return str(network)


def addresses(ports: list[dict[str, Any]]) -> list[str]:
    return [fixed["ip_address"] for port in ports for fixed in port["fixed_ips"]]


def test_fifty_clients_of_two_servers_on_one_database_never_get_one_address_twice(
    server: ApiServer, tmp_path: Path
) -> None:
    """253 addresses, 300 wishes, two processes that know of each other only by the database."""
    second = ApiServer(tmp_path, config="second.toml")
    second.start()
    admin = server.client()
    network = network_with(admin, "10.0.0.0/24")
    start = threading.Barrier(CLIENTS)

    def ask(number: int) -> list[Answer]:
        client = admin.at((server, second)[number % 2].url)
        start.wait()
        answers = [client.call("POST", "ports", {"port": {"network_id": network}}) for _ in range(6)]
        client.close()
        return answers

    try:
        with ThreadPoolExecutor(CLIENTS) as pool:
            answers = [answer for asked in pool.map(ask, range(CLIENTS)) for answer in asked]
    finally:
        second.stop()
    made = [answer.body["port"] for answer in answers if answer.status == 201]
    assert len(made) == len(set(addresses(made))) == 253
    assert {answer.error for answer in answers if answer.status != 201} == {"IpAddressGenerationFailure"}
    assert sorted(addresses(admin.list(f"ports?network_id={network}"))) == sorted(addresses(made))
    admin.close()


def test_a_killed_server_has_lost_nothing_that_it_answered_201_to(server: ApiServer) -> None:
    admin = server.client()
    network = network_with(admin, "10.0.0.0/16")
    told: list[dict[str, Any]] = []
    for _ in range(3):
        told += _created_until_killed(server, admin.at(server.url), network)
        server.start()
        kept = {port["id"]: port for port in admin.at(server.url).list(f"ports?network_id={network}")}
        assert [port for port in told if kept.get(port["id"]) != port] == []
        assert len(set(addresses(list(kept.values())))) == len(kept)
    assert len(told) > 50, "the server was under no load"
    admin.close()


def _created_until_killed(server: ApiServer, client: Client, network: str) -> list[dict[str, Any]]:
    """Kill the server with -9 while eight clients create ports; the ports that it said it had made."""
    told: list[dict[str, Any]] = []

    def ask(one: Client) -> None:
        try:
            while True:
                told.append(one.create("port", network_id=network))
        except urllib3.exceptions.HTTPError:
            one.close()

    before = len(told)
    threads = [threading.Thread(target=ask, args=(client.at(server.url),)) for _ in range(8)]
    for thread in threads:
        thread.start()
    _until(lambda: len(told) > before + 40)
    server.stop(signal.SIGKILL)
    for thread in threads:
        thread.join()
    client.close()
    return told


def _until(condition: Callable[[], bool], within_s: float = 60) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.005)


def test_a_full_disk_refuses_writes_answers_reads_and_loses_nothing(server: ApiServer) -> None:
    """The disk is full for this process: no file of it may grow (setrlimit(2), RLIMIT_FSIZE)."""
    client, agent = server.client(), server.agent("compute1")
    network = network_with(client, "10.0.0.0/16")
    wish = {"port": {"network_id": network}}
    told = [client.create("port", network_id=network)["id"] for _ in range(5)]
    assert agent.report() == 204
    free = resource.prlimit(server.pid, resource.RLIMIT_FSIZE)
    size = (server.folder / "warren.db-wal").stat().st_size
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (size, free[1]))
    full = client.call("POST", "ports", wish)
    assert (full.status, full.error) == (503, "ServiceUnavailable")
    assert client.call("DELETE", f"ports/{told[0]}").status == 503
    assert {port["id"] for port in client.list("ports")} == set(told)
    assert agent.report() == 204, "a sign of life changes nothing"
    _until(lambda: "tick.unavailable" in server.log.read_text())
    resource.prlimit(server.pid, resource.RLIMIT_FSIZE, free)
    told.append(client.create("port", network_id=network)["id"])
    server.stop(signal.SIGKILL)
    server_log = server.log.read_text()
    server.start()
    assert {port["id"] for port in client.at(server.url).list("ports")} == set(told)
    assert "Traceback" not in server_log
    agent.close()


def test_a_server_takes_more_connections_than_the_soft_limit_that_it_was_started_with(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    server = ApiServer(tmp_path)
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, limits[1]))
    try:
        server.start()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    agents = [server.agent(f"h{number}", number) for number in range(150)]
    streams = [agent.stream() for agent in agents]
    try:
        assert all(stream.readline() for stream in streams)
    finally:
        for stream, agent in zip(streams, agents, strict=True):
            stream.close()
            agent.close()
        server.stop()


def test_a_change_of_the_deployments_mode_and_a_restart_change_what_hosts_are_told(server: ApiServer) -> None:
    agents = [server.agent(f"compute{number}", number) for number in (1, 2, 3)]
    admin = server.client()
    network = network_with(admin, "10.0.0.0/24")
    for agent in agents:
        agent.report()
    ports = [admin.create("port", network_id=network, binding__host_id=f"compute{n}")["id"] for n in (1, 2)]

    def peers() -> dict[str, list[str]]:
        stream = agents[0].stream()
        objects = msgspec.json.decode(stream.readline())["objects"]
        stream.close()
        return {key: one["network_ids"] for key, one in objects.items() if key.startswith("peer/")}

    assert peers() == {"peer/compute2": [], "peer/compute3": []}
    server.stop()
    server.configure(mode="l2pop")
    server.start()
    assert peers() == {"peer/compute2": [network]}
    assert admin.at(server.url).call("DELETE", f"ports/{ports[1]}").status == 204
    assert peers() == {}
    for agent in agents:
        agent.close()


def test_a_change_made_at_one_server_reaches_a_stream_of_another(server: ApiServer, tmp_path: Path) -> None:
    second = ApiServer(tmp_path, config="second.toml")
    second.start()
    try:
        agent = second.agent("compute1")
        agent.report()
        stream = agent.stream()
        assert msgspec.json.decode(stream.readline())["type"] == "snapshot"
        admin = server.client()
        network = network_with(admin, "10.0.0.0/24")
        # The report was made at the other server, which writes down whom it heard once a second.
        port = admin.create("port", network_id=network, binding__host_id="compute1")["id"]
        _until(lambda: admin.call("GET", f"ports/{port}").body["port"]["binding:vif_type"] == "ovs")
        assert f"port/{port}" in msgspec.json.decode(stream.readline())["set"]
        stream.close()
        agent.close()
        admin.close()
    finally:
        second.stop()


def test_a_thousand_hosts_stay_connected_and_only_those_concerned_are_told(server: ApiServer) -> None:
    hosts = 1000
    admin = server.client()
    networks = [network_with(admin, "10.0.0.0/16") for _ in range(2)]
    agents = [server.agent(f"host{number:04}", number % 250 + 1) for number in range(hosts)]
    for agent in agents[:2]:
        agent.report(vtep_ip="")
    for agent, network in zip(agents, networks, strict=False):
        admin.create("port", network_id=network, binding__host_id=agent.host, port_security_enabled=False)
    streams = [agent.stream() for agent in agents]
    for stream in streams:
        assert msgspec.json.decode(stream.readline())["type"] == "snapshot"
    own = {"network_id": networks[0], "binding__host_id": "host0000", "port_security_enabled": False}
    port = admin.create("port", **own)["id"]
    while (told := msgspec.json.decode(streams[0].readline()))["type"] == "keepalive":
        pass  # a thousand connections can take longer than a stream stays silent
    assert f"port/{port}" in told["set"]
    assert {msgspec.json.decode(stream.readline())["type"] for stream in streams[1:]} == {"keepalive"}
    for stream, agent in zip(streams, agents, strict=True):
        stream.close()
        agent.close()
    admin.close()
