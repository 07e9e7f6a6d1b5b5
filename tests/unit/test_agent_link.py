"""The agent's conversation with a server, over real sockets."""

import json
import re
import resource
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import pytest

from warren.agent.config import ServerConfig
from warren.agent.disk import StateDirectory
from warren.agent.link import StateLink, delays
from warren.agent.report import Picture, Reporter, difference
from warren.agent.transport import Server
from warren.core.errors import DriverError, Rejected, Unmet, Unreachable
from warren.core.ids import HostName
from warren.core.state import Deployment, HostState
from warren.sync.messages import Delta, Keepalive, ObjectStatus, Report, Snapshot, decode_report, encode, encode_objects

WAIT_S = 5.0
AGENTS_WORD = "accepted"
CERTIFICATE = Path(__file__).parents[1] / "fixtures" / "tls" / "elsewhere.pem"
WEB_PAGE = b"<!DOCTYPE HTML>\n<html><body><h1>Not here</h1></body></html>"


class Script:
    """What the server says in each conversation, and what it was asked and told."""

    def __init__(self) -> None:
        self.conversations: Queue[list[bytes]] = Queue()
        self.asked: Queue[str] = Queue()
        self.reports: Queue[Report] = Queue()
        self.report_status = 204
        self.answer = b""
        self.refused = threading.Event()
        self.hang_up = threading.Event()

    def conversation(self, *messages: Snapshot | Delta | Keepalive) -> None:
        self.conversations.put([encode(message) + b"\n" for message in messages])


class ScriptedHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    script: Script

    def do_GET(self) -> None:
        if self.headers["Authorization"] != f"Bearer {AGENTS_WORD}":
            self._answer(401)
            return
        self.script.asked.put(self.path)
        lines = self.script.conversations.get(timeout=WAIT_S)
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            for piece in (line[: len(line) // 2], line[len(line) // 2 :]):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        if self.script.conversations.empty():
            self.script.hang_up.wait(WAIT_S)
        self.close_connection = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.script.report_status == 204:
            self.script.reports.put(decode_report(body))
        else:
            self.script.refused.set()
        self._answer(self.script.report_status, self.script.answer)

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Tests say what went wrong themselves."""


class UnixHTTPServer(ThreadingHTTPServer):
    address_family = socket.AF_UNIX

    def server_bind(self) -> None:
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "localhost", 0


@contextmanager
def serving(script: Script, unix_path: Path | None = None, certificate: Path | None = None) -> Iterator[str]:
    handler = type("Handler", (ScriptedHandler,), {"script": script})
    if unix_path is None:
        http = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        url = f"http{'s' if certificate else ''}://127.0.0.1:{http.server_port}"
    else:
        http = UnixHTTPServer(str(unix_path), handler)  # type: ignore[arg-type]
        url = f"unix://{unix_path}"
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        http.socket = context.wrap_socket(http.socket, server_side=True)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield url
    finally:
        script.hang_up.set()
        http.shutdown()
        http.server_close()
        thread.join()


@pytest.fixture
def connect(tmp_path: Path) -> Callable[[str], Server]:
    token_file = tmp_path / "token"
    token_file.write_text(AGENTS_WORD + "\n")
    return lambda url: Server(ServerConfig(url=url, token_file=token_file), HostName("compute1"), ("compute",))


def snapshot(revision: int, ageing_s: int, epoch: str = "d1") -> Snapshot:
    state = Deployment(ageing_s=ageing_s)
    return Snapshot(epoch=epoch, revision=revision, objects=encode_objects({state.key: state}))


def delta(since: int, revision: int, ageing_s: int) -> Delta:
    state = Deployment(ageing_s=ageing_s)
    return Delta(epoch="d1", since=since, revision=revision, set=encode_objects({state.key: state}))


class States:
    """The states that a link adopted, in order."""

    def __init__(self, server: Server, remembered: Snapshot | None = None) -> None:
        self.seen: Queue[HostState | None] = Queue()
        self.link = StateLink(
            server, remembered, on_state=lambda: self.seen.put(self.link.state), on_contact=lambda: None
        )
        self.link.start()

    def next(self) -> HostState:
        state = self.seen.get(timeout=WAIT_S)
        assert state is not None
        return state


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_a_conversation_that_breaks_is_resumed_from_the_last_revision(
    transport: str, tmp_path: Path, connect: Callable[[str], Server]
) -> None:
    script = Script()
    script.conversation(snapshot(4, 10), Keepalive(epoch="d1", revision=4), delta(4, 6, 20))
    script.conversation(delta(6, 9, 30))
    with serving(script, tmp_path / "server.sock" if transport == "unix" else None) as url:
        states = States(connect(url))
        assert [states.next().deployment.ageing_s for _ in range(3)] == [10, 20, 30]
        assert script.asked.get() == "/agent/v1/hosts/compute1/state"
        assert script.asked.get() == "/agent/v1/hosts/compute1/state?epoch=d1&revision=6"


def test_a_remembered_state_is_there_before_any_server_is_and_resumes(connect: Callable[[str], Server]) -> None:
    script = Script()
    script.conversation(delta(4, 5, 20))
    with serving(script) as url:
        states = States(connect(url), remembered=snapshot(4, 10))
        assert states.next().deployment.ageing_s == 20
        assert script.asked.get() == "/agent/v1/hosts/compute1/state?epoch=d1&revision=4"


def test_a_gap_is_answered_by_asking_for_a_snapshot(connect: Callable[[str], Server]) -> None:
    script = Script()
    script.conversation(snapshot(4, 10), delta(5, 6, 66))
    script.conversation(snapshot(7, 20))
    with serving(script) as url:
        states = States(connect(url))
        assert [states.next().deployment.ageing_s for _ in range(2)] == [10, 20]
        assert [script.asked.get() for _ in range(2)] == ["/agent/v1/hosts/compute1/state"] * 2


def test_a_wrong_token_is_said_with_its_mend(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("nonsense")
    mends = {("compute",): "compute1", ("network", "compute"): "compute1 --role compute --role network"}
    with serving(Script()) as url:
        for roles, words in mends.items():
            server = Server(ServerConfig(url=url, token_file=wrong), HostName("compute1"), roles)
            with pytest.raises(Rejected, match=f"put what `warren server agent-token {words}` prints into {wrong}"):
                next(iter(server.stream(None)))


@pytest.mark.parametrize("text", ["", " \n", "two words", "first\nsecond", "a\x00b"])
def test_a_token_file_that_holds_no_token_is_named(tmp_path: Path, text: str) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text(text)
    server = Server(ServerConfig(url="http://127.0.0.1:9", token_file=wrong), HostName("compute1"), ("compute",))
    with pytest.raises(Rejected, match=f"{wrong} holds"):
        next(iter(server.stream(None)))


def test_a_server_that_is_away_is_unreachable_not_a_crash(tmp_path: Path, connect: Callable[[str], Server]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        for url in (f"http://127.0.0.1:{unused.getsockname()[1]}", f"unix://{tmp_path}/nobody.sock"):
            with pytest.raises(Unreachable, match="does not answer"):
                next(iter(connect(url).stream(None)))


@pytest.mark.parametrize("line", [b'{"type": "surprise"}\n', WEB_PAGE + b"\n", b"\xff\x00\n"])
def test_a_line_that_is_no_message_is_refused_with_the_servers_name(
    connect: Callable[[str], Server], line: bytes
) -> None:
    script = Script()
    script.conversations.put([line])
    with serving(script) as url, pytest.raises(Rejected, match=f"{url} sent .* not a state message.*check server.url"):
        next(iter(connect(url).stream(None)))


def test_a_line_that_never_ends_is_refused_before_it_fills_the_memory(connect: Callable[[str], Server]) -> None:
    script = Script()
    script.conversations.put([b" " * (1 << 20)] * 65)
    with serving(script) as url, pytest.raises(Rejected, match=f"{url} sent .* a line of more than 64 MiB"):
        next(iter(connect(url).stream(None)))


@pytest.mark.parametrize(
    ("status", "body", "kind", "sentence"),
    [
        (404, WEB_PAGE, Rejected, "answered 404: Not Found, as no server of Warren's does: check server.url"),
        (301, b"", Rejected, "answered 301: Moved Permanently, as no server of Warren's does: check server.url"),
        (400, b'["a"]', Rejected, "answered 400: Bad Request, as no server of Warren's does: check server.url"),
        (400, b'{"error": {"code": 400, "message": "no\\nreport"}}', Rejected, "answered 400: no report"),
        (502, WEB_PAGE, Unreachable, "answered 502: Bad Gateway"),
        (502, b'{"error": ' + b"[" * 5000, Unreachable, "answered 502: Bad Gateway"),
        (503, b'{"NeutronError": {"message": "try again"}}', Unreachable, "answered 503: try again"),
    ],
)
def test_a_refusal_is_said_in_one_sentence_and_a_web_page_is_not_repeated(
    connect: Callable[[str], Server], status: int, body: bytes, kind: type[Exception], sentence: str
) -> None:
    script = Script()
    script.report_status, script.answer = status, body
    with serving(script) as url, pytest.raises(kind) as refused:
        connect(url).report(IDENTITY)
    assert str(refused.value) == f"the server {url} {sentence}"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"\xff\x00" * 5000 + b"\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\nno",
        b"HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nno\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nno",
    ],
)
def test_an_answer_that_is_none_is_said_briefly_and_no_crash(connect: Callable[[str], Server], answer: bytes) -> None:
    class Garbage(StreamRequestHandler):
        def handle(self) -> None:
            self.request.recv(1 << 16)
            self.wfile.write(answer)

    with ThreadingTCPServer(("127.0.0.1", 0), Garbage) as listening:
        threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        server = connect(f"http://127.0.0.1:{listening.server_address[1]}")
        try:
            for ask in (lambda: server.report(IDENTITY), lambda: next(server.stream(None))):
                with pytest.raises(DriverError) as refused:
                    ask()
                assert len(str(refused.value)) < 1000
        finally:
            listening.shutdown()


def test_a_certificate_that_is_not_accepted_is_said_with_its_mend(connect: Callable[[str], Server]) -> None:
    with serving(Script(), certificate=CERTIFICATE) as url:
        mend = re.escape("among this host's (update-ca-certificates)")
        with pytest.raises(Rejected, match=f"{url} shows a certificate .* {mend}.* into server.url"):
            next(iter(connect(url).stream(None)))


def test_a_server_that_speaks_no_tls_is_said_with_its_mend(connect: Callable[[str], Server]) -> None:
    with serving(Script()) as url, pytest.raises(Rejected, match=r"does not speak TLS .*to begin with http://"):
        connect(url.replace("http:", "https:")).report(IDENTITY)


def test_waits_between_attempts_grow_to_a_limit_and_are_spread() -> None:
    waits = [wait for wait, _ in zip(delays(), range(20), strict=False)]
    assert waits[0] <= 0.1
    assert all(2.5 <= wait <= 5.0 for wait in waits[6:])
    assert len(set(waits)) == len(waits)


IDENTITY = Report(revision=0, version="1", started_at=1.0)
WIRED = ObjectStatus(status="wired")
ABSENT = ObjectStatus(status="absent")


def test_a_report_says_what_changed_and_everything_when_something_vanished() -> None:
    old = Picture(revision=1, objects={"port/a": WIRED, "port/b": WIRED})
    assert difference(IDENTITY, old, None).complete
    changed = difference(IDENTITY, Picture(revision=2, objects={"port/a": ABSENT, "port/b": WIRED}), old)
    assert (changed.revision, changed.complete, changed.objects) == (2, False, {"port/a": ABSENT})
    gone = difference(IDENTITY, Picture(revision=3, objects={"port/b": WIRED}), old)
    assert (gone.complete, gone.objects) == (True, {"port/b": WIRED})


def test_news_is_reported_at_once_and_life_periodically(connect: Callable[[str], Server]) -> None:
    script = Script()
    with serving(script) as url:
        reporter = Reporter(connect(url), IDENTITY, interval_s=0.05)
        reporter.start()
        reporter.show(Picture(revision=1, objects={"port/a": WIRED}))
        first, sign_of_life = (script.reports.get(timeout=WAIT_S) for _ in range(2))
        assert (first.complete, first.objects) == (True, {"port/a": WIRED})
        assert (sign_of_life.complete, sign_of_life.objects) == (False, {})


def test_a_lost_report_is_made_good_by_a_complete_one(connect: Callable[[str], Server]) -> None:
    script = Script()
    with serving(script) as url:
        reporter = Reporter(connect(url), IDENTITY, interval_s=60)
        reporter.start()
        reporter.show(Picture(revision=1, objects={"port/a": WIRED}))
        assert script.reports.get(timeout=WAIT_S).revision == 1
        script.report_status = 500
        reporter.show(Picture(revision=2, objects={"port/a": ABSENT}))
        assert script.refused.wait(WAIT_S)
        script.report_status = 204
        made_good = script.reports.get(timeout=WAIT_S)
        assert (made_good.revision, made_good.complete) == (2, True)
        assert made_good.objects == {"port/a": ABSENT}


def test_the_state_on_disk_is_what_was_written_last_and_garbage_is_refused(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path / "new" / "state")
    assert directory.read() is None
    directory.hold()
    directory.write(snapshot(1, 10))
    directory.write(snapshot(2, 20))
    assert directory.read() == snapshot(2, 20)
    (tmp_path / "new" / "state" / "state.json").write_text(json.dumps({"type": "snapshot", "epoch": 7}))
    with pytest.raises(Rejected, match="cannot be used"):
        directory.read()
    directory.release()


def test_a_full_disk_keeps_no_agent_from_starting_and_no_state_from_being_read(tmp_path: Path) -> None:
    directory = StateDirectory(tmp_path)
    directory.hold()
    directory.write(snapshot(1, 10))
    directory.release()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        directory.hold()
        with pytest.raises(DriverError, match="could not be written"):
            directory.write(snapshot(2, 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert directory.read() == snapshot(1, 10)
    with pytest.raises(Unmet, match=r"another agent \(process unknown\)"):
        StateDirectory(tmp_path).hold()
    directory.release()


def test_a_second_agent_on_one_state_directory_is_refused(tmp_path: Path) -> None:
    first, second = StateDirectory(tmp_path), StateDirectory(tmp_path)
    first.hold()
    with pytest.raises(Unmet, match=r"another agent \(process \d+\) works with"):
        second.hold()
    first.release()
    second.hold()
    second.release()
