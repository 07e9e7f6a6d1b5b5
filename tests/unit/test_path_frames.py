"""Frames and packets that are for many, or that are given byte by byte: where their copies end."""

import json
import re
import shutil
import struct
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from warren.core.errors import Invalid
from warren.inspect.path.endpoint import find
from warren.inspect.path.hop import Trace, Verdict
from warren.inspect.path.question import Question, arp_request, trace, trace_frame
from warren.inspect.path.routing import link_address
from warren.inspect.path.topology import Topology
from warren.inspect.path.wire import frame_of_bytes
from warren.inspect.snapshot.model import Estate
from warren.inspect.snapshot.names import read_names
from warren.sources.open import read_source

LAB = Path(__file__).parent.parent / "fixtures" / "warren-l2pop-hybrid"
RED_DHCP = "qdhcp-62b54268-6ee6-4df2-b06e-54df4ddde163"
ROUTER = "qrouter-15bec78a-18f0-4140-a72c-1fbcc94b7233"
UDP = 17


@pytest.fixture(params=["seen inside", "real guests"])
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Estate:
    """The captured lab, once with what is inside its instances, once without, as with real guests."""
    folder = Path(shutil.copytree(LAB, tmp_path / "lab"))
    if request.param == "real guests":
        for path in folder.glob("compute*/*"):
            if re.search(r"_(vm|b)\d$", path.name) or path.name == "ip_netns":
                path.unlink()
    names = read_names(json.loads((LAB / "api.json").read_text()))
    return Estate(hosts=read_source(str(folder)), names=names)


def asked(known: Estate, sender: str, receiver: str, question: Question) -> Trace:
    topology = Topology(estate=known)
    return trace(known, find(sender, topology), find(receiver, topology), question)


def discover(mac: str) -> bytes:
    """A DHCP client's first frame (RFC 2131): from nobody, to all."""
    body = struct.pack("!HHHH", 68, 67, 8 + 240, 0) + bytes(240)
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(body), 0, 0, 64, UDP, 0, bytes(4), b"\xff" * 4)
    return b"\xff" * 6 + bytes.fromhex(mac.replace(":", "")) + b"\x08\x00" + header + body


def discovered(known: Estate, receiver: str) -> Trace:
    topology = Topology(estate=known)
    sender = find("vm1", topology)
    return trace_frame(known, sender, frame_of_bytes(discover(sender.mac)), find(receiver, topology))


@pytest.mark.parametrize("receiver", [RED_DHCP, ROUTER])
def test_a_dhcp_request_reaches_all_on_the_network_and_is_not_forwarded(lab: Estate, receiver: str) -> None:
    path = discovered(lab, receiver).paths[0]
    assert path.verdict is Verdict.DELIVERED
    assert path.way[-1].place.endswith(f" in {receiver}")
    assert "world" not in {hop.host for hop in (*path.way, *path.others)}


def test_of_a_flood_the_copy_for_the_one_who_is_named_is_told(lab: Estate) -> None:
    path = discovered(lab, "vm2").paths[0]
    assert path.verdict is Verdict.DROPPED_RULE
    assert (path.way[-1].host, path.way[-1].object) == ("compute2", "no rule allows it")


@pytest.mark.parametrize("address", ["255.255.255.255", "192.168.5.255"])
def test_a_broadcast_is_sent_to_all_and_nobody_is_asked_for_its_address(lab: Estate, address: str) -> None:
    found = asked(lab, "vm1", address, Question(protocol=UDP, destination_port=67))
    assert (found.verdict, len(found.paths)) == (Verdict.DELIVERED, 1)
    ways = [*found.paths[0].way, *found.paths[0].others]
    assert {"network", "compute2"} <= {hop.host for hop in ways}
    assert not [hop for hop in ways if "ARP" in hop.what]


def test_who_listens_to_a_group_is_not_known(lab: Estate) -> None:
    assert asked(lab, "vm1", "224.0.0.5", Question(protocol=89)).verdict is Verdict.NOT_CAPTURED


@pytest.mark.parametrize(
    ("address", "mac"),
    [
        ("255.255.255.255", "ff:ff:ff:ff:ff:ff"),
        ("239.129.2.3", "01:00:5e:01:02:03"),
        ("ff02::1:ff00:1", "33:33:ff:00:00:01"),
    ],
)
def test_groups_have_their_addresses_on_the_link(address: str, mac: str) -> None:
    assert link_address(address) == mac


def request(mac: str, sender_ip: str, target_ip: str) -> bytes:
    octets = bytes.fromhex(mac.replace(":", ""))
    addresses = octets + IPv4Address(sender_ip).packed + bytes(6) + IPv4Address(target_ip).packed
    return b"\xff" * 6 + octets + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + addresses


@pytest.mark.parametrize(("ignore", "verdict"), [("1", Verdict.DROPPED_NOT_FOR_US), ("0", Verdict.DELIVERED)])
def test_a_router_answers_for_its_other_interfaces_unless_it_is_told_not_to(
    tmp_path: Path, ignore: str, verdict: Verdict
) -> None:
    folder = Path(shutil.copytree(LAB, tmp_path / "lab"))
    settings = folder / "network" / f"sysctl_{ROUTER}"
    settings.write_text(settings.read_text().replace("all.arp_ignore = 1", f"all.arp_ignore = {ignore}"))
    known = Estate(hosts=read_source(str(folder)))
    sender = find("vm1", Topology(estate=known))
    frame = frame_of_bytes(request(sender.mac, "192.168.5.3", "203.0.113.100"))
    path = trace_frame(known, sender, frame, find(ROUTER, Topology(estate=known))).paths[0]
    assert path.verdict is verdict, [f"{h.host} {h.place}: {h.what}" for h in path.way]


def arp(known: Estate, sender: str, receiver: str) -> Trace:
    topology = Topology(estate=known)
    source, target = find(sender, topology), find(receiver, topology)
    return trace_frame(known, source, arp_request(source, target), target)


def test_who_has_an_address_is_answered_by_the_flow_that_knows_it(lab: Estate) -> None:
    path = arp(lab, "vm1", "vm2").paths[0]
    assert (path.verdict, {hop.host for hop in path.way}) == (Verdict.DELIVERED, {"compute1"})
    assert [hop.object for hop in path.way if hop.place == "br-tun table 21"] == ["responder of port 'vm2'"]
    assert path.way[-1].what == "learns ARP 192.168.5.4 is at fa:16:3e:1c:8c:a8"


def test_a_router_asks_by_the_interface_and_with_the_address_of_the_network(lab: Estate) -> None:
    path = arp(lab, ROUTER, "vm3").paths[0]
    assert path.verdict is Verdict.DELIVERED
    assert path.way[0].place == f"qr-c96bf304-02 in {ROUTER}"
    assert "who has 192.168.5.5? tell 192.168.5.1" in path.title


def test_an_address_that_nobody_has_is_not_answered_for(lab: Estate) -> None:
    path = arp(lab, "vm1", "192.168.5.200").paths[0]
    assert path.verdict is Verdict.DROPPED_NO_NEIGHBOUR
    assert path.because.endswith("nobody answers for 192.168.5.200")


def test_an_answer_that_is_lost_on_its_way_back_is_told_where_it_was_lost(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(LAB, tmp_path / "lab"))
    for file, gone in (("network/dump-flows_br-int", "table=60,.*in_port=4,"), ("compute1/dump-flows_br-tun", ",arp,")):
        path = folder / file
        kept = re.sub(rf"^.*{gone}.*\n", "", path.read_text(), flags=re.MULTILINE)
        path.write_text(kept)
    known = Estate(hosts=read_source(str(folder)))
    found = arp(known, "vm1", "192.168.5.1").paths[0]
    assert (found.way[-1].host, found.way[-1].place) == ("network", "br-int table 60")
    assert any(hop.what.startswith("answers: ") for hop in found.way)


def test_arp_asks_for_no_ipv6_address(lab: Estate) -> None:
    with pytest.raises(Invalid, match="IPv6"):
        arp(lab, "vm1", "fd00::9")
