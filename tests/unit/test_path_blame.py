# ruff: noqa: E501
"""Which place a trace names, where several hops and several copies could be blamed."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.faults import edit

from warren.inspect.path.endpoint import find
from warren.inspect.path.hop import Path as Way
from warren.inspect.path.hop import Verdict
from warren.inspect.path.question import Question, trace
from warren.inspect.path.topology import Topology
from warren.inspect.snapshot.model import Estate
from warren.inspect.snapshot.names import read_names
from warren.sources.open import read_source

LAB = Path(__file__).parent.parent / "fixtures" / "warren-l2pop-hybrid"
ROUTER = "qrouter-15bec78a-18f0-4140-a72c-1fbcc94b7233"
WORLD = "203.0.113.1"
VM2_MAC, VM3_MAC = "fa:16:3e:1c:8c:a8", "fa:16:3e:3d:91:66"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(LAB, tmp_path / "copy", ignore=shutil.ignore_patterns("api.json")))


def failed(folder: Path, sender: str, receiver: str) -> Way:
    """The first way that did not end well."""
    names = read_names(json.loads((LAB / "api.json").read_text()))
    known = Estate(hosts=read_source(str(folder)), names=names)
    topology = Topology(estate=known)
    paths = trace(known, find(sender, topology), find(receiver, topology), Question()).paths
    return next(path for path in paths if not path.verdict.is_success)


def neighbour(host: str, namespace: str, ip: str, mac: str, device: str) -> Callable[[Path], None]:
    """An entry of a namespace's ARP table, put there by hand."""

    def plant(folder: Path) -> None:
        path = folder / host / f"ip_neigh_{namespace}"
        entry = {"dst": ip, "dev": device, "lladdr": mac, "state": ["PERMANENT"]}
        path.write_text(json.dumps([entry, *json.loads(path.read_text())]))

    return plant


def is_down(host: str, namespace: str, name: str) -> Callable[[Path], None]:
    return edit(
        f"{host}/ip_addr_{namespace}",
        rf'("ifname":"{name}[^"]*","flags":\["BROADCAST","MULTICAST","PROMISC"),"UP","LOWER_UP"',
        r"\1",
    )


def together(*plants: Callable[[Path], None]) -> Callable[[Path], None]:
    def plant(folder: Path) -> None:
        for each in plants:
            each(folder)

    return plant


NOBODYS = "02:00:00:00:00:99"
FAULTS: dict[str, tuple[Callable[[Path], None], str, tuple[str, str, Verdict, str]]] = {
    "the router knows a wrong address": (
        neighbour("network", ROUTER, "192.168.5.3", NOBODYS, "qr-c96bf304-02"), WORLD,
        ("network", ROUTER, Verdict.DROPPED_WRONG_NEIGHBOUR, f"ip -n {ROUTER} neigh del 192.168.5.3 dev qr-c96bf304-02"),
    ),
    "the router knows another instance's address": (
        neighbour("network", ROUTER, "192.168.5.3", VM2_MAC, "qr-c96bf304-02"), WORLD,
        ("network", ROUTER, Verdict.DROPPED_WRONG_NEIGHBOUR, f"ip -n {ROUTER} neigh del 192.168.5.3 dev qr-c96bf304-02"),
    ),
    "a flow answers ARP with a wrong address": (
        edit("compute1/dump-flows_br-tun", r"(table=21,.*load:)0xfa163e1c8ca8(.*mod_dl_src:)fa:16:3e:1c:8c:a8", rf"\g<1>0x020000000099\g<2>{NOBODYS}"), "vm2",
        ("compute1", "br-tun table 21", Verdict.DROPPED_WRONG_NEIGHBOUR, "the MAC address of who has 192.168.5.4, in this flow"),
    ),
    "the router's interface on the network is down": (
        is_down("network", ROUTER, "qr-"), WORLD,
        ("network", f"qr-c96bf304-02 in {ROUTER}", Verdict.DROPPED_DOWN, f"ip -n {ROUTER} link set qr-c96bf304-02 up"),
    ),
    "the router's gateway interface is down, and its routes with it": (
        together(
            is_down("network", ROUTER, "qg-"),
            edit(f"network/ip_route_{ROUTER}", r'\{[^{}]*"dev":"qg-[^{}]*\},?', ""),
            edit(f"network/ip_route_{ROUTER}", r",\]", "]"),
        ), WORLD,
        ("network", ROUTER, Verdict.DROPPED_NO_ROUTE, f"ip -n {ROUTER} link set qg-91c6effe-92 up"),
    ),
    "a host does not know its own port": (
        edit("compute1/dump-flows_br-int", rf"^.*table=61,.*dl_dst={VM3_MAC}.*\n", ""), "vm3",
        ("compute1", "br-int table 62", Verdict.DROPPED_ELSEWHERE, "its flow must send to the destination too"),
    ),
    "the router takes only what comes by its way back": (
        together(
            edit(f"network/ip_route_{ROUTER}", r"^\[", '[{"dst":"192.168.5.3","dev":"qg-91c6effe-92","scope":"link","flags":[]},'),
            edit(f"network/sysctl_{ROUTER}", r"\Z", "net.ipv4.conf.qr-c96bf304-02.rp_filter = 1\n"),
        ), WORLD,
        ("network", f"qr-c96bf304-02 in {ROUTER}", Verdict.DROPPED_SOURCE, "a route to 192.168.5.3 by qr-c96bf304-02, or its rp_filter 0 and that of all"),
    ),
    "the firewall of the other host keeps tunnels out": (
        together(
            edit("compute2/ovs-vsctl_list_bridge", "netdev", "system"),
            edit("compute2/ovs-vsctl_show", "netdev", "system"),
            edit("compute2/iptables-save_host", r"^-A PREROUTING -i eth0 -j DROP\n", ""),
            edit("compute2/iptables-save_host", r"^-A INPUT .*", r"\g<0>\n-A INPUT -p udp -m udp --dport 8472 -j ACCEPT\n-A INPUT -j REJECT"),
        ), "vm2",
        ("compute2", "compute2 filter INPUT", Verdict.DROPPED_RULE, "iptables -I INPUT -p udp --dport 4789 -j ACCEPT"),
    ),
    "a route leads to the wrong network": (
        edit(f"network/ip_route_{ROUTER}", r"^\[", '[{"dst":"192.168.5.3","dev":"qg-91c6effe-92","scope":"link","flags":[]},'), WORLD,
        ("network", ROUTER, Verdict.DROPPED_NO_NEIGHBOUR, "192.168.5.3 is on another network, on compute1: see which route leads here"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_the_place_that_is_named_is_the_place_that_was_broken(fault: str, copy: Path) -> None:
    plant, receiver, named = FAULTS[fault]
    plant(copy)
    path = failed(copy, "vm1", receiver)
    last = path.way[-1]
    assert (last.host, last.place, path.verdict, path.mend) == named, [
        f"{h.host} {h.place}: {h.what}" for h in path.way
    ]


def test_what_a_host_that_was_not_captured_does_with_its_copy_is_not_known(copy: Path) -> None:
    """Others drop theirs, which says nothing: the address may well be there."""
    shutil.rmtree(copy / "compute2")
    together(
        edit("compute1/dump-flows_br-tun", r"^.*table=2[01],.*priority=[12],.*\n", ""),
        neighbour("compute1", "vm1", "192.168.5.4", VM2_MAC, "eth0"),
    )(copy)
    assert failed(copy, "vm1", "192.168.5.4").verdict is Verdict.NOT_CAPTURED


def test_an_address_of_another_tenant_is_no_answer_to_who_has_it(copy: Path) -> None:
    """b2 of network blue has vm2's address as well: vm1's network has but one holder of it."""
    for file in ("ip_addr_b2", "ip_route_b2"):
        edit(f"compute2/{file}", r"192\.168\.6\.4", "192.168.5.4")(copy)
    edit("compute1/dump-flows_br-tun", r"^.*table=20,.*priority=2,.*\n", "")(copy)
    edit("compute1/dump-flows_br-tun", r"^.*table=22,.*priority=1,.*\n", "")(copy)
    path = failed(copy, "vm1", "vm2")
    assert (path.way[-1].host, path.way[-1].place) == ("compute1", "br-tun table 22")
