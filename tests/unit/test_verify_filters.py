# ruff: noqa: E501
"""Packet filters before instances: what every security group lets pass must come through; the rest is not judged."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from warren.inspect.snapshot.model import Estate
from warren.inspect.snapshot.names import Names, read_names
from warren.inspect.verify.finding import Finding
from warren.inspect.verify.verify import verify
from warren.sources.open import read_source

LAB = Path(__file__).parent.parent / "fixtures" / "warren-l2pop-hybrid"
SAVED = "compute1/iptables-save_host"
VM1 = "192.168.5.3"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(LAB, tmp_path / "copy", ignore=shutil.ignore_patterns("api.json")))


def found(folder: Path, *, is_named: bool = True) -> list[Finding]:
    names = read_names(json.loads((LAB / "api.json").read_text())) if is_named else Names()
    return list(verify(Estate(hosts=read_source(str(folder)), names=names)).findings)


def rewrite(folder: Path, change: Callable[[str], str]) -> None:
    before = (folder / SAVED).read_text()
    (folder / SAVED).write_text(change(before))
    assert (folder / SAVED).read_text() != before


def with_rule(table: str, rule: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        start, end = text.partition(f"*{table}\n")[0::2]
        return f"{start}*{table}\n" + end.replace("COMMIT\n", f"{rule}\nCOMMIT\n", 1)

    return change


def before_the_jump(rule: str) -> Callable[[str], str]:
    return lambda text: text.replace("-A FORWARD -j warren-FORWARD\n", f"{rule}\n-A FORWARD -j warren-FORWARD\n")


def without_the_jump_and_closed(text: str) -> str:
    return text.replace("-A FORWARD -j warren-FORWARD\n", "").replace(":FORWARD ACCEPT", ":FORWARD DROP")


RAW = f"-A PREROUTING -s {VM1}/32 -j DROP"
ICMP = "-A FORWARD -p icmp -j REJECT --reject-with icmp-port-unreachable"
FAULTS: dict[str, tuple[Callable[[str], str], str, str, str]] = {
    "a rule of the raw table": (with_rule("raw", RAW), "port 'vm1'", RAW, f"iptables -t raw -D {RAW[3:]}"),
    "a rule before the groups": (before_the_jump(ICMP), "3 ports", ICMP, f"iptables -t filter -D {ICMP[3:]}"),
    "a policy where no group accepts": (
        without_the_jump_and_closed,
        "3 ports",
        ":FORWARD DROP",
        "iptables -t filter -P FORWARD ACCEPT",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cuts_instances_off_is_found_with_the_rule_and_the_command_that_takes_it_out(
    copy: Path, fault: str
) -> None:
    damage, who, rule, mend = FAULTS[fault]
    rewrite(copy, damage)
    (finding,) = (each for each in found(copy) if each.kind == "ports-cut-off")
    assert (finding.host, finding.object, finding.mend) == ("compute1", who, mend)
    assert rule in finding.evidence[0]


def test_a_policy_that_drops_behind_groups_that_accept_is_no_fault(copy: Path) -> None:
    """As on every host with Docker: what the groups let pass, they accept themselves."""
    rewrite(copy, lambda text: text.replace(":FORWARD ACCEPT", ":FORWARD DROP"))
    assert found(copy) == []


def test_rules_about_something_else_and_rules_that_cannot_be_told_are_no_fault(copy: Path) -> None:
    rewrite(copy, before_the_jump("-A FORWARD -i eth0 -j DROP"))
    rewrite(copy, before_the_jump("-A FORWARD -m string --string x --algo bm -j DROP"))
    assert found(copy) == []


def test_without_names_the_question_of_a_dhcp_client_still_tells(copy: Path) -> None:
    rewrite(copy, before_the_jump("-A FORWARD -p udp -j DROP"))
    assert "ports-cut-off" in {finding.kind for finding in found(copy, is_named=False)}


def with_kernel_datapath(folder: Path) -> Path:
    """As on a host with the kernel's module, where a tunnel's packets pass iptables."""
    for file in ("ovs-vsctl_list_bridge", "ovs-vsctl_show"):
        path = folder / "compute1" / file
        path.write_text(path.read_text().replace("netdev", "system"))
    rewrite(folder, lambda text: text.replace("-A PREROUTING -i eth0 -j DROP\n", ""))
    return folder


def into(chain: str, *rules: str) -> Callable[[str], str]:
    """Rules at the end of a chain of the filter table."""
    return with_rule("filter", "\n".join(f"-A {chain} {rule}" for rule in rules))


VXLAN, ANY_FROM_PEERS = "-p udp -m udp --dport 4789 -j ACCEPT", "-s 10.9.0.0/24 -j ACCEPT"
TUNNELS_CUT_OFF: dict[str, tuple[Callable[[str], str], str, str]] = {
    "a policy": (lambda text: text.replace(":INPUT ACCEPT", ":INPUT DROP"), "2 tunnels", "iptables -I INPUT -p udp --dport 4789 -j ACCEPT"),
    "a rule for one": (into("INPUT", "-s 10.9.0.1/32 -p udp -j REJECT"), "tunnel vxlan-0a090001", "iptables -I INPUT -p udp --dport 4789 -j ACCEPT"),
    "a rule before": (with_rule("raw", "-A PREROUTING -p udp -j DROP"), "2 tunnels", "iptables -t raw -I PREROUTING -p udp --dport 4789 -j ACCEPT"),
    "the wrong port is open": (into("INPUT", "-p udp -m udp --dport 8472 -j ACCEPT", "-j REJECT"), "2 tunnels", "iptables -I INPUT -p udp --dport 4789 -j ACCEPT"),
}  # fmt: skip


@pytest.mark.parametrize("fault", TUNNELS_CUT_OFF)
def test_a_firewall_that_keeps_tunnels_out_is_found_with_the_command_that_lets_them_in(copy: Path, fault: str) -> None:
    damage, which, mend = TUNNELS_CUT_OFF[fault]
    rewrite(with_kernel_datapath(copy), damage)
    (finding,) = (each for each in found(copy) if each.kind == "tunnels-cut-off")
    assert (finding.host, finding.object, finding.mend) == ("compute1", which, mend)


@pytest.mark.parametrize(
    "rules", [(VXLAN, "-j DROP"), (ANY_FROM_PEERS, "-j DROP"), ("-m recent --name x --rcheck -j DROP", "-j DROP")]
)
def test_a_firewall_that_lets_tunnels_in_or_cannot_be_told_is_no_fault(copy: Path, rules: tuple[str, ...]) -> None:
    rewrite(with_kernel_datapath(copy), into("INPUT", *rules))
    assert "tunnels-cut-off" not in {finding.kind for finding in found(copy)}


def test_gre_is_let_in_by_what_the_host_itself_sends(copy: Path) -> None:
    with_kernel_datapath(copy)
    for file in ("ovs-vsctl_list_interface", "ovs-vsctl_show"):
        path = copy / "compute1" / file
        path.write_text(path.read_text().replace('"vxlan"', '"gre"').replace("type: vxlan", "type: gre"))
    rewrite(copy, into("INPUT", "-m conntrack --ctstate ESTABLISHED -j ACCEPT", "-j DROP"))
    assert "tunnels-cut-off" not in {finding.kind for finding in found(copy)}
    rewrite(copy, lambda text: text.replace("-m conntrack --ctstate ESTABLISHED -j ACCEPT", "-p tcp -j ACCEPT"))
    (finding,) = (each for each in found(copy) if each.kind == "tunnels-cut-off")
    assert finding.mend == "iptables -I INPUT -p gre -j ACCEPT"


def test_a_userspace_datapath_takes_a_tunnels_packets_before_the_firewall(copy: Path) -> None:
    rewrite(copy, into("INPUT", "-j DROP"))
    assert "tunnels-cut-off" not in {finding.kind for finding in found(copy)}


def test_where_bridges_are_not_filtered_no_rule_cuts_anybody_off(copy: Path) -> None:
    rewrite(copy, before_the_jump(ICMP))
    path = copy / "compute1" / "sysctl_host"
    path.write_text(path.read_text().replace("bridge-nf-call-iptables = 1", "bridge-nf-call-iptables = 0"))
    assert "ports-cut-off" not in {finding.kind for finding in found(copy)}
