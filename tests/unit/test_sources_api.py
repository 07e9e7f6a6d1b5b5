import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from warren.core.errors import Rejected
from warren.sources.api import Credentials, ask
from warren.testing.api_server import PASSWORD


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
