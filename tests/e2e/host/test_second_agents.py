"""Agents beside the one that a host has."""

import re
import subprocess

import pytest
from tests.e2e.host.estate import PATIENCE_S, Estate

from warren.lab import api

pytestmark = pytest.mark.root


def test_a_second_agent_on_the_host_is_refused_with_one_sentence(estate: Estate) -> None:
    second = estate.host("compute1").run("python3", "-m", "warren", "agent", "--config", "/run/warren/agent.toml")
    assert second.returncode == 2
    assert re.fullmatch(
        r"warren: another agent \(process \d+\) works with /run/warren/state: stop it first.*\n", second.stderr
    )


def test_a_second_agent_of_the_same_name_is_told_nothing_and_changes_nothing(estate: Estate) -> None:
    """As on another machine with a copy of the configuration: it finds no lock, in `state_dir` or beside the switch."""
    compute, directory = estate.host("compute1"), estate.lab.host("compute1") / "run" / "warren"
    config, log = directory / "second.toml", directory / "second.log"
    text = (directory / "agent.toml").read_text()
    compute.must("mkdir", "-p", "/run/warren/ovs")
    compute.must("sh", "-c", "ln -sf /run/openvswitch/*.sock /run/openvswitch/*.mgmt /run/warren/ovs")
    text = text.replace('"/run/warren/state"', '"/run/warren/second"')
    config.write_text(text.replace("[ovs]\n", '[ovs]\ndb = "unix:/run/warren/ovs/db.sock"\n'))
    before = estate.flow_ages("compute1")
    with log.open("w") as said:
        second = subprocess.Popen(
            compute.command(["python3", "-m", "warren", "agent", "--config", "/run/warren/second.toml"]),
            env=compute.environment(),
            stdout=said,
            stderr=said,
        )
    try:
        sentence = "host compute1 has another agent that is alive: stop one of the two"
        api.wait_until(lambda: sentence in log.read_text(), f"{sentence!r} in {log}", PATIENCE_S)
        assert second.poll() is None, "it waits for the first to end"
    finally:
        second.terminate()
        second.wait()
    assert not (directory / "second" / "state.json").exists()
    after = estate.flow_ages("compute1")
    assert all(after[key] > age for key, age in before.items() if key[1] != "20"), "a flow was added anew"
    assert "agent.second" in (estate.lab.path / "server.log").read_text()
    assert estate.port_status(estate.first) == "ACTIVE"


def test_a_dry_run_beside_the_running_agent_plans_nothing_on_a_host_that_is_right(estate: Estate) -> None:
    dry = estate.host("network").run(
        "python3", "-m", "warren", "agent", "--config", "/run/warren/agent.toml", "--dry-run"
    )
    assert dry.returncode == 0
    assert ".plan" not in dry.stderr
