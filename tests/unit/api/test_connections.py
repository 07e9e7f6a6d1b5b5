"""What the server does with connections and paths, before any resource is spoken of."""

import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import msgspec
import pytest
import urllib3

from warren.testing.api_server import ApiServer, Client, api_server

WAIT_S = 60
HEAD = b"POST /v3/auth/tokens HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    with api_server(tmp_path_factory.mktemp("server"), request_within_s=0.5, keepalive_s=0.2) as running:
        yield running


@pytest.fixture(scope="module")
def admin(server: ApiServer) -> Iterator[Client]:
    client = server.client()
    yield client
    client.close()


def connected(server: ApiServer) -> socket.socket:
    host, _, port = server.url.removeprefix("http://").partition(":")
    return socket.create_connection((host, int(port)), timeout=WAIT_S)


def ended(connection: socket.socket) -> bool:
    """Whether the server closes the connection, after whatever else it says."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"GET /v2.0/net",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ",
        HEAD,
        HEAD + b"{",
        HEAD.replace(b"/v3/auth/tokens", b"/nowhere"),
        HEAD.replace(b"POST", b"GET") + b"{",
    ],
)
def test_a_request_that_is_never_whole_holds_no_connection(server: ApiServer, begun: bytes) -> None:
    with connected(server) as connection:
        connection.sendall(begun)
        assert ended(connection)


def test_a_request_that_comes_byte_by_byte_without_end_holds_no_connection(server: ApiServer) -> None:
    for begun in (b"GET / HTTP/1.1\r\nX-Slow: ", HEAD.replace(b": 9", b": 1000000"), HEAD.replace(b": 9", b": 10000")):
        with connected(server) as connection:
            connection.sendall(begun)
            gone = threading.Event()
            dripping = threading.Thread(target=_drip, args=(connection, gone))
            dripping.start()
            assert ended(connection)
            gone.set()
            dripping.join()


def _drip(connection: socket.socket, gone: threading.Event) -> None:
    while not gone.wait(0.02):
        try:
            connection.sendall(b"x")
        except OSError:
            return


def test_streams_and_idle_clients_outlive_the_slow_requests(server: ApiServer, admin: Client) -> None:
    agent = server.agent("compute1")
    stream = agent.stream()
    assert msgspec.json.decode(stream.readline())["type"] == "snapshot"
    idle = HTTPConnection(server.url.removeprefix("http://"), timeout=WAIT_S)
    assert _status(idle) == 200
    first = idle.sock
    with connected(server) as slow:
        slow.sendall(b"GET /")
        assert ended(slow)
    assert _status(idle) == 200
    assert idle.sock is first, "and on the same connection"
    idle.close()
    keepalives = [msgspec.json.decode(stream.readline())["type"] for _ in range(4)]
    assert keepalives == ["keepalive"] * 4
    assert admin.call("GET", "networks").status == 200
    stream.close()
    agent.close()


def _status(connection: HTTPConnection) -> int:
    connection.request("GET", "/")
    with connection.getresponse() as answer:
        answer.read()
        return answer.status


def test_a_slash_at_the_end_changes_nothing_and_nobody_is_sent_elsewhere(server: ApiServer, admin: Client) -> None:
    network = admin.create("network")["id"]
    evil = {"X-Auth-Token": admin.token, "Host": "evil.example"}
    for path in ("v2.0", "v2.0/networks", f"v2.0/networks/{network}", "v2.0/extensions", "v3", "v3/projects"):
        plain, slashed = (
            urllib3.request("GET", f"{server.url}/{path}{end}", headers=evil, redirect=False) for end in ("", "/")
        )
        assert plain.status == slashed.status == 200, path
        assert plain.data == slashed.data
    for path in ("v2.0/nothing/", "/evil.example/", "v2.0//networks/"):
        answer = urllib3.request("GET", f"{server.url}/{path}", headers=evil, redirect=False)
        assert (answer.status, answer.headers.get("Location")) == (404, None)


def test_a_method_that_a_path_does_not_have_is_said(admin: Client) -> None:
    for method, path in (("DELETE", "networks"), ("PATCH", "networks/x"), ("POST", "extensions")):
        answer = admin.call(method, path)
        assert (answer.status, answer.error) == (405, "HTTPMethodNotAllowed")
        assert f"The method {method} is not allowed for /v2.0/{path}." == answer.body["NeutronError"]["message"]


def test_a_path_that_is_not_there_is_answered_in_its_services_form(server: ApiServer, admin: Client) -> None:
    for path, form in (("v2.0/x", "NeutronError"), ("x", "NeutronError"), ("v3/a/b/c", "error"), ("agent/x", "error")):
        answer = urllib3.request("GET", f"{server.url}/{path}", headers={"X-Auth-Token": admin.token})
        assert (answer.status, set(msgspec.json.decode(answer.data))) == (404, {form}), path


def test_a_server_stops_although_streams_are_open(tmp_path: Path) -> None:
    """By ending them itself: a stream that was cut off would lack its last chunk, and the log would tell of it."""
    with api_server(tmp_path) as server:
        agent = server.agent("compute1")
        stream = agent.stream()
        assert stream.readline()
        server.stop()
        assert stream.read() == b""
        assert "server.stopped" in server.log.read_text()
        assert "Cancel" not in server.log.read_text()
        stream.close()
        agent.close()
