"""Which addresses a trace sends from and to, and who they are meant for."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from warren.core.errors import Invalid, NotFound
from warren.inspect.path.endpoint import find
from warren.inspect.path.hop import Trace, Verdict
from warren.inspect.path.outside import astray
from warren.inspect.path.question import Question, protocol_number, trace
from warren.inspect.path.topology import Topology
from warren.inspect.path.walk import Walk
from warren.inspect.path.world import world_of
from warren.inspect.snapshot.model import Address, BridgePort, Estate, Host, Link, Namespace
from warren.inspect.snapshot.names import read_names
from warren.sources.open import read_source

LAB = Path(__file__).parent.parent / "fixtures" / "warren-l2pop-hybrid"
ROUTER = "qrouter-15bec78a-18f0-4140-a72c-1fbcc94b7233"
QG = "qg-91c6effe-92"
WORLD, GATEWAY, FLOATING = "203.0.113.1", "203.0.113.100", "203.0.113.101"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(LAB, tmp_path / "copy", ignore=shutil.ignore_patterns("api.json")))


def asked(folder: Path, sender: str, receiver: str, protocol: str = "icmp") -> Trace:
    names = read_names(json.loads((LAB / "api.json").read_text()))
    known = Estate(hosts=read_source(str(folder)), names=names)
    topology = Topology(estate=known)
    question = Question(protocol=protocol_number(protocol))
    return trace(known, find(sender, topology), find(receiver, topology), question)


@pytest.mark.parametrize(
    ("sender", "receiver", "packet"),
    [
        (ROUTER, "vm1", "icmp 192.168.5.1 > 192.168.5.3 type 8"),
        (ROUTER, WORLD, f"icmp {GATEWAY} > {WORLD} type 8"),
        (ROUTER, FLOATING, f"icmp {FLOATING} > {FLOATING} type 8"),
        ("vm1", ROUTER, "icmp 192.168.5.3 > 192.168.5.1 type 8"),
        ("world", ROUTER, f"icmp {WORLD} > {GATEWAY} type 8"),
        (GATEWAY, "vm1", f"icmp {GATEWAY} > 192.168.5.3 type 8"),
    ],
)
def test_of_several_addresses_those_are_used_that_ping_would_use(sender: str, receiver: str, packet: str) -> None:
    assert asked(LAB, sender, receiver).paths[0].title.endswith(f": {packet}")


def test_a_floating_ip_that_its_router_keeps_for_itself_is_not_delivered(copy: Path) -> None:
    """Without its rule the router answers itself: a ping comes back, and not from the instance."""
    rules = copy / "network" / f"iptables-save_{ROUTER}"
    kept = [line for line in rules.read_text().splitlines(keepends=True) if "-j DNAT" not in line]
    rules.write_text("".join(kept))
    path = asked(copy, "world", FLOATING).paths[0]
    assert (path.verdict, path.way[-1].host) == (Verdict.MISDELIVERED, "network")
    assert path.mend == f"a rule that translates {FLOATING} to 192.168.5.3, where it was taken"


def with_ipv6(folder: Path) -> None:
    """vm1 and vm2 each with an address of one prefix."""
    for host, name, ip in (("compute1", "vm1", "fd00::3"), ("compute2", "vm2", "fd00::4")):
        links: list[dict[str, Any]] = json.loads((folder / host / f"ip_addr_{name}").read_text())
        eth0 = next(link for link in links if link["ifname"] == "eth0")
        eth0["addr_info"].append({"family": "inet6", "local": ip, "prefixlen": 64, "scope": "global"})
        (folder / host / f"ip_addr_{name}").write_text(json.dumps(links))
        (folder / host / f"ip_route6_{name}").write_text('[{"dst":"fd00::/64","dev":"eth0","flags":[]}]')


def test_a_ping_to_an_ipv6_address_is_icmpv6(copy: Path) -> None:
    with_ipv6(copy)
    for protocol in ("icmp", "icmpv6", "icmp6"):
        assert asked(copy, "vm1", "fd00::4", protocol).paths[0].title.endswith(": icmpv6 fd00::3 > fd00::4 type 128")


def test_icmpv6_to_an_ipv4_address_is_refused() -> None:
    with pytest.raises(Invalid, match="IPv6"):
        asked(LAB, "vm1", "vm2", "icmpv6")


def test_a_port_that_only_the_api_has_is_told_as_not_plugged(copy: Path) -> None:
    """vm2's interface is not on br-int any more, and its namespace is gone."""
    (copy / "compute2" / "ip_addr_vm2").unlink()
    for file in ("ovs-vsctl_list_interface", "ovs-vsctl_list_port"):
        path = copy / "compute2" / file
        path.write_text(path.read_text().replace("33fc8ad7-50", "00000000-00"))
    sentence = "port vm2 of the API (192.168.5.4) is to be on compute2 and is plugged into no host that was captured"
    with pytest.raises(NotFound) as refused:
        asked(copy, "vm1", "vm2")
    assert str(refused.value) == sentence
    flows = copy / "compute1" / "dump-flows_br-tun"
    flows.write_text("".join(line for line in flows.read_text().splitlines(keepends=True) if ",arp," not in line))
    found = asked(copy, "vm1", "192.168.5.4").paths[0]
    assert (found.verdict, found.mend) == (Verdict.DROPPED_NO_NEIGHBOUR, sentence)


def with_another_tenant(host: Host) -> Host:
    """As well the router of another network with the same prefix, first of all that one finds."""
    link = Link(name="qr-other", is_up=True, addresses=(Address(ip="192.168.5.254", prefix_length=24),))
    settings = {"net_uuid": "another", "iface-id": "other"}
    port = BridgePort(name="qr-other", type="internal", other_config=settings, external_ids=settings)
    bridges = tuple(replace(b, ports=(port, *b.ports)) if b.name == "br-int" else b for b in host.bridges)
    return replace(host, bridges=bridges, namespaces=(Namespace(name="qrouter-0", links=(link,)), *host.namespaces))


def test_a_guest_has_the_router_of_its_own_network_though_another_tenant_has_the_prefix_too(copy: Path) -> None:
    for path in copy.glob("compute1/*_vm1"):
        path.unlink()
    names = read_names(json.loads((LAB / "api.json").read_text()))
    hosts = tuple(with_another_tenant(host) for host in read_source(str(copy)))
    known = Estate(hosts=hosts, names=names)
    topology = Topology(estate=known)
    found = trace(known, find("vm1", topology), find("198.51.100.9", topology), Question())
    assert "by its router 192.168.5.1" in found.paths[0].way[0].what


def test_a_packet_for_a_network_that_its_router_does_not_lead_to_is_lost_where_it_is_sent_out() -> None:
    path = asked(LAB, "vm1", "b1").paths[0]
    assert (path.verdict, path.way[-1].host, path.way[-1].place) == (Verdict.DROPPED_ELSEWHERE, "network", ROUTER)
    assert path.mend.startswith("an interface of the router on the network of 192.168.6.3, which is on compute1; or")


@pytest.mark.parametrize(
    ("destination", "is_astray"), [("192.168.6.3", True), ("192.168.6.3:22", True), (FLOATING, False)]
)
def test_a_packet_for_an_address_outside_may_leave_though_it_is_meant_for_somebody_inside(
    destination: str, *, is_astray: bool
) -> None:
    """As to a floating IP of another router, behind which it is then lost."""
    known = Estate(hosts=read_source(str(LAB)), names=read_names(json.loads((LAB / "api.json").read_text())))
    walk = Walk(world=world_of(known), title="")
    network, compute = (known.host(name) for name in ("network", "compute1"))
    assert network
    assert compute
    routed = walk.hop(-1, network, ROUTER, "routes", evidence="a route")
    sent = walk.hop(routed, network, f"{QG} in {ROUTER}", "leaves", interface=QG, packet=f"a > b tcp x > {destination}")
    lost = walk.hop(sent, compute, "br-int table 82", "no flow matches")
    walk.end(lost, Verdict.DROPPED_MISS)
    path = astray(walk, lost, find("b1", walk.world.topology))
    assert (path.way[-1].place if path else None) == (ROUTER if is_astray else None)


def test_a_loopback_address_is_everybodys_own() -> None:
    assert asked(LAB, "vm1", "127.0.0.1").verdict is Verdict.DELIVERED


def test_nothing_is_called_by_no_name() -> None:
    with pytest.raises(NotFound, match="nothing captured is called ''; there are b1"):
        asked(LAB, "vm1", "")


def untranslated(copy: Path, *, is_asked: bool | None) -> Path:
    """The router's rules without source NAT; what the API says of it (`None`: nobody asked)."""
    rules = copy / "network" / f"iptables-save_{ROUTER}"
    lines = rules.read_text().splitlines(keepends=True)
    rules.write_text("".join(line for line in lines if f"-j SNAT --to-source {GATEWAY}" not in line))
    api = json.loads((LAB / "api.json").read_text())
    api["routers"][0]["external_gateway_info"]["enable_snat"] = is_asked
    (copy / "api.json").write_text(json.dumps(api))
    return copy


@pytest.mark.parametrize(
    ("receiver", "is_asked", "verdicts"),
    [
        (WORLD, True, [Verdict.DELIVERED, Verdict.DROPPED_UNTRANSLATED]),
        (WORLD, None, [Verdict.DELIVERED, Verdict.DROPPED_UNTRANSLATED]),
        (WORLD, False, [Verdict.DELIVERED, Verdict.DROPPED_NO_ROUTE]),
        ("203.0.113.9", True, [Verdict.LEFT, Verdict.DROPPED_UNTRANSLATED]),
        ("203.0.113.9", None, [Verdict.LEFT, Verdict.NOT_CAPTURED]),
        ("203.0.113.9", False, [Verdict.LEFT, Verdict.DELIVERED, Verdict.LEFT]),
    ],
)
def test_an_answer_does_not_come_back_to_an_address_that_the_router_did_not_translate(
    copy: Path, receiver: str, *, is_asked: bool | None, verdicts: list[Verdict]
) -> None:
    untranslated(copy, is_asked=is_asked)
    names = read_names(json.loads((copy / "api.json").read_text()))
    neighbours = copy / "network" / f"ip_neigh_{ROUTER}"
    entry = {"dst": "203.0.113.9", "dev": QG, "lladdr": "02:00:00:00:00:09", "state": ["REACHABLE"]}
    neighbours.write_text(json.dumps([entry, *json.loads(neighbours.read_text())]))
    known = Estate(hosts=read_source(str(copy)), names=names)
    topology = Topology(estate=known)
    paths = trace(known, find("vm2", topology), find(receiver, topology), Question()).paths
    assert [path.verdict for path in paths] == verdicts
    if is_asked is not False:
        last = paths[1].way[-1]
        assert (last.host, last.place) == ("network", ROUTER)
        assert paths[1].mend.endswith(f"-A warren-l3-snat -o {QG} -j SNAT --to-source {GATEWAY}")
        assert "192.168.5.4" in paths[1].because


def test_an_answer_that_a_host_outside_knows_the_way_for_comes_back_untranslated(copy: Path) -> None:
    untranslated(copy, is_asked=True)
    routes = copy / "world" / "ip_route_host"
    way = {"dst": "192.168.5.0/24", "gateway": GATEWAY, "dev": "eth0", "flags": []}
    routes.write_text(json.dumps([way, *json.loads(routes.read_text())]))
    assert asked(copy, "vm2", WORLD).verdict is not Verdict.DROPPED_UNTRANSLATED
