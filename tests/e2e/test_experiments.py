"""The six experiments hold, in every way that a lab can be; and a lab on which they do not hold is told so."""

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from warren.lab import control, processes
from warren.lab.api import Client
from warren.lab.directory import LABS, open_lab
from warren.lab.down import take_down
from warren.lab.host import place
from warren.pipeline.cookies import LEARNED

pytestmark = pytest.mark.root

CLAIMS = {1: 9, 2: 6, 3: 11, 4: 8, 5: 6, 6: 7}
"""Experiment -> the least number of claims that it makes in any mode."""


@pytest.fixture
def name() -> Iterator[str]:
    name = f"e{secrets.token_hex(4)}"
    yield name
    take_down(name)


def warren(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "warren", "lab", *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **(env or {})},
    )


def results(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "results.json").read_text())
    return found


@pytest.mark.parametrize(
    "shape",
    [
        ("--tunnel", "vxlan", "--plug", "hybrid", "--mode", "learning"),
        ("--tunnel", "gre", "--plug", "hybrid", "--mode", "learning"),
        ("--tunnel", "vxlan", "--plug", "ovs", "--mode", "learning"),
        ("--tunnel", "gre", "--plug", "ovs", "--mode", "l2pop", "--network-hosts", "2"),
        ("--tunnel", "vxlan", "--plug", "hybrid", "--mode", "l2pop"),
        ("--tunnel", "vxlan", "--plug", "hybrid", "--mode", "learning", "--instance", "qemu"),
    ],
    ids=" ".join,
)
def test_every_claim_of_the_six_experiments_holds(name: str, shape: tuple[str, ...], tmp_path: Path) -> None:
    done = warren("all", "--name", name, "--ageing", "10", "--out", str(tmp_path), *shape)
    assert done.returncode == 0, done.stdout + done.stderr
    found = results(tmp_path)
    assert found["held"] is True
    for experiment in found["experiments"]:
        assert len(experiment["claims"]) >= CLAIMS[experiment["number"]]
        assert experiment["stages"]
        assert experiment["steps"]
        assert experiment["ways"]
    assert all(claim["held"] and claim["expected"] and claim["observed"] for claim in found["claims"])
    missing = [claim["evidence"] for claim in found["claims"] if not (tmp_path / claim["evidence"]).is_file()]
    assert not missing
    page = (tmp_path / "report.html").read_text()
    assert page.count("<section") == 7
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert processes.carrying(name) == ()
    assert not (LABS / name).exists()


def test_raw_outputs_of_every_host_are_kept_at_every_stage(name: str, tmp_path: Path) -> None:
    assert warren("all", "--name", name, "--ageing", "10", "--out", str(tmp_path), "2").returncode == 0
    stages = {stage["name"] for experiment in results(tmp_path)["experiments"] for stage in experiment["stages"]}
    for stage in stages:
        for host in ("network", "compute1", "compute2"):
            kept = {path.name for path in (tmp_path / stage / host).iterdir()}
            assert kept >= {
                "ovs-vsctl_show",
                "ofctl_show_br-tun",
                "dump-flows_br-tun",
                "dump-flows_br-int",
                "ip_netns",
                "ip_addr_host",
                "ip_route_host",
                "brctl_show",
                "iptables-save_host",
            }
    network = {path.name.partition("_q")[0] for path in (tmp_path / "2d-router" / "network").iterdir()}
    assert network >= {"dump-flows_br-ex", "iptables-save", "ip_addr", "ip_route"}


def test_a_claim_that_does_not_hold_says_what_was_expected_and_what_was_seen(name: str, tmp_path: Path) -> None:
    assert warren("up", "--name", name, "--ageing", "10").returncode == 0
    lab = open_lab(name)
    agent = lab.living(lab.host("compute1") / "agent.pid")
    assert agent is not None
    processes.end_one(agent, lab.lab_id)  # or it would put the flow back
    place(lab, "compute1").must("ovs-ofctl", "add-flow", "br-tun", "table=22,priority=5,dl_vlan=9,actions=drop")
    done = warren("run", "--name", name, "--out", str(tmp_path), "1")
    assert done.returncode == 1
    failed = [claim for claim in results(tmp_path)["claims"] if not claim["held"]]
    assert [claim["claim"] for claim in failed] == [
        "br-tun on compute1 holds the initial flows and one per tunnel port, nothing else"
    ]
    assert "table=22, priority=5,dl_vlan=9 actions=drop" in failed[0]["observed"]
    assert "dl_vlan=9" in done.stdout
    assert 'class="failed"' in (tmp_path / "report.html").read_text()


def test_learned_entries_that_go_before_their_time_are_a_claim_that_does_not_hold(name: str, tmp_path: Path) -> None:
    assert warren("up", "--name", name, "--ageing", "60").returncode == 0
    lab = open_lab(name)
    run = [sys.executable, "-m", "warren", "lab", "run", "--name", name, "--out", str(tmp_path), "4"]
    with subprocess.Popen(run, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        while "vm1 has pinged" not in running.stdout.readline():
            assert running.poll() is None
        places = [place(lab, host) for host in ("network", "compute1")]
        while not (tmp_path / "4c-aged").exists() and running.poll() is None:
            for host in places:
                host.must("ovs-ofctl", "del-flows", "br-tun", f"cookie={LEARNED:#x}/-1,table=20")
        running.communicate(timeout=60)
    failed = [claim["claim"] for claim in results(tmp_path)["claims"] if not claim["held"]]
    start = "with no traffic the learned entries of table 20 on"
    assert {f"{start} {host} disappear by themselves after the ageing time" for host in ("network", "compute1")} <= set(
        failed
    )


def test_two_runs_at_once_on_one_lab_are_refused(name: str, tmp_path: Path) -> None:
    assert warren("up", "--name", name).returncode == 0
    first = [sys.executable, "-m", "warren", "lab", "run", "--name", name, "--out", str(tmp_path / "a")]
    with subprocess.Popen(first, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        while "1. Nothing yet" not in running.stdout.readline():
            assert running.poll() is None
        done = warren("run", "--name", name, "--out", str(tmp_path / "b"), "1")
        running.terminate()
        running.communicate(timeout=30)
    assert (done.returncode, running.returncode) == (2, 1)
    assert "already" in done.stderr


def test_experiments_run_again_on_the_same_lab(name: str, tmp_path: Path) -> None:
    assert warren("up", "--name", name, "--ageing", "10").returncode == 0
    for _ in range(2):
        done = warren("run", "--name", name, "--out", str(tmp_path), "3")
        assert done.returncode == 0, done.stdout + done.stderr
    status = json.loads(warren("status", "--name", name, "--json").stdout)
    assert [instance["name"] for instance in status["instances"]] == ["vm1"]


def test_experiments_run_on_a_lab_whose_networks_somebody_deleted(name: str, tmp_path: Path) -> None:
    assert warren("up", "--name", name, "--ageing", "10").returncode == 0
    assert warren("run", "--name", name, "--out", str(tmp_path), "3").returncode == 0
    client = Client(control.admin(open_lab(name)))
    for router in client.routers():
        for port in client.ports(device_id=router.id, device_owner="network:router_interface"):
            client.remove_interface(router, port)
        client.delete("router", router.id)
    for network in client.networks():
        for port in client.ports(network_id=network.id, name="vm1"):
            client.delete("port", port.id)
        client.delete("network", network.id)
    done = warren("run", "--name", name, "--out", str(tmp_path), "3")
    assert done.returncode == 0, done.stdout + done.stderr
