"""A real server process, and the stock OpenStack client as several users of it."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest

WAIT_S: Final = 20
BESIDE: Final = Path(__file__).parents[2] / ".venv-compat" / "bin" / "openstack"
USERS: Final = {"red": ("red", "member"), "blue": ("blue", "member"), "auditor": ("red", "reader")}
"""User -> (project, role). A user's password is its name, backwards."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One user of the server, speaking through the stock client."""

    client: str
    clouds: Path
    cloud: str

    def __call__(self, *words: str) -> Any:
        """What a command answers, read from its JSON; None where it says nothing."""
        done = self.run(*words, "-f", "json")
        assert done.returncode == 0, f"openstack {' '.join(words)}: {done.stderr}"
        return json.loads(done.stdout)

    def act(self, *words: str) -> None:
        """Run a command that answers nothing."""
        done = self.run(*words)
        assert (done.returncode, done.stdout) == (0, ""), f"openstack {' '.join(words)}: {done.stderr}"

    def refused(self, *words: str) -> str:
        """The words in which a command is refused."""
        done = self.run(*words)
        assert done.returncode != 0, f"openstack {' '.join(words)} should be refused, and said: {done.stdout}"
        return done.stderr

    def run(self, *words: str) -> "subprocess.CompletedProcess[str]":
        environment = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
        environment |= {"OS_CLIENT_CONFIG_FILE": str(self.clouds), "OS_CLOUD": self.cloud}
        return subprocess.run([self.client, *words], env=environment, capture_output=True, text=True, check=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running server: where it is, its configuration, and who may ask it."""

    url: str
    config: Path
    admin: Account
    red: Account
    blue: Account
    auditor: Account
    impostor: Account


def warren(*words: str, given: str = "") -> str:
    """What a `warren` command prints."""
    command = [sys.executable, "-m", "warren", *words]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture(scope="session")
def openstack() -> str:
    """The stock client's program; `./run` keeps it in an environment of its own."""
    found = os.environ.get("WARREN_OPENSTACK", str(BESIDE))
    assert Path(found).exists(), f"the stock client is not at {found}: `./run openstack --version` installs it"
    return found


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory, openstack: str) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("server")
    config, clouds, log = folder / "server.toml", folder / "clouds.yaml", folder / "server.log"
    passwords = {"admin": warren("server", "init", str(config)).rpartition(" ")[2]}
    text = config.read_text().replace(":9696", ":0") + "".join(f"\n[projects.{name}]\n" for name in ("red", "blue"))
    for user, (project, role) in USERS.items():
        passwords[user] = user[::-1]
        hashed = warren("server", "hash-password", given=passwords[user] + "\n")
        text += f'\n[users.{user}]\npassword_hash = "{hashed}"\nroles = {{ {project} = ["{role}"] }}\n'
    config.write_text(text)
    with log.open("w") as output:
        server = subprocess.Popen([sys.executable, "-m", "warren", "server", "--config", str(config)], stderr=output)
    try:
        url = _url(log)
        clouds.write_text(json.dumps({"clouds": _clouds(url, passwords)}))
        accounts = {
            name: Account(client=openstack, clouds=clouds, cloud=name)
            for name in ("admin", "red", "blue", "auditor", "impostor")
        }
        yield Served(url=url, config=config, **accounts)
    finally:
        server.terminate()
        server.wait()


def _url(log: Path) -> str:
    deadline = time.monotonic() + WAIT_S
    while not (found := re.search(r"url=(http://\S+)", log.read_text())):
        assert time.monotonic() < deadline, f"the server does not say that it is ready: {log.read_text()}"
        time.sleep(0.02)
    return found.group(1)


def _clouds(url: str, passwords: dict[str, str]) -> dict[str, dict[str, object]]:
    def cloud(user: str, password: str) -> dict[str, object]:
        project = USERS[user][0] if user in USERS else "admin"
        auth = {"auth_url": f"{url}/v3", "username": user, "password": password, "project_name": project}
        domains = {"user_domain_id": "default", "project_domain_id": "default"}
        return {"auth": auth | domains, "region_name": "RegionOne", "identity_api_version": "3"}

    clouds = {user: cloud(user, password) for user, password in passwords.items()}
    return clouds | {"impostor": cloud("red", "not red's password")}
