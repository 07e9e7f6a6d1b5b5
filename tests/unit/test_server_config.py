"""The server's configuration and command: bad input is said in one sentence, before anything was started."""

import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
import urllib3

from warren.core.errors import Unmet
from warren.core.state import TunnelMode
from warren.server.config import load, starting_text
from warren.server.identity.secrets import check_password, hash_password, server_secret

HASH = hash_password("secret")


def run(*arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "warren", "server", *arguments]
    return subprocess.run(command, input=said, capture_output=True, text=True, timeout=90, check=False)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("listen = ", "is not TOML"),
        ("colour = 1", "no key `colour`"),
        ("listen = 9696", "`listen` is 9696, which is not a string"),
        ('listen = "9696"', "must be IPV4-ADDRESS:PORT"),
        ('listen = "127.0.0.1:70000"', "must be IPV4-ADDRESS:PORT"),
        ("token_lifetime_s = 0", "must be more than 0"),
        ("token_lifetime_s = true", "is not an integer"),
        ("agent_down_time_s = inf", "must be more than 0"),
        ('keepalive_s = "often"', "is not a number"),
        ('[tunnel]\nmode = "magic"', "must be one of learning, l2pop"),
        ('[tunnel]\nvxlan_ids = "1-99999999"', "within 1-16777215"),
        ('[tunnel]\nvxlan_ids = "9-1"', "must be FIRST-LAST"),
        ("[tunnel]\nageing_s = 0", "1 to 65535"),
        ("[physical_networks]\npublic = 1", "`physical_networks.public` is 1, which is not a table"),
        ("[users.a]", "hash-password"),
        ('[users.a]\npassword_hash = "plain"', "hash-password"),
        ('[users.a]\npassword_hash = "scrypt$"', "hash-password"),
        ('[users.a]\npassword_hash = "scrypt$16384$8$1$AAAA$AAAA"', "hash-password"),
        (f'[users.a]\npassword_hash = "{HASH}"\nroles = {{ red = ["member"] }}', "names the project 'red'"),
        (
            f'[projects.red]\n[users.a]\npassword_hash = "{HASH}"\nroles = {{ red = "member" }}',
            "not a list of role names",
        ),
        (
            f'[users.a]\nid = "1"\npassword_hash = "{HASH}"\n[users.b]\nid = "1"\npassword_hash = "{HASH}"',
            "`users.a` and `users.b` have the same id '1'",
        ),
        ('[projects.a]\nid = "1"\n[projects.b]\nid = "1"', "`projects.a` and `projects.b` have the same id '1'"),
        ('[projects.a]\nid = ""', "1 to 64"),
        ('listen = "\udcff"', "is not TOML"),
        ("keepalive_s = nan", "must be more than 0"),
        ("agent_down_time_s = inf", "at most"),
        ("token_lifetime_s = 10000000000000000", "at most"),
        ("[tunnel]\nvxlan_port = 70000", "`tunnel.vxlan_port` is 70000; it must be 1 to 65535"),
        ('[tunnel]\ngre_ids = "²-5"', "must be FIRST-LAST"),
        (f'[tunnel]\ngre_ids = "1-{"9" * 5000}"', "must be FIRST-LAST"),
        ("underlay_mtu = 100", "118 to 65535"),
        ("[physical_networks.public]\nmtu = 1", "`physical_networks.public.mtu` is 1; it must be 68 to 65535"),
        ('public_url = "network.example.org"', "must be http://"),
        ('dns_domain = "a\\ndhcp-script=/bin/sh"', "labels of letters"),
    ],
)
def test_a_wrong_configuration_is_refused_in_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "server.toml"
    path.write_text(text, errors="surrogateescape")
    with pytest.raises(Unmet, match=r"cannot be used|not TOML") as refused:
        load(path)
    assert sentence in str(refused.value)
    assert str(path) in str(refused.value)


def test_a_configuration_that_is_no_utf_8_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_bytes(b'dns_domain = "caf\xe9"')
    with pytest.raises(Unmet, match=r"server\.toml is not TOML"):
        load(path)


def test_the_starting_configuration_can_be_loaded_and_its_password_is_the_admins(tmp_path: Path) -> None:
    text, password = starting_text()
    path = tmp_path / "server.toml"
    path.write_text(text)
    config = load(path)
    (admin,) = config.directory.users
    assert password not in text
    assert check_password(password, admin.password_hash)
    assert config.offer.deployment.tunnel_mode is TunnelMode.LEARNING
    assert config.database == tmp_path / "warren.db"


def test_init_writes_a_private_file_once(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    first = run("init", str(path))
    assert first.returncode == 0
    assert "password: " in first.stdout
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    before = path.read_text()
    second = run("init", str(path))
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert path.read_text() == before


def test_an_unreadable_configuration_and_a_busy_port_are_said_in_one_sentence(tmp_path: Path) -> None:
    missing = run("--config", str(tmp_path / "none.toml"))
    assert (missing.returncode, missing.stderr.count("\n")) == (2, 1)
    assert f"make one with `warren server init {tmp_path}/none.toml`" in missing.stderr
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        path = tmp_path / "server.toml"
        path.write_text(f'listen = "127.0.0.1:{busy.getsockname()[1]}"')
        refused = run("--config", str(path))
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "stop what listens there or change `listen`" in refused.stderr
    assert sorted(one.name for one in tmp_path.iterdir()) == ["server.toml"], "nothing was made before the refusal"


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = tmp_path / "server.toml"
    path.write_text(f'listen = "127.0.0.1:{port}"')
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "warren", "server", "--config", str(path)]
        process = subprocess.Popen(command, stderr=full)
    try:
        assert _answer(f"http://127.0.0.1:{port}/") == 200
    finally:
        process.terminate()
        assert process.wait(60) == 0


def _answer(url: str) -> int:
    """The status that the server answers with, once it does."""
    deadline = time.monotonic() + 60
    while True:
        try:
            return urllib3.request("GET", url, retries=False, timeout=5).status
        except urllib3.exceptions.HTTPError:
            assert time.monotonic() < deadline, "it never answered"
            time.sleep(0.02)


def test_the_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    secret = server_secret(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert server_secret(path) == secret
    path.write_text("short")
    with pytest.raises(Unmet, match="fewer than 32"):
        server_secret(path)


def test_an_agents_token_is_the_same_each_time_and_differs_by_host(tmp_path: Path) -> None:
    path = tmp_path / "server.toml"
    path.write_text("")
    one, again, other = (
        run("agent-token", host, "--config", str(path)).stdout for host in ("compute1", "compute1", "compute2")
    )
    assert one == again != other
    assert run("--config", str(path), "agent-token", "compute1").stdout == one
    roles = [("compute",), ("network",), ("network", "compute"), ("compute", "network")]
    tokens = [run("agent-token", "compute1", *_roles(*named), "--config", str(path)).stdout for named in roles]
    assert tokens[0] == one
    assert len(set(tokens[:3])) == 3
    assert tokens[2] == tokens[3]
    for name in ("", "two words", "a/b"):
        assert "without spaces and slashes" in run("agent-token", name, "--config", str(path)).stderr
    assert "'gateway' is not one of" in run("agent-token", "compute1", *_roles("gateway")).stderr


def _roles(*names: str) -> list[str]:
    return [word for name in names for word in ("--role", name)]


def test_a_password_is_known_by_its_hash_only() -> None:
    printed = run("hash-password", said="open sesame\n").stdout.strip()
    assert check_password("open sesame", printed)
    assert not check_password("open sesam", printed)
    assert hash_password("open sesame") != printed, "each hash has a salt of its own"
    for broken in ("", "scrypt$x", "scrypt$16384$8$1$!!$!!", "md5$1$1$1$AA==$AA=="):
        assert not check_password("open sesame", broken)
    assert run("hash-password", said="\n").returncode == 2
