"""A sosreport's folder of Neutron nodes is understood as well: the same dumps under sosreport's names."""

import re
import shutil
from pathlib import Path

import pytest

from warren.inspect.path.endpoint import find
from warren.inspect.path.hop import Verdict
from warren.inspect.path.question import Question, trace
from warren.inspect.path.topology import Topology
from warren.inspect.snapshot.model import Estate, Host
from warren.inspect.verify.verify import verify
from warren.sources.open import read_source

REFERENCE = Path(__file__).parent.parent / "fixtures" / "neutron" / "6c-vm1-vm2-ping"
RENAMED = (
    (r"dump-flows_(br-\S+)", r"sos_commands/openvswitch/ovs-ofctl_dump-flows_\1"),
    (r"ofctl_show_(br-\S+)", r"sos_commands/openvswitch/ovs-ofctl_show_\1"),
    (r"fdb_(br-\S+)", r"sos_commands/openvswitch/ovs-appctl_fdb.show_\1"),
    (r"ovs-vsctl_show", "sos_commands/openvswitch/ovs-vsctl_-t_5_show"),
    (r"ovs-vsctl_list_(interface|bridge)", r"sos_commands/openvswitch/ovs-vsctl_-t_5_list_\1"),
    (r"ip_addr_host", "sos_commands/networking/ip_-d_address"),
    (r"ip_netns", "sos_commands/networking/ip_netns"),
    (r"(ip6?tables-save)_(\S+)", r"sos_commands/networking/namespaces/\2/ip_netns_exec_\2_\1"),
    (r"sysctl_(\S+)", r"sos_commands/networking/namespaces/\1/ip_netns_exec_\1_sysctl_-a"),
    (r"dnsmasq_([^/]+)/host", r"var/lib/neutron/dhcp/\1/host"),
)
SECTIONS = {"ip addr": "ip_-d_address_show", "ip route": "ip_route_show_table_all", "ip neigh": "ip_-s_-s_neigh_show"}


def as_sosreport(host: Path, into: Path) -> None:
    for path in host.rglob("*"):
        name = path.relative_to(host).as_posix()
        if name.startswith("ns_") and path.is_file():
            split_namespace(path, into / "sos_commands/networking/namespaces" / name[3:])
        for pattern, replacement in RENAMED:
            if path.is_file() and re.fullmatch(pattern, name):
                target = into / re.sub(pattern, replacement, name)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    (into / "hostname").write_text(f"{host.name}\n")


def split_namespace(path: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for section in re.split(r"^# ", path.read_text(), flags=re.MULTILINE)[1:]:
        title, _, text = section.partition("\n")
        if title in SECTIONS:
            (folder / f"ip_netns_exec_{folder.name}_{SECTIONS[title]}").write_text(text)


@pytest.fixture
def reports(tmp_path: Path) -> tuple[Host, ...]:
    for host in REFERENCE.iterdir():
        as_sosreport(host, tmp_path / f"sosreport-{host.name}-2026-11-23-abcdefg")
    return read_source(str(tmp_path))


def test_every_host_of_several_sosreports_is_found_by_its_own_name(reports: tuple[Host, ...]) -> None:
    assert [host.name for host in reports] == ["compute1", "compute2", "network"]
    assert [problem for host in reports for problem in host.problems] == []


def test_they_are_verified_as_the_dumps_themselves(reports: tuple[Host, ...]) -> None:
    assert verify(Estate(hosts=reports)).findings == ()


def test_packets_are_followed_through_them(reports: tuple[Host, ...]) -> None:
    known = Estate(hosts=reports)
    topology = Topology(estate=known)
    found = trace(known, find("vm1", topology), find("192.168.1.24", topology), Question())
    assert found.verdict is Verdict.DELIVERED
    left = trace(known, find("vm1", topology), find("8.8.8.8", topology), Question())
    assert left.verdict is Verdict.LEFT
