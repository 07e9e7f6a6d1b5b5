"""Each command's output, in each of its forms, gives the same values; garbage gives problems and nothing worse."""

import json
import subprocess
import sys
import tarfile
import time
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warren.core.errors import Invalid
from warren.inspect.snapshot import dnsmasq, iproute, ovs
from warren.inspect.snapshot.host import read_host
from warren.inspect.snapshot.layout import Role, classify
from warren.inspect.snapshot.text import Page, harmless
from warren.inspect.snapshot.trace import read_trace
from warren.sources.archive import read_archive
from warren.sources.capture import script
from warren.sources.open import read_source

REFERENCE = Path(__file__).parent.parent / "fixtures" / "neutron" / "6c-vm1-vm2-ping"


def page(text: str) -> Page:
    return Page(file="f", text=text)


LIST = (
    'name                : "tap1"\nofport              : 2\nexternal_ids        : {iface-id="a-b", x="1,2"}\ntag : []\n'
)
TABLE = """name   ofport external_ids                tag
------ ------ --------------------------- ---
"tap1" 2      {iface-id="a-b", x="1,2"}   []
"""
JSON = json.dumps(
    {
        "headings": ["name", "ofport", "external_ids", "tag"],
        "data": [["tap1", 2, ["map", [["iface-id", "a-b"], ["x", "1,2"]]], ["set", []]]],
    }
)


@pytest.mark.parametrize("text", [LIST, TABLE, JSON], ids=["list", "table", "json"])
def test_the_three_forms_of_ovs_vsctl_list_say_the_same(text: str) -> None:
    (row,) = ovs.read_rows(page(text))
    assert ovs.text_of(row, "name") == "tap1"
    assert ovs.number_of(row, "ofport") == 2
    assert dict(ovs.map_of(row, "external_ids")) == {"iface-id": "a-b", "x": "1,2"}
    assert ovs.number_of(row, "tag") is None


IP_TEXT = """2: eth0@if9: <BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1450 qdisc noqueue master qbr1 state UP group default
    link/ether 0a:01:c8:2a:cc:87 brd ff:ff:ff:ff:ff:ff link-netnsid 0
    inet 10.20.0.11/24 scope global eth0
       valid_lft forever preferred_lft forever
"""
IP_JSON = json.dumps(
    [
        {
            "ifindex": 2,
            "link_index": 9,
            "ifname": "eth0",
            "flags": ["BROADCAST", "UP"],
            "mtu": 1450,
            "master": "qbr1",
            "address": "0a:01:c8:2a:cc:87",
            "link_netnsid": 0,
            "addr_info": [{"family": "inet", "local": "10.20.0.11", "prefixlen": 24, "scope": "global"}],
        }
    ]
)


def test_ip_address_as_text_and_as_json_say_the_same() -> None:
    assert iproute.read_links(page(IP_TEXT)) == iproute.read_links(page(IP_JSON))


@pytest.mark.parametrize(
    ("link", "problems"),
    [
        ({"ifname": "a", "flags": 5}, 0),
        ({"ifname": "a", "addr_info": [{"local": "10.0.0.1", "prefixlen": 999}]}, 1),
        ({"ifname": "a", "addr_info": [{"local": "10.0.0.999", "prefixlen": 24}]}, 1),
        ({"ifname": "a", "addr_info": [{"local": [], "prefixlen": "x"}, 7, {"label": "a"}]}, 1),
        ({"ifname": "a", "addr_info": "10.0.0.1"}, 0),
    ],
)
def test_an_address_that_is_none_is_said_and_the_link_is_kept(link: dict[str, object], problems: int) -> None:
    damaged = page(json.dumps([link]))
    (found,) = iproute.read_links(damaged)
    assert (found.name, found.is_up, found.addresses) == ("a", False, ())
    assert len(damaged.problems) == problems


def test_ip_route_as_text_and_as_json_say_the_same() -> None:
    text = "default via 203.0.113.1 dev qg-1 proto static \n192.168.1.0/24 dev qr-1 proto kernel src 192.168.1.1"
    objects = [
        {"dst": "default", "gateway": "203.0.113.1", "dev": "qg-1", "protocol": "static", "flags": []},
        {"dst": "192.168.1.0/24", "dev": "qr-1", "prefsrc": "192.168.1.1", "protocol": "kernel", "flags": []},
    ]
    assert iproute.read_routes(page(text)) == iproute.read_routes(page(json.dumps(objects)))


def test_ip_neigh_as_text_and_as_json_say_the_same() -> None:
    text = "203.0.113.1 dev qg-1 lladdr 0a:ea:7e:57:75:62 REACHABLE \n192.168.1.9 dev qr-1  FAILED"
    objects = [
        {"dst": "203.0.113.1", "dev": "qg-1", "lladdr": "0a:ea:7e:57:75:62", "state": ["REACHABLE"]},
        {"dst": "192.168.1.9", "dev": "qr-1", "state": ["FAILED"]},
    ]
    assert iproute.read_neighbours(page(text)) == iproute.read_neighbours(page(json.dumps(objects)))


def test_ip_rule_as_text_and_as_json_say_the_same() -> None:
    text = (
        "0:\tfrom all lookup local\n100:\tfrom 10.0.0.0/8 lookup 16\n101:\tfrom all iif qr-1 prohibit\n102:\tfrom x\n"
        "103:\tfrom all to 192.0.2.0/24 fwmark 0x1/0xff lookup 9\n104:\tfrom all to 192.0.2.1 fwmark 0x2 lookup 9"
    )
    objects = [
        {"priority": 0, "src": "all", "table": "local"},
        {"priority": 100, "src": "10.0.0.0", "srclen": 8, "table": "16"},
        {"priority": 101, "src": "all", "iif": "qr-1", "action": "prohibit"},
        {
            "priority": 103,
            "src": "all",
            "dst": "192.0.2.0",
            "dstlen": 24,
            "fwmark": "0x1",
            "fwmask": "0xff",
            "table": "9",
        },
        {"priority": 104, "src": "all", "dst": "192.0.2.1", "fwmark": "0x2", "table": "9"},
    ]
    as_text = page(text)
    rules = iproute.read_rules(as_text)
    assert rules == iproute.read_rules(page(json.dumps(objects)))
    assert [rule.refusal for rule in rules] == ["", "", "prohibit", "", ""]
    assert [problem.line for problem in as_text.problems] == [4]


def test_bridge_fdb_as_text_and_as_json_say_the_same() -> None:
    text = "33:33:00:00:00:01 dev eth0 self permanent\nfa:16:3e:00:00:01 dev tap1 master qbr1 \nrubbish"
    objects = [
        {"mac": "33:33:00:00:00:01", "ifname": "eth0", "flags": ["self"]},
        {"mac": "fa:16:3e:00:00:01", "ifname": "tap1", "master": "qbr1"},
    ]
    (entry,) = iproute.read_bridge_fdb(page(text))
    assert (entry.mac, entry.port, entry.bridge) == ("fa:16:3e:00:00:01", "tap1", "qbr1")
    assert iproute.read_bridge_fdb(page(json.dumps(objects))) == (entry,)


def test_a_trace_of_the_switch_is_read_lookup_by_lookup() -> None:
    trace = read_trace(
        page(
            'Flow: in_port=1\n\nbridge("br0")\n-------------\n 0. in_port=1, priority 5, cookie 0x7\n    resubmit(,2)\n'
            " 2. No match.\n    drop\n\nFinal flow: unchanged\nMegaflow: recirc_id=0\nDatapath actions: drop\n"
        )
    )
    assert [(step.bridge, step.table, step.priority, step.cookie) for step in trace.lookups] == [
        ("br0", 0, 5, 7),
        ("br0", 2, None, 0),
    ]
    assert trace.lookups[0].actions == ("resubmit(,2)",)
    assert trace.datapath_actions == "drop"


def test_a_dnsmasq_line_with_tags_is_read() -> None:
    (entry,) = dnsmasq.read_hosts(page("FA:16:3e:00:00:01,set:port-1,host-a.example,192.0.2.7"))
    assert (entry.mac, entry.ip, entry.hostname) == ("fa:16:3e:00:00:01", "192.0.2.7", "host-a.example")


@pytest.mark.parametrize("heading", [" port  VLAN  MAC                Age", " Port  VLAN  MAC                Age"])
def test_fdb_show_is_read_under_the_heading_of_every_version(heading: str) -> None:
    entries = ovs.read_fdb(
        page(f"{heading}\n    4     1  fa:16:3e:61:66:cc    5\nLOCAL     5  50:54:00:00:00:07  static\n")
    )
    assert [(entry.ofport, entry.vlan, entry.age_s) for entry in entries] == [(4, 1, 5), (65534, 5, None)]


def test_a_problem_names_file_line_and_column_and_the_rest_is_read() -> None:
    host = read_host(
        "h", {"fdb_br0": " port  VLAN  MAC                Age\nrubbish\n    4     1  fa:16:3e:61:66:cc    5\n"}
    )
    assert [str(problem) for problem in host.problems] == ["h/fdb_br0:2:1: this is not a line of fdb/show"]


MANY = "9" * 5000
"""More digits than Python makes a number of."""


@pytest.mark.parametrize(
    "files",
    [
        {"fdb_br-int": f"port VLAN MAC Age\n{MANY} 1 fa:16:3e:00:00:01 1\n1 {MANY} fa:16:3e:00:00:01 {MANY}\n"},
        {"ofctl_show_br-int": f" {MANY}(tap1): addr:fa:16:3e:00:00:01\n"},
        {"ip_addr_host": f"{MANY}: eth0: <UP> mtu {MANY}\n    inet 10.0.0.1/24\n2: eth1: <UP> mtu {MANY}\n"},
        {"ip_addr_host": f'[{{"ifindex": {MANY}, "ifname": "eth0", "flags": []}}]'},
        {"ovs-vsctl_list_interface": "name : tap1\nofport : --5\n"},
        {"ovs-vsctl_list_port": f"name : tap1\ntag : {MANY}\n"},
    ],
)
def test_a_number_that_is_none_never_crashes_the_reader(files: dict[str, str]) -> None:
    assert read_host("h", {"ovs-vsctl_show": "", **files}).name == "h"


def test_routes_rules_and_traces_with_absurd_numbers_are_read() -> None:
    (route,) = iproute.read_routes(Page(file="f", text=f"default via 10.0.0.1 dev eth0 metric {MANY}"))
    assert route.metric == 0
    assert iproute.read_rules(Page(file="f", text=f"{MANY}: from all lookup main")) == ()
    assert read_trace(Page(file="f", text=f"{MANY}. priority {MANY}\n{MANY}. No match.")).lookups == ()


def test_no_escape_sequence_survives() -> None:
    assert harmless("a\x1b[31mred\x1b[0m\x1b]0;title\x07\x9b2J\x00b\u202e") == "ared\ufffd2J\ufffdb\ufffd"


NAMES = [
    "ovs-vsctl_show", "ovs-vsctl_list_interface", "ovs-vsctl_list_port", "ofctl_show_br0", "fdb_br0", "tnl_neigh",
    "ip_netns", "ns_x", "ip_addr_host", "ip_route_host", "ip_rule_host", "ip_neigh_host", "sysctl_host",
    "dnsmasq_n/host", "hostname",
]  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(NAMES), st.one_of(st.text(max_size=300), st.binary(max_size=200))))
def test_garbage_never_crashes_the_reader(files: dict[str, str | bytes]) -> None:
    texts = {
        name: value if isinstance(value, str) else value.decode("utf-8", "replace") for name, value in files.items()
    }
    host = read_host("h", texts)
    assert "\x1b" not in repr(host)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_a_truncated_file_never_crashes_the_reader(data: st.DataObject) -> None:
    folder = REFERENCE / "network"
    path = data.draw(st.sampled_from(sorted(p for p in folder.iterdir() if p.is_file())))
    text = path.read_text()
    cut = data.draw(st.integers(0, len(text)))
    read_host("h", {path.name: text[:cut]})


@pytest.mark.parametrize("name", NAMES)
def test_a_line_of_ten_megabytes_is_no_hang(name: str) -> None:
    started = time.monotonic()
    read_host("h", {name: "port " * 2_000_000})
    read_host("h", {name: '{"' + "[" * 5_000_000})
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("path", "role", "of"),
    [
        ("sos_commands/openvswitch/ovs-ofctl_dump-flows_br-int", Role.FLOWS, "br-int"),
        ("sos_commands/openvswitch/ovs-ofctl_-O_OpenFlow13_dump-flows_br-tun", Role.FLOWS, "br-tun"),
        ("sos_commands/openvswitch/ovs-vsctl_-t_5_show", Role.OVS_SHOW, ""),
        ("sos_commands/openvswitch/ovs-vsctl_-t_5_list_interface", Role.INTERFACES, ""),
        ("sos_commands/openvswitch/ovs-appctl_fdb.show_br-int", Role.FDB, "br-int"),
        ("sos_commands/networking/ip_-d_address", Role.ADDRESSES, ""),
        ("sos_commands/networking/namespaces/qr-1/ip_netns_exec_qr-1_ip_-d_address_show", Role.ADDRESSES, "qr-1"),
        ("sos_commands/networking/namespaces/qr-1/ip_netns_exec_qr-1_iptables-save", Role.IPTABLES, "qr-1"),
        ("var/lib/neutron/dhcp/610c/host", Role.DHCP_HOSTS, "610c"),
        ("ip_addr_qrouter-1", Role.ADDRESSES, "qrouter-1"),
        ("iptables-save_host", Role.IPTABLES, ""),
    ],
)
def test_files_are_known_by_the_command_in_their_name(path: str, role: Role, of: str) -> None:
    place = classify(path)
    assert place is not None
    assert (place.role, place.of) == (role, of)


def as_tar(folder: Path) -> bytes:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        archive.add(folder, arcname="stage")
    return buffer.getvalue()


def test_an_archive_reads_as_its_folder(tmp_path: Path) -> None:
    tar, zipped = tmp_path / "hosts.tar.gz", tmp_path / "hosts.zip"
    tar.write_bytes(as_tar(REFERENCE))
    with zipfile.ZipFile(zipped, "w") as archive:
        for path in REFERENCE.rglob("*"):
            archive.write(path, path.relative_to(REFERENCE))
    assert read_source(str(tar)) == read_source(str(zipped)) == read_source(str(REFERENCE))


def test_a_damaged_archive_is_refused_in_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "hosts.tar.gz"
    path.write_bytes(as_tar(REFERENCE)[:5000])
    with pytest.raises(Invalid, match="damaged"):
        read_source(str(path))


def test_an_archive_cannot_name_a_path_outside_itself() -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../../etc/hostname", "x")
    assert list(read_archive(buffer.getvalue(), "z")) == ["etc/hostname"]


def test_what_the_script_writes_is_what_the_reader_reads(tmp_path: Path) -> None:
    """Run for real, by the shell that Debian calls sh; without root and Open vSwitch it has what this host has."""
    done = subprocess.run(["sh", "-s"], input=script().encode(), capture_output=True, timeout=120, check=True)
    archive = tmp_path / "host.tar.gz"
    archive.write_bytes(done.stdout)
    (host,) = read_source(str(archive))
    namespace = host.namespace("")
    assert namespace is not None
    assert namespace.link("lo") is not None
    assert host.problems == ()


def test_what_a_capture_did_not_take_to_its_end_is_a_problem() -> None:
    notes = "cut off, not done within its time: ovs-ofctl dump-flows br-tun\n"
    host = read_host("h", {"ovs-vsctl_show": "", "capture_notes": notes})
    assert [str(problem) for problem in host.problems] == [f"h/capture_notes:1:1: {notes.strip()}"]


def test_capture_prints_its_script_and_refuses_a_bad_source() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "warren", "capture", "--print-script"], capture_output=True, text=True, check=True
    )
    assert shown.stdout == script()
    refused = subprocess.run(
        [sys.executable, "-m", "warren", "capture", "ssh://-oProxyCommand=x"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert refused.returncode == 2
    assert "ssh://user@host" in refused.stderr


@pytest.mark.parametrize(
    ("file", "message"),
    [("none/a.tgz", "none/a.tgz cannot be written: there is no folder none"), ("a.tgz", "a.tgz: Is a directory")],
)
def test_an_archive_that_cannot_be_written_is_named(file: str, message: str, tmp_path: Path) -> None:
    (tmp_path / ".a.tgz.partial").mkdir()
    words = [sys.executable, "-m", "warren", "capture", "--out", file]
    refused = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr) == (2, f"warren: {message}\n")
