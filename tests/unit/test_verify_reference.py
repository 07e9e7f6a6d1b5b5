"""A healthy Neutron has no fault; each fault planted in a copy of its dumps is found, and is the first one named."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.faults import Plant, edit

from warren.inspect.snapshot.model import Estate
from warren.inspect.snapshot.names import Names, read_names
from warren.inspect.verify.finding import Severity
from warren.inspect.verify.verify import Report, verify
from warren.sources.open import read_source

REFERENCE = Path(__file__).parent.parent / "fixtures" / "neutron"
STAGES = sorted(path.name for path in REFERENCE.iterdir() if path.is_dir())
LAST = REFERENCE / "6c-vm1-vm2-ping"
ROUTER = "qrouter-f5dc5045-9ac5-43b4-87cc-43731da02e9b"


def names() -> Names:
    return read_names(json.loads((REFERENCE / "api.json").read_text()))


def judged(folder: Path, known: Names | None = None) -> Report:
    return verify(Estate(hosts=read_source(str(folder)), names=known or Names()))


@pytest.mark.parametrize("stage", STAGES)
def test_a_healthy_neutron_has_no_fault(stage: str) -> None:
    report = judged(REFERENCE / stage)
    assert report.findings == ()
    assert report.problems == ()
    assert len(report.hosts) == 3


def test_a_healthy_neutron_has_no_fault_against_its_api_either() -> None:
    assert judged(LAST, names()).findings == ()


def write(file: str, text: str) -> Plant:
    """A fault planted as a file that was not there."""

    def plant(folder: Path) -> None:
        (folder / file).write_text(text)

    return plant


def both(*plants: Plant) -> Plant:
    def plant(folder: Path) -> None:
        for one in plants:
            one(folder)

    return plant


FLOOD = r"actions=strip_vlan,load:0x16f0->NXM_NX_TUN_ID\[\],output:2,output:3"
VM2_ENTRY = r"(dl_dst=fa:16:3e:df:c9:3b actions=.*),output:2$"

# ruff: noqa: E501
FAULTS: dict[str, tuple[Plant, str, str]] = {
    "a second network on one VLAN": (
        edit("network/ovs-vsctl_list_port", r"(name +: qr-c6da0ed5-a3\ntag +: 1\nother_config +: {.*net_uuid=)[^,\"]*\"?[^,]*", r'\1"71a76743-7180-4e54-acb2-7db389dd6fe0"'),
        "vlan-of-two-networks", "network",
    ),
    "a port of another network with the same tag": (
        both(
            edit("network/ovs-vsctl_list_port", r"(name +: qg-fe0d8111-a0\ntag +: )2", r"\g<1>1"),
            edit("network/ovs-vsctl_show", r"(Port qg-fe0d8111-a0\n +tag: )2", r"\g<1>1"),
        ),
        "frame-crosses-networks", "network",
    ),
    "a network on two VLANs": (
        both(
            edit("network/ovs-vsctl_list_port", r"(name +: qr-c6da0ed5-a3\ntag +: )1", r"\g<1>9"),
            edit("network/ovs-vsctl_show", r"(Port qr-c6da0ed5-a3\n +tag: )1", r"\g<1>9"),
        ),
        "network-of-two-vlans", "network",
    ),
    "a second segment on the same VLAN": (
        edit("compute1/dump-flows_br-tun", r"^( .*table=4,.*)tun_id=0x16f0 (.*)$", r"\g<0>\n\1tun_id=0x16f1 \2"),
        "vlan-of-two-segments", "compute1",
    ),
    "the wrong key into the tunnel": (
        edit("compute1/dump-flows_br-tun", r"load:0x16f0(->NXM_NX_TUN_ID\[\],output:2,output:3)", r"load:0x16f1\1"),
        "wrong-tunnel-id", "compute1",
    ),
    "the wrong key out of the tunnel": (
        edit("compute2/dump-flows_br-tun", r"tun_id=0x16f0", "tun_id=0x16ff"), "segment-mismatch", "compute2",
    ),
    "a network that is not let in": (
        edit("compute2/dump-flows_br-tun", r"^.*tun_id=0x16f0.*\n", ""), "network-not-let-in", "compute2",
    ),
    "a port on another VLAN than its network": (
        edit("compute2/ovs-vsctl_list_port", r"(name +: tap29dd27ad-7a\ntag +: )1", r"\g<1>7"),
        "port-on-wrong-vlan", "compute2",
    ),
    "a port without a tag beside NORMAL": (
        both(
            edit("compute2/ovs-vsctl_list_port", r"(name +: tap29dd27ad-7a\ntag +: )1", r"\g<1>[]"),
            edit("compute2/ovs-vsctl_show", r"(Port tap29dd27ad-7a\n) +tag: 1\n", r"\1"),
        ),
        "untagged-port", "compute2",
    ),
    "a port that is a trunk": (
        edit("compute2/ovs-vsctl_list_port", r"(name +: tap29dd27ad-7a\n(?:.*\n)*?vlan_mode +: )\[\]", r"\1trunk"),
        "trunk-port", "compute2",
    ),
    "a host left out of a flood": (
        edit("compute1/dump-flows_br-tun", r"(output:2),output:3$", r"\1"), "flood-misses-host", "compute1",
    ),
    "a flood that is gone": (
        edit("compute1/dump-flows_br-tun", r"^.*table=22,.*dl_vlan=1 .*\n", ""), "flood-misses-host", "compute1",
    ),
    "an entry that points at the wrong host": (
        edit("compute1/dump-flows_br-tun", VM2_ENTRY, r"\1,output:3"), "entry-points-elsewhere", "compute1",
    ),
    "an ARP answer with the wrong address": (
        edit(
            "compute1/dump-flows_br-tun",
            r"^( cookie=\S+ duration=\S+ )table=22,.*dl_vlan=1 .*$",
            r"\g<0>\n\1table=21, n_packets=0, n_bytes=0, idle_age=1, priority=1,arp,dl_vlan=1,arp_tpa=192.168.1.24 "
            r"actions=load:0x2->NXM_OF_ARP_OP[],load:0xfa163e000003->NXM_NX_ARP_SHA[],IN_PORT",
        ),
        "wrong-arp-answer", "compute1",
    ),
    "a tunnel one way only": (
        both(
            edit("compute2/ovs-vsctl_show", r" +Port vxlan-0a15000b\n.*\n +type: vxlan\n +options.*\n", ""),
            edit("compute2/ofctl_show_br-tun", r"\(vxlan-0a15000b\)", "(gone)"),
        ),
        "one-way-tunnel", "compute2",
    ),
    "a tunnel of another type": (
        both(
            edit("compute2/ovs-vsctl_list_interface", r"(vxlan-0a15000b\ntype +: )vxlan", r"\1gre"),
            edit("compute2/ovs-vsctl_show", r"(Interface vxlan-0a15000b\n +type: )vxlan", r"\1gre"),
        ),
        "tunnel-type-mismatch", "compute2",
    ),
    "a tunnel of another UDP port": (
        edit("compute1/ovs-vsctl_list_interface", r'(options +: {df_default="true")(.*0\.12"})', r'\1, dst_port="8472"\2'),
        "tunnel-port-mismatch", "compute1",
    ),
    "a tunnel that nobody listens to": (
        edit("compute1/dump-flows_br-tun", r"^.*table=0,.*in_port=2 .*\n", ""), "deaf-tunnel", "compute1",
    ),
    "a tunnel from an address that is not there": (
        edit("compute1/ip_addr_host", r" +inet 10\.21\.0\.11/24.*\n", ""), "tunnel-address-missing", "compute1",
    ),
    "an underlay too small": (
        edit("network/ip_addr_host", r"(eth1@if7: .* mtu )1500", r"\g<1>1400"), "mtu-too-small", "network",
    ),
    "frames from a tunnel into a tunnel": (
        edit("compute1/dump-flows_br-tun", r"(table=10,.*),output:1$", r"\1,output:1,resubmit(,22)"), "loop", "compute1",
    ),
    "an output to a port that is gone": (
        edit("compute1/dump-flows_br-int", r"(table=81,.*,arp,.*)output:2", r"\1output:77"), "output-to-nowhere", "compute1",
    ),
    "a table that was emptied": (
        edit("compute1/dump-flows_br-int", r"^.*table=73,.*\n", ""), "table-without-flows", "compute1",
    ),
    "a flow that can never match": (
        edit(
            "compute1/dump-flows_br-int",
            r"^( cookie=\S+ duration=\S+ )table=81,.*priority=0 .*$",
            r"\g<0>\n\1table=81, n_packets=0, n_bytes=0, idle_age=1, priority=200,ip actions=drop",
        ),
        "shadowed-flow", "compute1",
    ),
    "a patch that leads nowhere": (
        both(
            edit("network/ovs-vsctl_show", r"peer=phy-br-ex", "peer=nonexistent-peer"),
            edit("network/ovs-vsctl_list_interface", r"peer=phy-br-ex", "peer=nonexistent-peer"),
        ),
        "broken-patch", "network",
    ),
    "a bridge that fails open": (
        both(
            edit("compute1/ovs-vsctl_show", r"fail_mode: secure", "fail_mode: standalone"),
        ),
        "fails-open", "compute1",
    ),
    "a router's interface that is down": (
        edit(f"network/ns_{ROUTER}", r"(qr-c6da0ed5-a3: <.*),UP,LOWER_UP", r"\1"), "interface-down", "network",
    ),
    "a router's interface that is lost": (
        edit(f"network/ns_{ROUTER}", r"qr-c6da0ed5-a3: <", "qr-lost: <"), "interface-without-namespace", "network",
    ),
    "a router that does not forward": (
        edit(f"network/sysctl_{ROUTER}", r"(net.ipv4.ip_forward = )1", r"\g<1>0"), "router-does-not-forward", "network",
    ),
    "a route that refuses": (
        edit(f"network/ns_{ROUTER}", r"^# ip route$", r"\g<0>\nblackhole 203.0.113.1"), "route-refuses", "network",
    ),
    "a routing rule that refuses": (
        edit(f"network/ns_{ROUTER}", r"^0:\s+from all lookup local$", r"\g<0>\n77:\tfrom 192.168.1.139 prohibit"), "routing-rule-refuses", "network",
    ),
    "a routing rule past the router's routes": (
        edit(f"network/ns_{ROUTER}", r"^0:\s+from all lookup local$", r"\g<0>\n77:\tfrom 192.168.1.139 lookup 77"), "unasked-routing-rule", "network",
    ),
    "routes that no rule leads to": (
        edit(f"network/ns_{ROUTER}", r"^32766:.*\n", ""), "routes-not-looked-at", "network",
    ),
    "a router whose policy drops": (
        edit(f"network/iptables-save_{ROUTER}", r"^:FORWARD ACCEPT \[8:672\]\n:OUTPUT", ":FORWARD DROP [8:672]\n:OUTPUT"),
        "closed-chain", "network",
    ),
    "a rule of a router that nobody asked for": (
        edit(f"network/iptables-save_{ROUTER}", r"^-A FORWARD -j neutron-filter-top$", r"\g<0>\n-A FORWARD -p icmp -j DROP"),
        "unasked-filter-rule", "network",
    ),
    "a floating IP without its rule": (
        edit(f"network/iptables-save_{ROUTER}", r"^-A neutron-l3-agent-PREROUTING -d 203\.0\.113\.165/32 -j DNAT.*\n", ""),
        "floating-ip-not-translated", "network",
    ),
    "a router without source NAT": (
        edit(f"network/iptables-save_{ROUTER}", r"^-A neutron-l3-agent-snat -o .*\n", ""), "source-not-translated", "network",
    ),
    "a port that its agent gave up": (
        edit("compute2/ovs-vsctl_list_port", r"(name +: tap29dd27ad-7a\ntag +: )1", r"\g<1>4095"), "dead-port", "compute2",
    ),
    "a routing rule of IPv6 that refuses": (
        write(f"network/ip_rule6_{ROUTER}", '[{"priority":9,"src":"all","action":"prohibit"},{"priority":32766,"src":"all","table":"main"}]'),
        "routing-rule-refuses", "network",
    ),
    "a translation nobody asked for": (
        edit(f"network/iptables-save_{ROUTER}", r"^(-A \S+PREROUTING -d )203\.0\.113\.165(/32 -j DNAT.*)$", r"\g<0>\n\g<1>203.0.113.7\2"),
        "unknown-translation", "network",
    ),
    "a floating IP that its router does not hold": (
        edit(f"network/ns_{ROUTER}", r"^ +inet 203\.0\.113\.165/32.*\n", ""), "floating-ip-not-held", "network",
    ),
    "a namespace nobody asked for": (
        edit("network/ip_netns", r"\Z", "qrouter-00000000-0000-0000-0000-000000000000\n"), "unknown-namespace", "network",
    ),
    "a port nobody asked for": (
        edit("compute1/ovs-vsctl_list_interface", r"a73ec503-6bf0-4705-8c9b-05dc2e427dca", "00000000-6bf0-4705-8c9b-05dc2e427dca"),
        "unknown-port", "compute1",
    ),
}  # fmt: skip


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(LAST, tmp_path / "copy"))


@pytest.mark.parametrize("fault", FAULTS)
def test_each_planted_fault_is_found_where_it_is(fault: str, copy: Path) -> None:
    plant, kind, host = FAULTS[fault]
    plant(copy)
    found = judged(copy, names()).findings + judged(copy).findings
    assert (kind, host) in {(finding.kind, finding.host) for finding in found}, [str(finding) for finding in found]


def test_every_finding_says_what_where_and_how_to_mend_it(copy: Path) -> None:
    for plant, _, _ in FAULTS.values():
        shutil.rmtree(copy)
        shutil.copytree(LAST, copy)
        plant(copy)
        for finding in judged(copy, names()).findings:
            assert all((finding.what, finding.mend, finding.host, finding.object)), finding


def test_a_missing_port_is_found_by_the_hosts_name_in_the_api(copy: Path) -> None:
    (copy / "compute1").rename(copy / "cmp1")
    edit("cmp1/ovs-vsctl_list_interface", r"iface-id=\"a73ec503", 'iface-id="b73ec503')(copy)
    assert "missing-port" in {finding.kind for finding in judged(copy, names()).findings}


def test_a_port_that_carries_the_dead_vlan_alone_is_not_wired_yet_and_no_fault(copy: Path) -> None:
    dead = r"\1trunk\ntrunks : [4095]"
    edit("compute2/ovs-vsctl_list_port", r"(name +: tap29dd27ad-7a\n(?:.*\n)*?vlan_mode +: )\[\]", dead)(copy)
    assert judged(copy).findings == ()


def test_a_port_that_the_api_has_switched_off_is_dead_as_it_should_be(copy: Path) -> None:
    FAULTS["a port that its agent gave up"][0](copy)
    api = json.loads((REFERENCE / "api.json").read_text())
    port = next(port for port in api["ports"]["ports"] if port["id"].startswith("29dd27ad-7a"))
    port["admin_state_up"] = False
    assert judged(copy, read_names(api)).findings == ()


def test_a_router_that_the_api_wants_without_source_nat_is_no_fault(copy: Path) -> None:
    FAULTS["a router without source NAT"][0](copy)
    api = json.loads((REFERENCE / "api.json").read_text())
    api["routers"]["routers"][0]["external_gateway_info"]["enable_snat"] = False
    assert judged(copy, read_names(api)).findings == ()
    assert judged(copy).findings == ()


def test_a_standby_router_is_no_fault(copy: Path) -> None:
    """Of a highly available router the standby hosts have the namespace, its gateway down, and no addresses."""
    shutil.copytree(copy / "network", copy / "standby")
    edit(f"standby/ns_{ROUTER}", r"(qg-fe0d8111-a0: <.*),UP,LOWER_UP", r"\1")(copy)
    edit(f"standby/ns_{ROUTER}", r"^ +inet (203|192).*\n", "")(copy)
    edit(
        f"standby/ns_{ROUTER}",
        r"^# ip route",
        "13: ha-1234: <UP> mtu 1450\n    link/ether fa:16:3e:00:00:09\n# ip route",
    )(copy)
    kinds = {found.kind for found in judged(copy, names()).findings}
    assert kinds.isdisjoint({"interface-down", "floating-ip-not-held", "floating-ip-not-translated"})


def test_a_distributed_routers_own_rules_and_the_kernels_unreachable_default_are_no_fault(copy: Path) -> None:
    own = "40000:\\tfrom 192.168.1.139 lookup 16\\n3232235777:\\tfrom 192.168.1.1/24 lookup 3232235777"
    edit(f"network/ns_{ROUTER}", r"^32767:.*$", rf"\g<0>\n{own}")(copy)
    unreachable = "unreachable default dev lo proto kernel metric 4294967295 error -101 pref medium"
    elsewhere = "blackhole 203.0.113.1 table 99"
    edit(f"network/ns_{ROUTER}", r"^# ip route$", rf"\g<0>\n{unreachable}\n{elsewhere}")(copy)
    report = judged(copy, names())
    assert (report.findings, report.problems) == ((), ())


def test_the_worst_comes_first(copy: Path) -> None:
    for fault in ("a namespace nobody asked for", "the wrong key into the tunnel", "a host left out of a flood"):
        FAULTS[fault][0](copy)
    severities = [finding.severity for finding in judged(copy, names()).findings]
    assert severities == sorted(severities, reverse=True)
    assert severities[0] >= Severity.OUTAGE


def test_findings_are_the_same_whatever_the_order_of_hosts(copy: Path) -> None:
    FAULTS["a host left out of a flood"][0](copy)
    hosts = read_source(str(copy))
    forward, backward = (verify(Estate(hosts=order)).findings for order in (hosts, hosts[::-1]))
    assert forward == backward


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "warren", "verify", *arguments], capture_output=True, text=True, check=False
    )


def test_the_command_exits_with_zero_only_where_nothing_is_wrong(copy: Path) -> None:
    healthy = run(str(LAST), "--names", str(REFERENCE / "api.json"))
    assert (healthy.returncode, healthy.stdout) == (0, "3 hosts: nothing is wrong\n")
    FAULTS["an entry that points at the wrong host"][0](copy)
    broken = run(str(copy), "--json")
    assert broken.returncode == 1
    (finding,) = json.loads(broken.stdout)["findings"]
    assert finding["kind"] == "entry-points-elsewhere"
    assert "fa:16:3e:df:c9:3b" in finding["evidence"][0]
    assert run("/nonexistent").returncode == 2


def test_what_cannot_be_read_is_no_clean_bill(copy: Path) -> None:
    edit("compute1/dump-flows_br-tun", r"\Z", " rubbish actions=flly\n")(copy)
    edit(f"network/iptables-save_{ROUTER}", r"\A", "rubbish\n")(copy)
    report = run(str(copy))
    assert report.returncode == 1
    assert "not read: compute1/dump-flows_br-tun:" in report.stdout
    assert f"not read: network/iptables-save_{ROUTER}:1:1: " in report.stdout


def test_a_host_that_does_not_answer_is_said_and_the_others_are_judged() -> None:
    nobody = "ssh://nobody@127.0.0.1:1"
    report = run(str(LAST), nobody)
    assert report.returncode == 1
    assert f"not read: {nobody}: capturing nobody@127.0.0.1:1 failed" in report.stdout
    assert report.stdout.endswith("3 hosts: nothing is wrong in what was read; 1 place could not be read\n")
    alone = run(nobody)
    assert (alone.returncode, alone.stdout) == (1, "")
