"""Agents beside the one that a host has."""

import re

import pytest
from tests.e2e.host.estate import Estate

pytestmark = pytest.mark.root


def test_a_second_agent_on_the_host_is_refused_with_one_sentence(estate: Estate) -> None:
    second = estate.host("compute1").run("python3", "-m", "warren", "agent", "--config", "/run/warren/agent.toml")
    assert second.returncode == 2
    assert re.fullmatch(
        r"warren: another agent \(process \d+\) works with /run/warren/state: stop it first.*\n", second.stderr
    )


def test_a_dry_run_beside_the_running_agent_plans_nothing_on_a_host_that_is_right(estate: Estate) -> None:
    dry = estate.host("network").run(
        "python3", "-m", "warren", "agent", "--config", "/run/warren/agent.toml", "--dry-run"
    )
    assert dry.returncode == 0
    assert ".plan" not in dry.stderr
