"""What a host lacks is said by `warren agent` in one sentence with the mend, before anything is changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3

from warren.testing.ovs import private_ovs, wait_until

pytestmark = pytest.mark.root


def config(folder: Path, db: str, more: str = "", *, interface: str = 'interface = "nic"') -> Path:
    path = folder / "agent.toml"
    path.write_text(
        f'host = "h"\nstate_dir = "{folder}/state"\nplug = "ovs"\n[server]\nurl = "http://127.0.0.1:9"\n'
        f'[tunnel]\nlocal_ip = "10.9.0.1/24"\n{interface}\n[ovs]\ndb = "{db}"\ndatapath_type = "netdev"\n{more}'
    )
    return path


def agent(
    path: Path, *prefix: str, options: tuple[str, ...] = (), **environment: str
) -> subprocess.CompletedProcess[str]:
    command = [*prefix, sys.executable, "-m", "warren", "agent", "--config", str(path), *options]
    env = {**os.environ, "PYTHONPATH": str(Path("src").resolve()), **environment}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)


def test_an_ordinary_user_is_told_to_use_sudo(tmp_path: Path) -> None:
    refused = agent(config(tmp_path, "unix:/run/db.sock"), "unshare", "--user")
    assert refused.returncode == 2
    assert refused.stderr == (
        "warren: the agent changes interfaces and namespaces, which only root may: start it with sudo\n"
    )


def test_missing_programs_are_named_with_their_packages(tmp_path: Path) -> None:
    refused = agent(config(tmp_path, "unix:/run/db.sock"), PATH=str(tmp_path))
    assert refused.returncode == 2
    assert refused.stderr == "warren: ip, ovs-ofctl not found: apt-get install iproute2 openvswitch-switch\n"


def test_an_open_vswitch_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused = agent(config(tmp_path, f"unix:{tmp_path}/db.sock"))
    assert refused.returncode == 2
    assert refused.stderr.startswith("warren: Open vSwitch does not answer (")
    assert refused.stderr.endswith("): systemctl start openvswitch-switch\n")
    assert not (tmp_path / "state").exists()


def test_a_switch_in_userspace_without_a_way_out_for_its_tunnels_is_named(tmp_path: Path) -> None:
    with private_ovs() as ovs:
        refused = agent(config(tmp_path, ovs.db, interface=""))
        assert refused.returncode == 2
        assert refused.stderr.endswith("name it as `interface` in [tunnel]\n")
        assert ovs.vsctl("list-br") == ""


def test_without_any_state_a_single_pass_says_so_and_changes_nothing(tmp_path: Path) -> None:
    with private_ovs() as ovs:
        refused = agent(config(tmp_path, ovs.db), options=("--once",))
        assert refused.returncode == 1
        assert "gave no state within 5 s, and there is none on disk" in refused.stderr
        assert ovs.vsctl("list-br") == ""


def start(path: Path) -> subprocess.Popen[str]:
    env = {**os.environ, "PYTHONPATH": str(Path("src").resolve())}
    return subprocess.Popen([sys.executable, "-m", "warren", "agent", "--config", str(path)], env=env, text=True)


def is_served(url: str) -> bool:
    try:
        return b"warren_agent_revision" in urllib3.request("GET", url, timeout=1, retries=False).data
    except urllib3.exceptions.HTTPError:
        return False


def test_metrics_are_served_where_they_are_asked_for(tmp_path: Path) -> None:
    port = 20000 + os.getpid() % 10000
    with private_ovs() as ovs:
        running = start(config(tmp_path, ovs.db, f'[metrics]\nlisten = "127.0.0.1:{port}"\n'))
        try:
            wait_until(lambda: is_served(f"http://127.0.0.1:{port}/metrics"), "metrics are served")
        finally:
            running.terminate()
            assert running.wait(timeout=10) == -15, "SIGTERM ends the agent at once"


def test_a_second_agent_on_a_switch_is_refused_until_the_first_ends_however_it_ends(tmp_path: Path) -> None:
    """With a name and a state directory of its own; that of the first keeps nobody out."""
    folders = [tmp_path / name for name in ("one", "two")]
    for folder in folders:
        folder.mkdir()
    with private_ovs() as ovs:
        one, two = (config(folder, ovs.db) for folder in folders)
        two.write_text(two.read_text().replace('host = "h"', 'host = "g"'))
        lock = ovs.directory / "warren-agent.lock"
        first = start(one)
        try:
            wait_until(lambda: lock.exists() and lock.read_text() == str(first.pid), "the first agent has the switch")
            refused = agent(two)
        finally:
            first.kill()
            first.wait()
        assert refused.returncode == 2
        assert refused.stderr.startswith(
            f"warren: another agent (process {first.pid}) works with {ovs.directory}: stop it first; "
        )
        again = start(two)
        try:
            wait_until(lambda: lock.read_text() == str(again.pid), "the next agent has the switch at once")
        finally:
            again.kill()
            again.wait()
