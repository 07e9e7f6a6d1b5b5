"""Warren itself in a lab: the server as a process without root's rights, and an agent on every host."""

import os
import secrets
import socket
import sys
from pathlib import Path
from typing import Final

import msgspec

from warren.core.errors import Conflict, DriverError, Rejected
from warren.lab import processes
from warren.lab.account import invoker, unprivileged
from warren.lab.api import Client, Credentials, wait_until
from warren.lab.directory import LabDirectory
from warren.lab.fabric import EXTERNAL_NIC, UNDERLAY_NIC
from warren.lab.host import Place
from warren.lab.machine import datapath_type
from warren.lab.manifest import Made
from warren.lab.plan import HostPlan
from warren.server.identity.secrets import agent_token, hash_password, server_secret

PHYSICAL_NETWORK: Final = "public"
CLOUD: Final = "warren-lab"
TENANT_CLOUD: Final = "warren-lab-demo"
UP_WITHIN_S: Final = 60.0


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach the server: `access.json`, which only root reads."""

    url: str
    admin_password: str
    demo_password: str

    def credentials(self) -> Credentials:
        """Those of the lab's admin."""
        return Credentials(
            auth_url=f"{self.url}/v3",
            network_url=self.url,
            username="admin",
            password=self.admin_password,
            project="admin",
        )


def access(lab: LabDirectory) -> Access:
    """How to reach the lab's server."""
    return msgspec.json.decode((lab.path / "access.json").read_bytes(), type=Access)


def admin(lab: LabDirectory) -> Credentials:
    """The admin's, of a lab whose server runs.

    Raises:
        Conflict: the server has ended.
    """
    if lab.living(lab.path / "server.pid") is None:
        raise Conflict("ServerEnded", f"The server of lab '{lab.plan.name}' has ended; take the lab down and up again.")
    return access(lab).credentials()


def start_server(lab: LabDirectory) -> Access:
    """Configure the server and start it; `wait_for_server` says when it answers."""
    port = _free_port()
    made = Access(
        url=f"http://127.0.0.1:{port}",
        admin_password=secrets.token_urlsafe(12),
        demo_password=secrets.token_urlsafe(12),
    )
    account = unprivileged()
    config = lab.server / "server.toml"
    lab.manifest.will_make(Made(kind="process", name="server"), Made(kind="file", name=str(lab.clouds_yaml)))
    _write_private(config, _server_config(lab, made, port))
    server_secret(lab.server / "secret")
    for path in (lab.server, *lab.server.rglob("*")):
        os.chown(path, account.uid, account.gid)
    _write_private(lab.path / "access.json", msgspec.json.encode(made).decode())
    _write_private(lab.clouds_yaml, _clouds_yaml(made))
    os.chown(lab.clouds_yaml, *invoker())
    run_server(lab)
    return made


def run_server(lab: LabDirectory) -> None:
    """Start the server that is configured already: the first time, or again after it was ended."""
    command = [sys.executable, "-m", "warren", "server", "--config", str(lab.server / "server.toml")]
    environment = processes.environment(lab.lab_id)
    pid = processes.start(unprivileged().command(command), env=environment, log=lab.path / "server.log")
    (lab.path / "server.pid").write_text(f"{pid}\n")


def wait_for_server(lab: LabDirectory) -> Client:
    """The admin's client, when the server answers.

    Raises:
        Rejected: the server ended; with the end of its log.
        Unreachable: it does not answer in time.
    """
    client = Client(access(lab).credentials())

    def answers() -> bool:
        if lab.living(lab.path / "server.pid") is None:
            raise Rejected(f"The server ended at once: {_end_of(lab.path / 'server.log')}")
        try:
            client.networks()
        except DriverError:
            return False
        return True

    wait_until(answers, f"An answer of the server (log: {lab.path / 'server.log'})", UP_WITHIN_S)
    return client


def start_agent(lab: LabDirectory, place: Place, host: HostPlan) -> None:
    """Configure a host's agent and start it. With the server not there yet, it asks again."""
    directory = lab.host(host.name)
    token = agent_token((lab.server / "secret").read_bytes().strip(), host.name, [host.role])
    _write_private(directory / "run" / "warren" / "agent.token", token)
    (directory / "run" / "warren" / "agent.toml").write_text(_agent_config(lab, host))
    lab.manifest.will_make(Made(kind="process", name="agent", where=host.name))
    run_agent(lab, place)


def run_agent(lab: LabDirectory, place: Place) -> None:
    """Start a host's agent, which is configured already: the first time, or again after it was ended."""
    directory = lab.host(place.name)
    command = [sys.executable, "-m", "warren", "agent", "--config", "/run/warren/agent.toml"]
    pid = place.start(command, log=directory / "agent.log")
    (directory / "agent.pid").write_text(f"{pid}\n")


def wait_for_agents(lab: LabDirectory, client: Client) -> None:
    """Wait until every host's agent has reported.

    Raises:
        Rejected: an agent ended; with the end of its log.
        Unreachable: one did not report in time.
    """
    names = {host.name for host in lab.plan.hosts}

    def have_reported() -> bool:
        for name in names:
            if lab.living(lab.host(name) / "agent.pid") is None:
                raise Rejected(f"The agent of {name} ended: {_end_of(lab.host(name) / 'agent.log')}")
        return names <= {agent.host for agent in client.agents() if agent.alive}

    wait_until(have_reported, f"A report of every agent (logs: {lab.path}/hosts/*/agent.log)", UP_WITHIN_S)


def _server_config(lab: LabDirectory, made: Access, port: int) -> str:
    plan = lab.plan
    return f"""\
listen = "127.0.0.1:{port}"
unix_socket = "agents/agents.sock"
database = "warren.db"
secret_file = "secret"

[tunnel]
mode = "{plan.mode.value}"
default_type = "{plan.tunnel.value}"
ageing_s = {plan.ageing_s}

[physical_networks.{PHYSICAL_NETWORK}]

[projects.admin]
[projects.demo]

[users.admin]
password_hash = "{hash_password(made.admin_password)}"
roles = {{ admin = ["admin"], demo = ["admin"] }}

[users.demo]
password_hash = "{hash_password(made.demo_password)}"
roles = {{ demo = ["member"] }}
"""


def _agent_config(lab: LabDirectory, host: HostPlan) -> str:
    datapath = datapath_type()
    interface = f'interface = "{UNDERLAY_NIC}"\n' if datapath == "netdev" else ""
    physical = f"""
[physical_networks.{PHYSICAL_NETWORK}]
bridge = "br-ex"
interface = "{EXTERNAL_NIC}"
"""
    return f"""\
host = "{host.name}"
roles = ["{host.role}"]
state_dir = "/run/warren/state"
plug = "{lab.plan.plug.value}"

[server]
url = "unix:///run/warren/server/agents.sock"
token_file = "/run/warren/agent.token"

[tunnel]
local_ip = "{host.vtep_ip}/24"
types = ["{lab.plan.tunnel.value}"]
{interface}
[ovs]
datapath_type = "{datapath}"
{physical if host.is_network else ""}"""


def _clouds_yaml(made: Access) -> str:
    def cloud(name: str, user: str, password: str, project: str) -> str:
        return f"""\
  {name}:
    auth:
      auth_url: {made.url}/v3
      username: {user}
      password: {password}
      project_name: {project}
      user_domain_id: default
      project_domain_id: default
    region_name: RegionOne
    identity_api_version: 3
"""

    admin = cloud(CLOUD, "admin", made.admin_password, "admin")
    return f"clouds:\n{admin}{cloud(TENANT_CLOUD, 'demo', made.demo_password, 'demo')}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_private(path: Path, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _end_of(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "it said nothing"
