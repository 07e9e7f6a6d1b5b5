"""A real server process in a directory of its own, and clients of it, for tests and benchmarks.

Two projects with one user each (`alice` in `red`, `bob` in `blue`) and an administrator. Every password is `secret`.
"""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec
import urllib3

from warren.core.errors import Unreachable
from warren.server.identity.secrets import agent_token, hash_password
from warren.sync.messages import ObjectStatus, Report, encode

PASSWORD: Final = "secret"  # noqa: S105
READY_S: Final = 60.0
_HASH: Final = hash_password(PASSWORD)

CONFIG: Final = f"""\
listen = "127.0.0.1:{{port}}"
agent_down_time_s = {{agent_down_time_s}}
keepalive_s = {{keepalive_s}}
request_within_s = {{request_within_s}}

[tunnel]
mode = "{{mode}}"

[physical_networks.public]

[projects.admin]
[projects.red]
[projects.blue]

[users.admin]
password_hash = "{_HASH}"
roles = {{{{ admin = ["admin"] }}}}
[users.alice]
password_hash = "{_HASH}"
roles = {{{{ red = ["member"] }}}}
[users.bob]
password_hash = "{_HASH}"
roles = {{{{ blue = ["member"] }}}}
[users.carol]
password_hash = "{_HASH}"
roles = {{{{ red = ["reader"] }}}}
"""


DEFAULTS: Final = {"mode": "learning", "agent_down_time_s": 30, "keepalive_s": 5, "request_within_s": 30}


class Answer(msgspec.Struct, frozen=True):
    """Status and decoded body of an answer."""

    status: int
    body: Any

    @property
    def error(self) -> str:
        """The type of the error that it is."""
        return str(self.body["NeutronError"]["type"])


class Client:
    """One user's session with the server."""

    def __init__(self, url: str, token: str, project_id: str) -> None:
        self.url = url
        self.token = token
        self.project_id = project_id
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=60)

    @classmethod
    def login(cls, url: str, user: str, project: str) -> "Client":
        """A session of a user for a project; for none if it is ""."""
        who = {"name": user, "domain": {"id": "default"}, "password": PASSWORD}
        scope = {"project": {"name": project, "domain": {"id": "default"}}} if project else "unscoped"
        auth = {"identity": {"methods": ["password"], "password": {"user": who}}, "scope": scope}
        body = msgspec.json.encode({"auth": auth})
        answer = urllib3.request("POST", f"{url}/v3/auth/tokens", body=body, retries=False, timeout=60)
        assert answer.status == 201, answer.data
        project_id = str(msgspec.json.decode(answer.data)["token"].get("project", {}).get("id", ""))
        return cls(url, answer.headers["X-Subject-Token"], project_id)

    def at(self, url: str) -> "Client":
        """The same session with a connection of its own, to this or another server on the same secret."""
        return Client(url, self.token, self.project_id)

    def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Any request below `/v2.0`; a body that is text or bytes is sent as it is."""
        answer = self._http.request(
            method,
            f"{self.url}/v2.0/{path}",
            body=body if body is None or isinstance(body, str | bytes) else msgspec.json.encode(body),
            headers={"X-Auth-Token": self.token},
        )
        return Answer(answer.status, msgspec.json.decode(answer.data) if answer.data else None)

    def create(self, name: str, path: str = "", /, **attributes: Any) -> dict[str, Any]:
        """Make one resource; a colon in an attribute's name is written as two underscores."""
        wanted = {key.replace("__", ":"): value for key, value in attributes.items()}
        answer = self.call("POST", path or f"{name}s", {name: wanted})
        assert answer.status == 201, answer.body
        made: dict[str, Any] = answer.body[name]
        return made

    def list(self, path: str) -> Any:
        """The list that a path answers."""
        answer = self.call("GET", path)
        assert answer.status == 200, answer.body
        return next(value for key, value in answer.body.items() if not key.endswith("_links"))

    def close(self) -> None:
        self._http.clear()


class Agent:
    """What an agent sends and hears, without a host behind it."""

    def __init__(self, server: "ApiServer", host: str, number: int, roles: tuple[str, ...] = ("compute",)) -> None:
        self.host = host
        self._server = server
        self._http = urllib3.PoolManager(maxsize=1, retries=False, timeout=60)
        self.headers = {"Authorization": f"Bearer {agent_token(server.secret, host, roles)}"}
        self.identity = Report(
            revision=0,
            version="test",
            started_at=1.0,
            roles=roles,
            vtep_ip=f"10.9.0.{number}",
            tunnel_types=("vxlan", "gre"),
            datapath_type="netdev",
            bridge_mappings={"public": "br-ex"},
        )

    def report(self, objects: Mapping[str, ObjectStatus] | None = None, **changes: Any) -> int:
        """Send a report; the answer's status."""
        report = msgspec.structs.replace(self.identity, objects=dict(objects or {}), **changes)
        path = f"{self._server.url}/agent/v1/hosts/{self.host}/report"
        return self._http.request("POST", path, body=encode(report), headers=self.headers).status

    def stream(self, epoch: str = "", revision: int = -1, agent: str = "") -> urllib3.BaseHTTPResponse:
        """The open state stream: read lines from it, and release it. With a name in `agent` it is its."""
        query = f"agent={agent}&epoch={epoch}&revision={revision}"
        path = f"{self._server.url}/agent/v1/hosts/{self.host}/state?{query}"
        return self._http.request("GET", path, headers=self.headers, preload_content=False)

    def close(self) -> None:
        self._http.clear()


class ApiServer:
    """A server process; `start` and `stop` as often as wanted, on the same database."""

    def __init__(self, folder: Path, config: str = "server.toml", **settings: Any) -> None:
        self.folder = folder
        self.config = folder / config
        self._settings = {**DEFAULTS, **settings}
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self.log = self.config.with_suffix(".log")
        self.url = ""

    def configure(self, **settings: Any) -> None:
        """Change the configuration for the next start."""
        self._settings.update(settings)

    @property
    def secret(self) -> bytes:
        return (self.folder / "secret").read_bytes().strip()

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start, and wait until it answers.

        Raises:
            Unreachable: it does not; its log is in the message.
        """
        self.config.write_text(CONFIG.format(port=self._port, **self._settings))
        with self.log.open("wb") as log:
            arguments = [sys.executable, "-m", "warren", "server", "--config", str(self.config)]
            self._process = subprocess.Popen(arguments, stderr=log)
        deadline = time.monotonic() + READY_S
        while time.monotonic() < deadline and self._process.poll() is None:
            if found := re.search(r"url=(http://[\d.]+:(\d+))", self.log.read_text()):
                self.url, self._port = found[1], int(found[2])
                return
            time.sleep(0.01)
        self.stop(signal.SIGKILL)
        raise Unreachable(f"the server did not start: {self.log.read_text()}")

    def stop(self, sig: signal.Signals = signal.SIGTERM) -> None:
        """End it and wait until it is gone."""
        if self._process:
            self._process.send_signal(sig)
            self._process.wait(60)
            self._process = None

    def client(self, user: str = "admin", project: str = "admin") -> Client:
        return Client.login(self.url, user, project)

    def agent(self, host: str, number: int = 1, roles: tuple[str, ...] = ("compute",)) -> Agent:
        return Agent(self, host, number, roles)

    def rss_bytes(self) -> int:
        """Resident memory of the process (proc(5), statm)."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


@contextmanager
def api_server(folder: Path, **settings: Any) -> Iterator[ApiServer]:
    """A running server, stopped at the end whatever happens."""
    server = ApiServer(folder, **settings)
    server.start()
    try:
        yield server
    finally:
        server.stop()
