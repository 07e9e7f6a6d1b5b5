"""JSON-RPC with a peer that cuts, joins and garbles what it sends."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from warren.agent.drivers.jsonrpc import Connection
from warren.core.errors import Invalid, Rejected, Unreachable

Answer = Callable[[socket.socket], None]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[[Answer], Connection]]:
    """A peer that does `answer` on its one connection after the first request has come, then closes."""
    path = tmp_path / "s"
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(path))
    listener.listen()
    threads: list[threading.Thread] = []
    connections: list[Connection] = []

    def run(answer: Answer) -> None:
        peer, _ = listener.accept()
        with peer:
            peer.recv(1 << 16)
            answer(peer)

    def start(answer: Answer) -> Connection:
        threads.append(threading.Thread(target=run, args=(answer,)))
        threads[-1].start()
        connections.append(Connection(f"unix:{path}", timeout_s=1.0))
        return connections[-1]

    yield start
    for connection in connections:
        connection.close()
    for thread in threads:
        thread.join()
    listener.close()


def sending(*pieces: bytes) -> Answer:
    def answer(peer: socket.socket) -> None:
        for piece in pieces:
            peer.sendall(piece)

    return answer


def result(value: object) -> bytes:
    return json.dumps({"id": 1, "result": value, "error": None}).encode()


def test_an_answer_in_pieces_is_put_together_also_within_a_character(serve: Callable[[Answer], Connection]) -> None:
    text = json.dumps({"id": 1, "result": "grüße}", "error": None}, ensure_ascii=False).encode()
    cut = text.index(b"\xc3") + 1
    assert serve(sending(text[:5], text[5:cut], text[cut:])).call("get", []) == "grüße}"


def test_what_comes_before_the_answer_in_one_piece_is_skipped(serve: Callable[[Answer], Connection]) -> None:
    update = json.dumps({"method": "update", "params": [], "id": None}).encode()
    late = json.dumps({"id": 0, "result": "of another question", "error": None}).encode()
    assert serve(sending(update + late + b"\n" + result(7))).call("get", []) == 7


def test_an_echo_is_answered(serve: Callable[[Answer], Connection]) -> None:
    heard: list[object] = []

    def answer(peer: socket.socket) -> None:
        peer.sendall(json.dumps({"method": "echo", "params": ["still", "there"], "id": "e"}).encode())
        heard.append(json.loads(peer.recv(1 << 16)))
        peer.sendall(result("done"))

    assert serve(answer).call("get", []) == "done"
    assert heard == [{"id": "e", "result": ["still", "there"], "error": None}]


def test_an_error_is_rejected_with_its_text(serve: Callable[[Answer], Connection]) -> None:
    refused = json.dumps({"id": 1, "result": None, "error": "unknown method"}).encode()
    with pytest.raises(Rejected, match="get: unknown method"):
        serve(sending(refused)).call("get", [])


@pytest.mark.parametrize("pieces", [(b"",), (b'{"id": 1, "resu',), (b"garbage}",)], ids=["nothing", "half", "garbage"])
def test_a_peer_that_ends_without_an_answer_is_unreachable(
    serve: Callable[[Answer], Connection], pieces: tuple[bytes, ...]
) -> None:
    with pytest.raises(Unreachable, match="closed"):
        serve(sending(*pieces)).call("get", [])


def test_a_silent_peer_is_unreachable_after_the_timeout(serve: Callable[[Answer], Connection]) -> None:
    released = threading.Event()

    def say_nothing(_: socket.socket) -> None:
        released.wait(5)

    connection = serve(say_nothing)
    connection.settimeout(0.05)
    with pytest.raises(Unreachable, match="timed out"):
        connection.call("get", [])
    released.set()


def test_nobody_there_is_unreachable(tmp_path: Path) -> None:
    with pytest.raises(Unreachable, match="No such file"):
        Connection(f"unix:{tmp_path}/none", timeout_s=1.0)
    with pytest.raises(Unreachable, match="refused"):
        Connection("tcp:127.0.0.1:1", timeout_s=1.0)


@pytest.mark.parametrize("remote", ["", "unix:", "ssl:127.0.0.1:6640", "tcp:127.0.0.1", "tcp::6640", "tcp:a:b"])
def test_a_remote_of_another_form_is_refused(remote: str) -> None:
    with pytest.raises(Invalid, match="use unix:PATH or tcp:ADDRESS:PORT"):
        Connection(remote, timeout_s=1.0)
