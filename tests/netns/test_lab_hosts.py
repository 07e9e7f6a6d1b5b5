"""A lab's hosts, made for real and taken down again; each test has a lab of its own name."""

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from warren.core.errors import Conflict, Invalid, NotFound
from warren.lab import processes, switch
from warren.lab.api import wait_until
from warren.lab.directory import LABS, LabDirectory, claim, open_lab
from warren.lab.down import take_down
from warren.lab.host import Place, place
from warren.lab.plan import LabPlan, plan_hosts
from warren.lab.up import make_hosts

pytestmark = pytest.mark.root


def plan_of(name: str) -> LabPlan:
    return LabPlan(name=name, hosts=plan_hosts(total=3, network_hosts=1))


@pytest.fixture
def name() -> Iterator[str]:
    name = f"t{secrets.token_hex(4)}"
    yield name
    take_down(name)


@pytest.fixture
def lab(name: str) -> LabDirectory:
    lab = claim(plan_of(name))
    make_hosts(lab, say=lambda _: None)
    return lab


def links_of_this_machine() -> set[str]:
    return {entry.name for entry in Path("/sys/class/net").iterdir()}


def test_plain_commands_on_a_host_answer_as_on_a_real_host(lab: LabDirectory) -> None:
    compute1 = place(lab, "compute1")
    assert compute1.must("hostname").strip() == "compute1"
    assert "ovs_version" in compute1.must("ovs-vsctl", "show")
    compute1.must("ip", "netns", "add", "vm1")
    assert compute1.must("ip", "netns").split() == ["vm1"]
    compute1.must("ip", "link", "add", "qbr1", "type", "bridge")
    assert "qbr1" in compute1.must("brctl", "show")
    assert place(lab, "compute2").must("ip", "netns") == ""


def test_every_host_has_a_switch_of_its_own(lab: LabDirectory) -> None:
    place(lab, "compute1").must(
        "ovs-vsctl", "add-br", "br-mine", "--", "set", "bridge", "br-mine", "datapath_type=netdev"
    )
    assert place(lab, "compute1").must("ovs-vsctl", "list-br").split() == ["br-mine"]
    assert place(lab, "compute2").must("ovs-vsctl", "list-br") == ""


def test_the_world_reaches_compute_hosts_on_the_external_lan(lab: LabDirectory) -> None:
    assert place(lab, "world").run("ping", "-c1", "-W2", "203.0.113.11").returncode == 0


def test_nothing_of_the_machine_s_own_network_changes(name: str) -> None:
    links = links_of_this_machine()
    make_hosts(claim(plan_of(name)), say=lambda _: None)
    assert links_of_this_machine() == links


def test_two_labs_are_up_at_once_and_one_goes_without_the_other(lab: LabDirectory) -> None:
    other = claim(plan_of(f"{lab.plan.name}b"))
    try:
        make_hosts(other, say=lambda _: None)
        assert place(other, "compute1").must("hostname")
    finally:
        take_down(other.plan.name)
    assert place(lab, "compute1").must("hostname")


def test_down_leaves_no_process_and_no_file(lab: LabDirectory) -> None:
    removed = take_down(lab.plan.name)
    assert {process.program for process in removed.ended} >= {"ovs-vswitchd", "ovsdb-server"}
    assert processes.carrying(lab.plan.name) == ()
    assert not lab.path.exists()
    assert not take_down(lab.plan.name)


def test_down_cleans_up_after_everything_was_killed(lab: LabDirectory) -> None:
    for process in processes.carrying(lab.lab_id):
        os.kill(process.pid, signal.SIGKILL)
    wait_until(lambda: not processes.carrying(lab.lab_id), "their end", 10)
    with pytest.raises(Conflict, match="ended without being taken down"):
        open_lab(lab.plan.name)
    with pytest.raises(Conflict, match="warren lab down"):
        claim(lab.plan)
    assert "directory" in {thing.kind for thing in take_down(lab.plan.name).made}
    assert not lab.path.exists()


def test_down_finds_the_processes_of_a_lab_whose_files_are_lost(lab: LabDirectory) -> None:
    (lab.path / "lab.json").unlink()
    (lab.path / "manifest.jsonl").unlink()
    assert take_down(lab.plan.name).ended
    assert processes.carrying(lab.plan.name) == ()


def test_down_also_ends_what_a_person_started_on_a_host(lab: LabDirectory) -> None:
    pid = place(lab, "compute1").start(["sleep", "1000"], log=lab.path / "sleep.log")
    take_down(lab.plan.name)
    assert not processes.carries(pid, lab.lab_id)


def test_a_second_lab_of_the_same_name_is_refused(lab: LabDirectory) -> None:
    with pytest.raises(Conflict, match="is up already"):
        claim(lab.plan)
    assert place(lab, "compute1").must("hostname")


def test_unknown_hosts_and_labs_are_named_with_what_there_is(lab: LabDirectory) -> None:
    with pytest.raises(NotFound, match="network, compute1, compute2"):
        place(lab, "compute9")
    with pytest.raises(NotFound, match=rf"there is: .*\b{lab.plan.name}\b.*`warren lab up --name nowhere`"):
        open_lab("nowhere")


def test_a_command_that_is_named_is_one_that_the_caller_can_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WARREN_COMMAND", "./run warren")
    with pytest.raises(NotFound, match=r"`\./run warren lab up --name nowhere`"):
        open_lab("nowhere")


@pytest.mark.parametrize("bad", ["", "A", "../x", "x" * 21, "a b", "9"])
def test_a_name_that_is_no_name_is_refused_and_nothing_is_made(bad: str) -> None:
    with pytest.raises(Invalid):
        claim(plan_of(bad))
    assert bad == "" or not (LABS / bad).exists()


def test_switch_daemons_are_known_by_their_process(lab: LabDirectory) -> None:
    found = switch.pids(lab, "network")
    assert set(found) == {"ovsdb-server", "ovs-vswitchd"}
    processes.end_one(found["ovs-vswitchd"], lab.lab_id)
    assert set(switch.pids(lab, "network")) == {"ovsdb-server"}


def test_places_enter_only_living_hosts(lab: LabDirectory) -> None:
    compute1: Place = place(lab, "compute1")
    processes.end_one(compute1.holder_pid, lab.lab_id)
    with pytest.raises(Conflict, match="has ended"):
        place(lab, "compute1")
