"""A distributed router as Neutron makes it on a compute host, with the kernel as the referee of what a trace says.

Its floating IP is on no interface: a second namespace answers ARP for it and routes it to the router's, which has a
routing table for each address that has one (neutron/agent/l3/dvr_local_router.py).
"""

import subprocess

import pytest

from warren.inspect.path.endpoint import find
from warren.inspect.path.question import Question, trace
from warren.inspect.path.topology import Topology
from warren.inspect.snapshot.model import Estate
from warren.sources.archive import read_archive
from warren.sources.capture import capture
from warren.sources.folder import hosts_of

pytestmark = pytest.mark.root

ROUTER, OUTSIDE = "qrouter-d", "fip-d"
FLOATING, FIXED, WORLD = "203.0.113.165", "10.77.0.5", "203.0.113.1"
SETUP = f"""
veth() {{ ip -n $1 link add $2 type veth peer name $4 netns $3; ip -n $1 link set $2 up; ip -n $3 link set $4 up; }}
for name in vm {ROUTER} {OUTSIDE} world; do ip netns add $name; ip -n $name link set lo up; done
veth vm eth0 {ROUTER} qr-d
veth {ROUTER} rfp-d {OUTSIDE} fpr-d
veth {OUTSIDE} fg-d world eth0
ip -n vm addr add {FIXED}/24 dev eth0
ip -n vm route add default via 10.77.0.1
ip -n world addr add {WORLD}/24 dev eth0
ip -n {ROUTER} addr add 10.77.0.1/24 dev qr-d
ip -n {ROUTER} addr add 169.254.109.46/31 dev rfp-d
ip -n {OUTSIDE} addr add 169.254.109.47/31 dev fpr-d
ip -n {OUTSIDE} addr add 203.0.113.50/24 dev fg-d
ip netns exec {ROUTER} sysctl -qw net.ipv4.ip_forward=1
ip netns exec {OUTSIDE} sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.fg-d.proxy_arp=1
ip -n {ROUTER} rule add pref 57481 from {FIXED} lookup 16
ip -n {ROUTER} route add default via 169.254.109.47 dev rfp-d table 16
ip -n {OUTSIDE} route add {FLOATING}/32 via 169.254.109.46 dev fpr-d
ip -n {OUTSIDE} rule add pref 99 iif fpr-d lookup 99
ip -n {OUTSIDE} route add default via {WORLD} dev fg-d table 99
nat="ip netns exec {ROUTER} iptables -t nat"
$nat -A PREROUTING -d {FLOATING}/32 -i rfp-d -j DNAT --to-destination {FIXED}
$nat -A POSTROUTING ! -o rfp-d -m conntrack ! --ctstate DNAT -j ACCEPT
$nat -A POSTROUTING -s {FIXED}/32 -o rfp-d -j SNAT --to-source {FLOATING}
"""
PAIRS = (("vm", WORLD), ("world", FLOATING), ("vm", "10.77.0.1"), ("world", FIXED), ("vm", "203.0.113.50"))
FAULTS = {
    "nothing": "",
    "nobody answers for the floating IP": f"ip netns exec {OUTSIDE} sysctl -qw net.ipv4.conf.fg-d.proxy_arp=0",
    "a rule that refuses": f"ip -n {ROUTER} rule add pref 9 iif qr-d prohibit",
    "a rule that refuses another": f"ip -n {ROUTER} rule add pref 9 from 10.77.0.6 prohibit",
    "a rule that refuses a destination": f"ip -n {ROUTER} rule add pref 9 to 203.0.113.0/24 unreachable",
    "the address has no table": f"ip -n {ROUTER} rule del pref 57481",
    "a mark that leads elsewhere": f"""
        ip netns exec {ROUTER} iptables -t mangle -A PREROUTING -i qr-d -j MARK --set-mark 7
        ip -n {ROUTER} rule add pref 9 fwmark 7 blackhole""",
    "the floating IP leads nowhere": f"ip -n {OUTSIDE} route del {FLOATING}/32",
    "the time to live is too short for the world": f"""
        ip netns exec {OUTSIDE} iptables -t mangle -A FORWARD -m ttl --ttl-lt 63 -j DROP""",
}


def shell(script: str) -> None:
    subprocess.run(["sh", "-ec", script], check=True)


def reaches(sender: str, receiver: str) -> bool:
    ping = ["ip", "netns", "exec", sender, "ping", "-c1", "-W1", receiver]
    return subprocess.run(ping, capture_output=True, check=False).returncode == 0


def is_said_to(known: Estate, sender: str, receiver: str) -> bool:
    topology = Topology(estate=known)
    return trace(known, find(sender, topology), find(receiver, topology), Question()).verdict.is_success


@pytest.mark.parametrize("fault", FAULTS)
def test_a_trace_through_a_distributed_router_says_what_the_kernel_does(host: str, fault: str) -> None:  # noqa: ARG001
    shell(SETUP)
    healthy = [reaches(*pair) for pair in PAIRS]
    assert healthy == [True, True, True, False, True]
    shell(f"{FAULTS[fault]}\nfor name in vm {ROUTER} {OUTSIDE} world; do ip -n $name neigh flush all; done")
    real = [reaches(*pair) for pair in PAIRS]
    assert (real == healthy) is (fault in {"nothing", "a rule that refuses another"})
    known = Estate(hosts=hosts_of(read_archive(capture(), "here"), "here"))
    assert [is_said_to(known, *pair) for pair in PAIRS] == real
