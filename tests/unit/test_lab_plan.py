"""What a lab is planned to be, and how it reads what a switch prints: pure, and true of every input."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from warren.core.errors import Invalid, Rejected
from warren.lab.experiments import expected
from warren.lab.experiments.tables import difference, entries, port_names, port_packets
from warren.lab.experiments.trace import read_trace
from warren.lab.guest import cpio
from warren.lab.manifest import Made, Manifest
from warren.lab.plan import plan_hosts

REFERENCE = Path(__file__).parents[1] / "fixtures" / "neutron"


@given(st.integers(1, 5), st.integers(1, 40))
def test_hosts_have_names_and_addresses_of_their_own(network_hosts: int, computes: int) -> None:
    hosts = plan_hosts(total=network_hosts + computes, network_hosts=network_hosts)
    assert len({host.name for host in hosts}) == len({host.vtep_ip for host in hosts}) == network_hosts + computes
    addresses = [host.external_ip for host in hosts if host.external_ip]
    assert len(set(addresses)) == len(addresses) == computes
    assert sum(host.is_network for host in hosts) == network_hosts


@pytest.mark.parametrize(("total", "network_hosts"), [(1, 1), (2, 2), (0, 0), (3, 0), (61, 1)])
def test_a_lab_without_a_compute_or_a_network_host_is_refused(total: int, network_hosts: int) -> None:
    with pytest.raises(Invalid):
        plan_hosts(total=total, network_hosts=network_hosts)


def test_a_manifest_cut_short_by_a_crash_still_says_what_came_before(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "manifest.jsonl")
    first, second = Made(kind="namespace", name="compute1"), Made(kind="process", name="agent", where="compute1")
    manifest.will_make(first)
    manifest.will_make(second, first)
    with manifest.path.open("a") as file:
        file.write('{"kind": "names')
    assert manifest.read() == (first, second)


def test_a_manifest_does_not_name_what_is_gone_until_it_is_made_again(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path / "manifest.jsonl")
    host, instance = Made(kind="namespace", name="compute1"), Made(kind="namespace", name="vm1", where="compute1")
    manifest.will_make(host, instance)
    manifest.has_removed(instance, Made(kind="link", name="never made"))
    assert manifest.read() == (host,)
    manifest.will_make(instance)
    assert manifest.read() == (host, instance)


DUMP = """NXST_FLOW reply (xid=0x4):
 cookie=0x1000000000000, duration=9s, table=0, n_packets=3, n_bytes=1, priority=1,in_port=1 actions=resubmit(,2)
 cookie=0xff000000000000, duration=1s, table=20, n_packets={packets}, n_bytes=1, hard_timeout=300, idle_age=0, \
priority=1,vlan_tci=0x0001/0x0fff,dl_dst=fa:16:3e:00:00:22 actions=load:0->NXM_OF_VLAN_TCI[],output:2
"""
NAMES = {"1": "patch-int", "2": "vxlan-0a090002"}


def test_flows_are_compared_by_what_they_do_with_ports_by_name() -> None:
    before, after = (entries(DUMP.format(packets=packets), NAMES, "-") for packets in (2, 7))
    found = difference(before, after)
    assert (found.added, found.removed) == ((), ())
    assert [(entry.mac, packets) for entry, packets in found.counted] == [("fa:16:3e:00:00:22", 5)]
    assert before[0].match == "in_port=patch-int"
    assert before[1].outputs == ("vxlan-0a090002",)
    assert [entry.is_learned for entry in before] == [False, True]


def test_an_entry_that_expired_and_was_learned_again_counts_from_zero() -> None:
    before, after = (entries(DUMP.format(packets=packets), NAMES, "-") for packets in (7, 2))
    assert [packets for _, packets in difference(before, after).counted] == [2]


def test_a_flow_that_cannot_be_read_is_refused_rather_than_left_out() -> None:
    with pytest.raises(Rejected, match="cannot be read"):
        entries(" table=0, priority=banana actions=drop\n", NAMES, "-")


def test_ports_of_a_real_switch_are_read_by_name_and_by_number() -> None:
    shown = " 1(patch-int): addr:4e:aa\n 2(vxlan-0a090002): addr:f2:bb\n LOCAL(br-tun): addr:00:11\n"
    assert port_names(shown) == {"1": "patch-int", "2": "vxlan-0a090002", "LOCAL": "br-tun"}
    ports = (
        "OFPST_PORT reply (xid=0x2): 2 ports\n"
        "  port  1: rx pkts=25, bytes=4564, drop=?, errs=?\n           tx pkts=26, bytes=4681, drop=?\n"
        '  port "vxlan-0a090002": rx pkts=2, bytes=120, drop=?, errs=?\n           tx pkts=7, bytes=1698, drop=?\n'
    )
    assert port_packets(ports, NAMES) == {"patch-int": (25, 26), "vxlan-0a090002": (2, 7)}


TRACE = """Flow: udp,in_port=2

bridge("br-int")
----------------
 0. in_port=2, priority 9
    resubmit(,62)
62. reg6=0x1, priority 2
    output:1

bridge("br-tun")
----------------
 0. in_port=1, priority 1
    resubmit(,22)
22. dl_vlan=1, priority 1
    output:2
     -> output to native tunnel

    bridge("br-phy")
    ----------------
         0. priority 0
            NORMAL
    output:3

Datapath actions: tnl_push(tnl_port(5))
"""


def test_a_trace_tells_the_tables_of_each_bridge_also_of_one_below_a_tunnel() -> None:
    trace = read_trace(TRACE)
    assert trace.tables("br-int") == (0, 62)
    assert trace.tables("br-tun") == (0, 22)
    assert trace.tables("br-phy") == (0,)
    assert (trace.outputs("br-int"), trace.outputs("br-tun")) == (("1",), ("2", "3"))
    assert not trace.is_dropped
    assert [hop.place for hop in trace.hops("h", "file")] == ["br-int", "br-tun"]
    assert read_trace("Datapath actions: drop\n").is_dropped


@pytest.mark.parametrize("host", ["network", "compute1", "compute2"])
def test_the_expected_initial_flows_are_those_of_a_real_neutron(host: str) -> None:
    folder = REFERENCE / "1-no-tenant-networks" / host
    names = port_names((folder / "ofctl_show_br-tun").read_text())
    found = expected.keys(entries((folder / "dump-flows_br-tun").read_text(), names, host))
    ports = {name for name in names.values() if name.startswith("vxlan-")}
    wanted = set(expected.initial_flows(is_learning=True, ageing_s=300))
    assert found == wanted | {expected.tunnel_port_flow(port, "vxlan") for port in ports}


def unpacked(archive: bytes) -> dict[str, bytes]:
    """The `newc` form, read back by its description."""
    found, offset = {}, 0
    while offset < len(archive):
        assert archive[offset : offset + 6] == b"070701"
        fields = [int(archive[offset + 6 + 8 * i : offset + 14 + 8 * i], 16) for i in range(13)]
        size, name_size = fields[6], fields[11]
        name = archive[offset + 110 : offset + 110 + name_size - 1].decode()
        start = offset + (110 + name_size + 3) // 4 * 4
        found[name] = archive[start : start + size]
        offset = start + (size + 3) // 4 * 4
    return found


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_an_archive_unpacks_to_what_was_put_in(contents: list[bytes]) -> None:
    files = [cpio.file(f"a/b{number}", content) for number, content in enumerate(contents)]
    link = cpio.link("a/link", "b0")
    found = unpacked(cpio.archive(cpio.with_parents([*files, link])))
    assert next(iter(found)) == "a"
    assert list(found)[-1] == "TRAILER!!!"
    assert found["a/link"] == b"b0"
    assert {file.path: file.content for file in files}.items() <= found.items()
