"""What somebody changes by hand on a host is put back, and what is not Warren's is left alone."""

import re
from collections.abc import Callable

import pytest
from tests.e2e.host.estate import (
    PATIENCE_S,
    Estate,
    at_rest,
    group_rule_removed,
    router_route_removed,
    wait_for,
)

from warren.lab import api

pytestmark = pytest.mark.root


def flows_removed(estate: Estate) -> None:
    estate.host("network").must("ovs-ofctl", "del-flows", "br-tun", "table=22")


def flow_changed(estate: Estate) -> None:
    estate.host("network").must("ovs-ofctl", "mod-flows", "br-tun", "table=4,actions=drop")


def flow_replaced_by_another_cookies(estate: Estate) -> None:
    estate.host("network").must("ovs-ofctl", "add-flow", "br-tun", "table=4,cookie=0x7,priority=0,actions=drop")


def flow_added(estate: Estate) -> None:
    estate.host("network").must("ovs-ofctl", "add-flow", "br-int", "table=60,priority=4000,actions=NORMAL")


def tag_changed(estate: Estate) -> None:
    port = estate.host("network").must("ovs-vsctl", "--bare", "--columns=name", "find", "Port", "tag=1").split()[0]
    estate.host("network").must("ovs-vsctl", "set", "Port", port, "tag=77")


def bridge_removed(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "del-br", "br-tun")


def fail_mode_changed(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "set-fail-mode", "br-int", "standalone")


def protocols_changed(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "set", "Bridge", "br-int", "protocols=OpenFlow15")


def controller_set(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "set-controller", "br-tun", "tcp:127.0.0.1:6653")


def spanning_tree_begun(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "set", "Bridge", "br-int", "stp_enable=true")


def port_kept_from_receiving(estate: Estate) -> None:
    estate.host("network").must("ovs-ofctl", "mod-port", "br-tun", "patch-int", "no-receive")


def mark_changed(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "set", "Port", "patch-tun", "external_ids:warren=nobody")


def tunnel_changed(estate: Estate) -> None:
    estate.host("network").must("ovs-vsctl", "set", "Interface", "vxlan-0a090002", "options:remote_ip=10.9.0.77")


def subnets_route_removed(estate: Estate) -> None:
    estate.host("network").must("ip", "netns", "exec", estate.router_namespace, "ip", "route", "del", "192.168.5.0/24")


def router_forwarding_switched_off(estate: Estate) -> None:
    in_router = ("ip", "netns", "exec", estate.router_namespace)
    estate.host("network").must(*in_router, "sysctl", "-qw", "net.ipv4.ip_forward=0")


def router_address_added(estate: Estate) -> None:
    in_router = ("ip", "netns", "exec", estate.router_namespace)
    link = re.search(r"(qr-\S+?)[@:]", estate.host("network").must(*in_router, "ip", "-o", "link"))
    assert link is not None
    estate.host("network").must(*in_router, "ip", "address", "add", "192.0.2.7/24", "dev", link[1])


def router_rules_removed(estate: Estate) -> None:
    in_router = ("ip", "netns", "exec", estate.router_namespace)
    estate.host("network").must(*in_router, "iptables", "-t", "nat", "-F", "warren-l3-snat")


def router_namespace_removed(estate: Estate) -> None:
    estate.host("network").must("ip", "netns", "delete", estate.router_namespace)


def router_interface_removed(estate: Estate) -> None:
    ports = estate.host("network").must("ovs-vsctl", "list-ports", "br-int").split()
    estate.host("network").must("ovs-vsctl", "del-port", next(port for port in ports if port.startswith("qr-")))


def dnsmasq_killed(estate: Estate) -> None:
    pids = estate.host("network").must("ip", "netns", "pids", estate.dhcp_namespace).split()
    for pid in pids:
        estate.host("network").must("kill", "-9", pid)


def dhcp_namespace_removed(estate: Estate) -> None:
    estate.host("network").must("ip", "netns", "delete", estate.dhcp_namespace)


def everything_accepted_first(estate: Estate) -> None:
    """What somebody else adds stays, so it is taken back as soon as Warren's jump is before it."""
    compute, ours = estate.host("compute1"), "-A FORWARD -j warren-FORWARD"
    compute.must("iptables", "-I", "FORWARD", "-j", "ACCEPT")
    api.wait_until(
        lambda: compute.must("iptables-save").index(ours) < compute.must("iptables-save").index("-A FORWARD -j ACCEPT"),
        "the jump to be first again",
        PATIENCE_S,
    )
    compute.must("iptables", "-D", "FORWARD", "-j", "ACCEPT")


def group_rule_added(estate: Estate) -> None:
    chain = f"warren-i{estate.first.port_id[:11]}"
    estate.host("compute1").must("iptables", "-I", chain, "1", "-j", "ACCEPT")


def every_rule_removed(estate: Estate) -> None:
    estate.host("compute1").must("iptables", "-F")


DRIFTS: list[tuple[Callable[[Estate], None], tuple[str, ...]]] = [
    (flows_removed, ("flow.repair", "bridge=br-tun", "table=22", "had=nothing", "because=")),
    (flow_changed, ("flow.repair", "bridge=br-tun", "table=4", "had=drop", "because=")),
    (flow_replaced_by_another_cookies, ("flow.repair", 'had="cookie=0x7, table=4', 'want="cookie=0x1000000000000,')),
    (flow_added, ("flow.repair", "bridge=br-int", "had=NORMAL", "want=nothing", "nothing asks for it")),
    (tag_changed, ("ovsdb.repair", "tag=77", "the local VLAN of its network")),
    (bridge_removed, ("ovsdb.repair", "row=bridge/br-tun", "had=nothing", "part of every host")),
    (fail_mode_changed, ("ovsdb.repair", "row=bridge/br-int", "fail_mode=standalone", "fail_mode=secure")),
    (protocols_changed, ("ovsdb.repair", "row=bridge/br-int", "protocols=OpenFlow15 ", "protocols=OpenFlow10,")),
    (controller_set, ("ovsdb.repair", "row=bridge/br-tun", "controller=tcp:127.0.0.1:6653", "part of every host")),
    (spanning_tree_begun, ("ovsdb.repair", "row=bridge/br-int", "stp_enable=true")),
    (port_kept_from_receiving, ("port.repair", "port=patch-int", "had=NO_RECV", "want=free", "because=")),
    (mark_changed, ("ovsdb.repair", "row=port/patch-tun", "warren=nobody", "warren=bridge")),
    (tunnel_changed, ("ovsdb.repair", "row=port/vxlan-0a090002", "remote_ip=10.9.0.77", "peer/compute1")),
    (router_route_removed, ("setting.repair", "kind=route", "name=default", "had=nothing", "gateway of subnet")),
    (subnets_route_removed, ("setting.repair", "kind=address", "without its routes", "want=there")),
    (router_forwarding_switched_off, ("setting.repair", "kind=sysctl", "name=net/ipv4/ip_forward", "had=0", "want=1")),
    (router_address_added, ("setting.repair", "kind=address", "192.0.2.7", "want=nothing")),
    (router_rules_removed, ("setting.repair", "kind=chain", "warren-l3-snat", "because=")),
    (router_namespace_removed, ("setting.repair", "kind=namespace", "qrouter-", "had=nothing")),
    (router_interface_removed, ("ovsdb.repair", "row=port/qr-", "had=nothing")),
    (dnsmasq_killed, ("setting.repair", "kind=process", "name=dnsmasq", "had=nothing", "serves DHCP")),
    (group_rule_removed, ("filter.repair", "name=filter/warren-o", "groups of port/")),
    (group_rule_added, ("filter.repair", "name=filter/warren-i", "groups of port/")),
    (everything_accepted_first, ("filter.repair", "name=filter/FORWARD", "behind a rule", 'want="-j warren-FORWARD')),
    (every_rule_removed, ("filter.repair", "name=filter/FORWARD", "had=nothing", "security groups")),
    (dhcp_namespace_removed, ("setting.repair", "kind=namespace", "qdhcp-", "had=nothing")),
]


@pytest.mark.parametrize(("disturb", "line"), DRIFTS, ids=lambda value: getattr(value, "__name__", None))
def test_what_somebody_changed_by_hand_is_put_back_at_once_and_the_log_says_why(
    estate: Estate, disturb: Callable[[Estate], None], line: tuple[str, ...]
) -> None:
    before = at_rest(estate)
    with estate.logs("compute1" if line[0] == "filter.repair" else "network", *line):
        disturb(estate)
    wait_for(before, estate)


def test_what_has_no_event_is_put_back_by_the_audit(estate: Estate) -> None:
    compute = estate.host("compute2")
    config = estate.lab.host("compute2") / "run" / "warren" / "agent.toml"
    estate.kill_agent("compute2")
    config.write_text("audit_interval_s = 0.5\n" + config.read_text())
    estate.start_agent("compute2")
    members = [line for line in compute.must("ipset", "save").splitlines() if line.startswith("add warren4-")]
    with estate.logs("compute2", "filter.repair", "kind=set", "addresses of group/"):
        compute.must("ipset", "del", *members[0].split()[1:])
    api.wait_until(lambda: members[0] in compute.must("ipset", "save"), "the member to be back", PATIENCE_S)
    with estate.logs("compute2", "underlay.repair", "arp_ignore"):
        compute.must("sysctl", "-qw", "net.ipv4.conf.eth0.arp_ignore=0")
    read = ("sysctl", "-n", "net.ipv4.conf.eth0.arp_ignore")
    api.wait_until(lambda: compute.must(*read).strip() == "1", "the NIC to be silent again", PATIENCE_S)


def test_what_is_not_warrens_is_left_alone(estate: Estate) -> None:
    network = estate.host("network")
    in_router = ("ip", "netns", "exec", estate.router_namespace)
    network.must("ovs-vsctl", "add-br", "br-mine", "--", "set", "Bridge", "br-mine", "datapath_type=netdev")
    network.must("ovs-ofctl", "add-flow", "br-ex", "cookie=0x7,table=9,priority=7,actions=drop")
    network.must("ip", "netns", "add", "mine")
    network.must("ip", "link", "add", "mine0", "type", "bridge")
    network.must(*in_router, "iptables", "-A", "FORWARD", "-s", "192.0.2.99", "-j", "DROP")
    with estate.logs("network", "flow.repair"):
        flows_removed(estate)
    with estate.logs("network", "setting.repair", "warren-l3-snat"):
        router_rules_removed(estate)
    assert "br-mine" in network.must("ovs-vsctl", "list-br").split()
    assert "priority=7" in network.must("ovs-ofctl", "dump-flows", "br-ex", "table=9")
    assert "mine" in network.must("ip", "netns")
    assert "192.0.2.99/32 -j DROP" in network.must(*in_router, "iptables-save")
    network.must("ip", "link", "show", "mine0")
    network.must("ovs-vsctl", "del-br", "br-mine")
    network.must("ip", "netns", "delete", "mine")
    network.must("ovs-ofctl", "del-flows", "br-ex", "cookie=0x7/-1")
    network.must(*in_router, "iptables", "-D", "FORWARD", "-s", "192.0.2.99", "-j", "DROP")
    network.must("ip", "link", "delete", "mine0")
