import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from warren.core.errors import Rejected
from warren.inspect.snapshot.names import read_names
from warren.sources.api import Credentials, ask
from warren.testing.api_server import PASSWORD, api_server


@contextlib.contextmanager
def web_server(page: bytes) -> Iterator[str]:
    """A server whose every answer is this page."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answering)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("page", [b"<html>a dashboard</html>", b'{"a": "\xff"}', b"[]", b"[" * 100_000])
def test_a_web_server_that_is_no_openstack_api_is_named_and_no_traceback(page: bytes) -> None:
    with web_server(page) as url:
        who = Credentials(auth_url=f"{url}/v3", username="admin", password=PASSWORD, project_name="admin")
        with pytest.raises(Rejected, match=f"{url}/v3/auth/tokens answers what no OpenStack API does"):
            ask(who)


def test_an_administrator_is_told_the_hosts_by_their_tunnel_addresses_and_a_tenant_all_else(tmp_path: Path) -> None:
    with api_server(tmp_path) as server:
        agent = server.agent("compute1", 3)
        assert agent.report() == 204
        admin, alice = (
            read_names(
                ask(Credentials(auth_url=f"{server.url}/v3", username=user, password=PASSWORD, project_name=own))
            )
            for user, own in (("admin", "admin"), ("alice", "red"))
        )
        agent.close()
    assert admin.hosts == {agent.identity.vtep_ip: "compute1"}
    assert (alice.hosts, alice.is_known) == ({}, True)
