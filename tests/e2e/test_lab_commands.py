"""`warren lab` as a person and a script use it: up, status, boot, exec, down; interrupted, killed, refused."""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import urllib3

from warren.lab import processes, switch
from warren.lab.api import Client
from warren.lab.control import access
from warren.lab.directory import LABS, open_lab
from warren.lab.down import take_down

pytestmark = pytest.mark.root

COMMAND = [sys.executable, "-m", "warren", "lab"]


def warren(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, **variables}
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, check=False, env=env)


@pytest.fixture
def name() -> Iterator[str]:
    name = f"c{secrets.token_hex(4)}"
    yield name
    take_down(name)


@pytest.fixture(scope="module")
def lab() -> Iterator[str]:
    """A lab that is up, with vm1 on compute1; its name."""
    name = f"m{secrets.token_hex(4)}"
    try:
        done = warren("up", "--name", name)
        assert done.returncode == 0, done.stdout + done.stderr
        out = LABS / name / "out"
        done = warren("run", "--name", name, "--out", str(out), "3")
        assert done.returncode == 0, done.stdout + done.stderr
        yield name
    finally:
        take_down(name)


def is_gone(name: str) -> bool:
    return processes.carrying(name) == () and not (LABS / name).exists()


def test_status_says_what_a_script_needs(lab: str) -> None:
    status = json.loads(warren("status", "--name", lab, "--json").stdout)
    assert Path(status["clouds_yaml"]).is_file()
    assert urllib3.request("GET", status["server"]["url"]).status in {200, 300}
    assert {host["name"] for host in status["hosts"]} == {"network", "compute1", "compute2"}
    for host in status["hosts"]:
        assert processes.carrying(status["id"])
        assert Path(f"/proc/{host['agent_pid']}").exists()
        assert set(host["ovs_pids"]) == {"ovsdb-server", "ovs-vswitchd"}
        assert Path(host["run_dir"], "openvswitch", "db.sock").is_socket()
        assert host["vtep"].startswith("10.9.0.")
    assert [(vm["name"], vm["host"]) for vm in status["instances"]] == [("vm1", "compute1")]


def test_the_server_has_no_rights_of_root(lab: str) -> None:
    status = json.loads(warren("status", "--name", lab, "--json").stdout)
    fields = Path(f"/proc/{status['server']['pid']}/status").read_text()
    values = dict(line.split(":", 1) for line in fields.splitlines())
    assert int(values["CapEff"], 16) == 0
    assert int(values["CapBnd"], 16) == 0
    assert values["NoNewPrivs"].strip() == "1"


def test_exec_gives_the_command_s_output_and_status(lab: str) -> None:
    assert warren("exec", "--name", lab, "compute1", "--", "hostname").stdout == "compute1\n"
    assert warren("exec", "--name", lab, "vm1", "--", "hostname").stdout == "vm1\n"
    assert warren("exec", "--name", lab, "compute1", "--", "sh", "-c", "exit 7").returncode == 7


def test_a_command_whose_reader_has_gone_ends_without_a_word(lab: str) -> None:
    done = warren("exec", "--name", lab, "compute1", "--", "bash", "-c", "yes | head -1")
    assert (done.stdout, done.stderr) == ("y\n", "")


def test_a_shell_on_a_host_finds_what_is_on_a_real_one(lab: str) -> None:
    script = """
    ovs-vsctl show && ovs-ofctl show br-tun && ovs-ofctl dump-flows br-tun && ip netns && iptables-save && route -n
    router=$(ip netns | cut -d' ' -f1 | grep qrouter)
    ip netns exec "$router" route -n && ip netns exec "$router" ifconfig
    """
    done = subprocess.run(
        [*COMMAND, "shell", "--name", lab, "network"], input=script, capture_output=True, text=True, check=False
    )
    for expected in ("Bridge br-tun", "patch-int", "table=22", "qrouter-", "qdhcp-", "203.0.113.1", "qg-"):
        assert expected in done.stdout
    there = warren("exec", "--name", lab, "compute1", "--", "brctl", "show").stdout
    assert "qbr" in there


def test_boot_makes_an_instance_that_runs(lab: str) -> None:
    done = warren("boot", "--name", lab, "web", "--host", "compute2", "--network", "red")
    assert done.returncode == 0, done.stderr
    assert "openstack port create web" in done.stdout
    address = warren("exec", "--name", lab, "web", "--", "ip", "-4", "-br", "address", "show", "eth0").stdout.split()[2]
    assert address.partition("/")[0] in done.stdout
    assert warren("boot", "--name", lab, "web", "--host", "compute2", "--network", "red").returncode == 2


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("exec", "nobody", "--", "true"), "has no host or instance 'nobody'"),
        (("shell", "nobody"), "network, compute1, compute2"),
        (("boot", "x1", "--host", "compute9", "--network", "red"), "has no host 'compute9'"),
        (("boot", "x1", "--host", "compute1", "--network", "blue"), "no network 'blue'"),
        (("boot", "compute1", "--host", "compute1", "--network", "red"), "already"),
        (("boot", "../x", "--host", "compute1", "--network", "red"), "cannot be a name"),
        (("boot", "qrouter-1", "--host", "compute1", "--network", "red"), "names that are an agent's"),
        (("up",), "is up already"),
        (("run", "9"), "no experiment '9'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence_and_status_2(lab: str, words: tuple[str, ...], sentence: str) -> None:
    before = {path for path in (LABS / lab).rglob("*") if "run" not in path.parts}
    done = warren(words[0], "--name", lab, *words[1:])
    assert done.returncode == 2
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert {path for path in (LABS / lab).rglob("*") if "run" not in path.parts} == before


def test_missing_programs_are_said_before_anything_is_changed(name: str, tmp_path: Path) -> None:
    for program in ("python3", "setpriv"):
        (tmp_path / program).symlink_to(str(shutil.which(program)))
    script = (
        "import warren.lab.machine as machine, sys\n"
        f"machine.SYSTEM_PATH = {str(tmp_path)!r}\n"
        "from warren.cli.main import main\n"
        f"sys.argv = ['warren', 'lab', 'up', '--name', {name!r}]\n"
        "main()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "apt-get install" in done.stderr
    assert "openvswitch-switch" in done.stderr
    assert is_gone(name)


def test_without_root_a_lab_is_refused_in_one_sentence(name: str) -> None:
    # In a user namespace of its own nobody is root, and yet may read this checkout, which may be in /root.
    command = ["unshare", "--user", *COMMAND, "up", "--name", name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "sudo" in done.stderr
    assert is_gone(name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
@pytest.mark.parametrize("when", ["starting", "experiment 2"])
def test_an_interrupted_run_leaves_nothing(name: str, number: int, when: str, tmp_path: Path) -> None:
    command = [*COMMAND, "all", "--name", name, "--out", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True) as running:
        assert running.stdout is not None
        deadline = time.monotonic() + 30
        while when == "starting" and not processes.carrying(name) and time.monotonic() < deadline:
            time.sleep(0.01)
        while when != "starting" and b"2. Networks" not in running.stdout.readline():
            assert time.monotonic() < deadline
        os.killpg(running.pid, number)
        running.communicate(timeout=30)
    assert running.returncode not in {0, None}
    assert is_gone(name)


def test_a_lab_whose_server_ended_says_so(name: str, tmp_path: Path) -> None:
    assert warren("up", "--name", name).returncode == 0
    server = json.loads(warren("status", "--name", name, "--json").stdout)["server"]
    assert f"{server['url']}, process {server['pid']}" in warren("status", "--name", name).stdout
    os.kill(server["pid"], signal.SIGKILL)
    assert f"{server['url']}, process ended" in warren("status", "--name", name).stdout
    for words in (("run", "--out", str(tmp_path)), ("boot", "x1", "--host", "compute1", "--network", "red")):
        done = warren(words[0], "--name", name, *words[1:])
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
        assert "server of lab" in done.stderr


def test_an_instance_that_cannot_be_plugged_says_why(name: str, tmp_path: Path) -> None:
    assert warren("up", "--name", name).returncode == 0
    assert warren("run", "--name", name, "--out", str(tmp_path), "2").returncode == 0
    for pid in switch.pids(open_lab(name), "compute1").values():
        os.kill(pid, signal.SIGKILL)
    done = warren("boot", "--name", name, "x1", "--host", "compute1", "--network", "red")
    assert done.returncode != 0
    assert "'x1' could not be plugged on compute1" in done.stderr


def test_after_kill_9_of_everything_down_cleans_up_and_says_so(name: str) -> None:
    assert warren("up", "--name", name).returncode == 0
    for process in processes.carrying(name):
        os.kill(process.pid, signal.SIGKILL)
    again = warren("up", "--name", name)
    assert again.returncode == 2
    assert f"warren lab down --name {name}" in again.stderr
    done = warren("down", "--name", name)
    assert done.returncode == 0
    for what in ("network", "compute1", "compute2", str(LABS / name)):
        assert what in done.stdout
    assert is_gone(name)
    assert "nothing was removed" in warren("down", "--name", name).stdout


def test_down_after_kill_9_of_up_itself(name: str) -> None:
    with subprocess.Popen([*COMMAND, "up", "--name", name], stdout=subprocess.DEVNULL) as starting:
        deadline = time.monotonic() + 20
        while len(processes.carrying(name)) < 8 and time.monotonic() < deadline:
            time.sleep(0.005)
        starting.kill()
    assert warren("down", "--name", name).returncode == 0
    assert is_gone(name)


def test_a_lab_is_taken_down_by_several_at_once(name: str) -> None:
    assert warren("up", "--name", name, "--hosts", "2").returncode == 0
    for number in range(5_000):  # so that none is done before the others are there
        (LABS / name / "instances" / str(number)).touch()
    with ExitStack() as every:
        downs = [
            every.enter_context(subprocess.Popen([*COMMAND, "down", "--name", name], stderr=subprocess.PIPE, text=True))
            for _ in range(3)
        ]
        ends = [(down.communicate()[1], down.returncode) for down in downs]
    assert ends == [("", 0)] * 3
    assert is_gone(name)


def test_two_labs_are_up_at_once_with_servers_of_their_own(lab: str, name: str) -> None:
    assert warren("up", "--name", name, "--tunnel", "gre", "--hosts", "2").returncode == 0
    mine, other = (json.loads(warren("status", "--name", each, "--json").stdout) for each in (name, lab))
    assert mine["server"]["url"] != other["server"]["url"]
    assert warren("down", "--name", name).returncode == 0
    assert is_gone(name)
    assert warren("exec", "--name", lab, "vm1", "--", "ping", "-c1", "-W2", "192.168.5.1").returncode == 0


def test_a_port_that_its_host_cannot_filter_is_refused_with_the_reason(name: str) -> None:
    assert warren("up", "--name", name, "--plug", "ovs", "--hosts", "2").returncode == 0
    client = Client(access(open_lab(name)).credentials())
    client.create_subnet("v4", client.create_network("blue"), "192.168.7.0/24", "192.168.7.1")
    done = warren("boot", "--name", name, "x1", "--host", "compute1", "--network", "blue")
    assert done.returncode == 2
    assert "port_security_enabled=false" in done.stderr
    assert client.ports(name="x1") == []
    assert json.loads(warren("status", "--name", name, "--json").stdout)["instances"] == []


def test_a_lab_with_two_network_hosts_comes_up(name: str) -> None:
    assert warren("up", "--name", name, "--network-hosts", "2", "--hosts", "3").returncode == 0
    status = json.loads(warren("status", "--name", name, "--json").stdout)
    assert [host["role"] for host in status["hosts"]] == ["network", "network", "compute"]
