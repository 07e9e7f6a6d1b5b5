"""The kernel's events reach whoever waits for them, and nothing keeps what was deleted alive."""

import subprocess
from collections.abc import Callable, Iterator
from queue import Empty, Queue

import pytest

from warren.agent.drivers import netns
from warren.agent.drivers.kernel_monitor import Event, KernelMonitor, Kind
from warren.testing.ovs import wait_until

pytestmark = pytest.mark.root

WAIT_S = 5.0


@pytest.fixture
def heard(host: str) -> Iterator[tuple[KernelMonitor, Queue[Event]]]:
    assert netns.identity(host), "the monitor listens where its maker is"
    events: Queue[Event] = Queue()
    monitor = KernelMonitor(events.put)
    monitor.start()
    yield monitor, events
    monitor.stop()


def run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)


def wait_for(events: Queue[Event], wanted: Event) -> None:
    seen = []
    try:
        while True:
            seen.append(events.get(timeout=WAIT_S))
            if seen[-1] == wanted:
                return
    except Empty:
        pytest.fail(f"heard {seen}, not {wanted}")


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (("ip", "link", "add", "x0", "type", "bridge"), Kind.LINKS),
        (("ip", "address", "add", "192.0.2.1/24", "dev", "lo"), Kind.LINKS),
        (("ip", "rule", "add", "pref", "100", "lookup", "7"), Kind.LINKS),
        (("ip", "-6", "rule", "add", "pref", "100", "lookup", "7"), Kind.LINKS),
        (("sysctl", "-qw", "net.ipv4.ip_forward=1"), Kind.LINKS),
        (("iptables", "-N", "warren-x"), Kind.RULES),
    ],
    ids=["link", "address", "routing rule", "IPv6 routing rule", "forwarding", "rule"],
)
def test_a_change_on_the_host_and_in_a_watched_namespace_is_told_with_its_place(
    host: str, heard: tuple[KernelMonitor, Queue[Event]], command: tuple[str, ...], kind: Kind
) -> None:
    monitor, events = heard
    name = f"{host}-in"
    netns.create(name)
    monitor.watch_namespaces([name])
    run(*command)
    wait_for(events, Event(kind, ""))
    run("ip", "netns", "exec", name, *command)
    wait_for(events, Event(kind, name))


def test_names_that_come_and_go_are_told(host: str, heard: tuple[KernelMonitor, Queue[Event]]) -> None:
    _, events = heard
    for act in (netns.create, netns.delete):
        act(f"{host}-on")
        wait_for(events, Event(Kind.NAMES, f"{host}-on"))


def test_the_end_of_a_watched_process_is_told_also_when_it_ended_before(
    heard: tuple[KernelMonitor, Queue[Event]],
) -> None:
    monitor, events = heard
    process = subprocess.Popen(["sleep", "100"])
    monitor.watch_processes([process.pid])
    process.kill()
    process.wait()
    wait_for(events, Event(Kind.EXIT, str(process.pid)))
    monitor.watch_processes([process.pid])
    wait_for(events, Event(Kind.EXIT, str(process.pid)))


def test_a_namespace_that_is_deleted_and_let_go_dies_with_its_interfaces(
    host: str, heard: tuple[KernelMonitor, Queue[Event]]
) -> None:
    monitor, _ = heard
    name = f"{host}-die"
    netns.create(name)
    run("ip", "link", "add", "here0", "type", "veth", "peer", "name", "there0", "netns", name)
    monitor.watch_namespaces([name])
    netns.delete(name)
    monitor.watch_namespaces([])
    wait_until(gone("here0"), "the veth pair dies with the namespace of its other end", WAIT_S)


def gone(interface: str) -> Callable[[], bool]:
    return lambda: subprocess.run(["ip", "link", "show", interface], capture_output=True, check=False).returncode != 0
