import os
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from warren.agent.drivers import netns
from warren.agent.drivers.command import run
from warren.agent.drivers.dnsmasq import Dnsmasq
from warren.agent.drivers.namespaces import Namespaces
from warren.agent.loop import Pass
from warren.agent.stages.dnsmasq import Dnsmasq as Stage
from warren.core import names
from warren.core.state import Dhcp, HostState, Port, Route, Subnet
from warren.namespaces import Key, Setting, render, servers
from warren.reconcile.plan import Plan, plan
from warren.testing.ovs import wait_until
from warren.testing.segments import Machine, lay, machine, plug_in
from warren.testing.sites import Site

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("host")]

SCRIPT = "#!/bin/sh\necho event=$1\nenv\n"


class Office:
    """A site whose network red has a DHCP server, and newcomers who ask it."""

    def __init__(self, directory: Path) -> None:
        self.site = Site()
        self.directory = directory
        self.driver = Dnsmasq(directory / "dhcp")
        self.script = directory / "udhcpc"
        self.script.write_text(SCRIPT)
        self.script.chmod(0o755)
        self.port = self.site.port(self.site.red, 7)
        lay(self.site.state())

    def difference(self, state: HostState) -> Plan[Key, Setting]:
        return plan(servers(state, str(self.directory / "dhcp")), self.driver.installed())

    def serve(self, state: HostState) -> None:
        namespaces, desired = Namespaces(), render(state)
        assert not namespaces.apply(plan(desired, namespaces.installed({key.namespace for key in desired}))).failed
        assert not self.driver.apply(self.difference(state))
        assert not self.difference(state)

    def state(self, *ports: Port, subnet: Subnet | None = None, dhcp: Dhcp | None = None) -> HostState:
        red = replace(self.site.red, subnets=(subnet,)) if subnet else self.site.red
        return self.site.state(red, dhcp or self.site.dhcp_with(*ports))

    def pid(self) -> int:
        (process,) = self.driver.running()
        return process.pid

    def asks(self, who: Machine) -> dict[str, str]:
        """What a client was told: udhcpc's environment for the lease; empty when nobody answered."""
        options = [word for number in (26, 121, 249) for word in ("-O", str(number))]
        with netns.entered(who.namespace):
            asked = ["busybox", "udhcpc", "-i", "eth0", "-n", "-q", "-f", "-t", "5", "-T", "1", "-s", str(self.script)]
            done = subprocess.run([*asked, *options], capture_output=True, text=True, timeout=30, check=False)
        if "event=bound" not in done.stdout:
            return {}
        lines = done.stdout.partition("event=bound")[2].splitlines()
        return dict(line.split("=", 1) for line in lines if "=" in line)


@pytest.fixture
def office() -> Iterator[Office]:
    with tempfile.TemporaryDirectory(dir="/run") as directory:
        Path(directory).chmod(0o755)
        office = Office(Path(directory))
        yield office
        office.driver.apply(plan({}, office.driver.installed()))
        assert not office.driver.running()


def test_a_known_port_gets_its_address_and_what_goes_with_it(office: Office) -> None:
    (subnet,) = office.site.red.subnets
    subnet = replace(
        subnet, dns_nameservers=("192.0.2.53",), host_routes=(Route(destination="172.16.0.0/12", nexthop="10.1.0.9"),)
    )
    office.serve(office.state(office.port, subnet=subnet))
    told = office.asks(machine(office.site.red, mac_address=office.port.mac_address))
    assert (told["ip"], told["subnet"], told["mtu"]) == ("10.1.0.7", "255.255.255.0", "1450")
    assert (told["router"], told["dns"], told["serverid"]) == ("10.1.0.1", "192.0.2.53", "10.1.0.2")
    assert told["staticroutes"] == "172.16.0.0/12 10.1.0.9 0.0.0.0/0 10.1.0.1"
    assert told["domain"] == "warren.internal"


def test_a_stranger_gets_nothing(office: Office) -> None:
    office.serve(office.state(office.port))
    assert office.asks(machine(office.site.red)) == {}


def test_a_new_port_is_served_without_a_restart(office: Office) -> None:
    office.serve(office.state())
    pid = office.pid()
    office.serve(office.state(office.port))
    assert office.asks(machine(office.site.red, mac_address=office.port.mac_address))["ip"] == "10.1.0.7"
    assert office.pid() == pid


def test_an_address_that_changed_hands_is_given_to_its_new_port(office: Office) -> None:
    office.serve(office.state(office.port))
    assert office.asks(machine(office.site.red, mac_address=office.port.mac_address))["ip"] == "10.1.0.7"
    heir = replace(office.site.port(office.site.red, 8), fixed_ips=office.port.fixed_ips)
    office.serve(office.state(heir))
    assert office.asks(machine(office.site.red, mac_address=heir.mac_address))["ip"] == "10.1.0.7"


def test_a_lease_that_its_port_left_behind_is_released_and_called_no_repair(office: Office) -> None:
    """An agent was killed after it had written the new hosts, for instance, or a request came just before that."""
    stage, state = Stage(office.driver), office.state(office.port)
    office.serve(state)
    stage.run(Pass(state=state))
    assert office.asks(machine(office.site.red, mac_address=office.port.mac_address))["ip"] == "10.1.0.7"
    (office.directory / "dhcp" / office.site.red.id / "host").write_text("")
    with capture_logs() as lines:
        assert stage.run(Pass(state=office.state())).changes == 2
    assert {line["event"] for line in lines} == {"setting.change"}
    assert "lease" in {line["kind"] for line in lines}


def test_a_changed_command_line_restarts_it(office: Office) -> None:
    office.serve(office.state(office.port))
    before = office.pid()
    office.serve(office.site.state(replace(office.site.red, mtu=1400), office.site.dhcp_with(office.port)))
    assert office.pid() != before
    assert office.asks(machine(office.site.red, mac_address=office.port.mac_address))["mtu"] == "1400"


def test_an_agent_without_memory_finds_everything_as_it_should_be(office: Office) -> None:
    state = office.state(office.port)
    office.serve(state)
    (office.directory / "dhcp" / office.site.red.id / "pid").unlink()
    office.driver = Dnsmasq(office.directory / "dhcp")
    assert not office.difference(state)


@pytest.mark.parametrize(
    "fault", ["killed", "stopped", "file changed", "file gone", "folder gone", "file is garbage", "leases are garbage"]
)
def test_whatever_is_broken_is_mended(office: Office, fault: str) -> None:
    state, folder = office.state(office.port), office.directory / "dhcp" / office.site.red.id
    office.serve(state)
    if fault == "killed":
        killed = office.pid()
        os.kill(killed, signal.SIGKILL)
        wait_until(lambda: not office.driver.running(), "dnsmasq is gone")
    elif fault == "stopped":
        os.kill(office.pid(), signal.SIGSTOP)
        wait_until(lambda: office.driver.running()[0].is_stopped, "dnsmasq is stopped")
    elif fault == "file changed":
        (folder / "host").write_text("fa:16:3e:00:00:99,10.1.0.66\n")
    elif fault == "file gone":
        (folder / "opts").unlink()
    elif fault == "folder gone":
        subprocess.run(["rm", "-r", str(folder)], check=True)
    elif fault == "file is garbage":
        (folder / "host").write_bytes(b"\xff\xfe\x00")
    else:
        (folder / "leases").write_bytes(b"\xff\x00garbage\n1 2 3 4 5 6\n")
    assert office.difference(state) or fault == "leases are garbage"
    office.serve(state)
    assert office.asks(machine(office.site.red, mac_address=office.port.mac_address))["ip"] == "10.1.0.7"


def test_a_dnsmasq_in_the_wrong_namespace_is_replaced(office: Office) -> None:
    state = office.state(office.port)
    office.serve(state)
    netns.delete(names.dhcp_namespace(office.site.red.id))
    run(["ip", "link", "delete", f"x{names.tap(office.site.dhcp_port.id)[1:]}"])  # dnsmasq kept the interface alive
    plug_in(names.tap(office.site.dhcp_port.id), office.site.red)
    office.serve(state)
    assert office.asks(machine(office.site.red, mac_address=office.port.mac_address))["ip"] == "10.1.0.7"


def test_of_two_for_one_network_one_stays(office: Office) -> None:
    state = office.state(office.port)
    office.serve(state)
    (process,) = office.driver.running()
    with netns.entered(names.dhcp_namespace(office.site.red.id)):
        subprocess.run(["dnsmasq", *process.arguments[:-1], "--port=0", "--bind-interfaces"], check=False)
    office.serve(state)
    assert len(office.driver.running()) == 1
    assert office.asks(machine(office.site.red, mac_address=office.port.mac_address))["ip"] == "10.1.0.7"


def test_what_a_dead_server_left_goes_with_it(office: Office) -> None:
    office.serve(office.state(office.port))
    os.kill(office.pid(), signal.SIGKILL)
    wait_until(lambda: not office.driver.pids(), "dnsmasq is gone")
    assert not office.driver.apply(plan({}, office.driver.installed()))
    assert not office.driver.installed()


def test_a_file_that_cannot_be_written_is_said_and_stops_no_other_network(office: Office) -> None:
    state, folder = office.state(office.port), office.directory / "dhcp" / office.site.red.id
    (folder / "host" / "in the way").mkdir(parents=True)
    (office.directory / "dhcp" / "no folder").write_text("")
    (why,) = Dnsmasq(office.directory / "dhcp").apply(office.difference(state)).values()
    assert "cannot be written" in why
    subprocess.run(["rm", "-r", str(folder)], check=True)
    office.serve(state)


def test_a_dnsmasq_that_is_not_warrens_is_left_alone(office: Office) -> None:
    pid_file = office.directory / "foreign"
    arguments = ["--conf-file=", "--port=0", "--interface=lo", "--bind-interfaces", f"--pid-file={pid_file}"]
    subprocess.run(["dnsmasq", *arguments], check=True)
    pid = int(pid_file.read_text())
    try:
        office.serve(office.state(office.port))
        office.driver.apply(plan({}, office.driver.installed()))
        assert not office.driver.running()
        assert Path(f"/proc/{pid}/cmdline").read_bytes().startswith(b"dnsmasq")
    finally:
        os.kill(pid, signal.SIGTERM)
