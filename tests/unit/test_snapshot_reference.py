"""The dumps of a real Neutron are read as what they show."""

from pathlib import Path

import pytest

from warren.core.errors import Invalid, NotFound
from warren.inspect.snapshot.model import Host
from warren.sources.folder import hosts_of, read_tree
from warren.sources.open import read_source

REFERENCE = Path(__file__).parent.parent / "fixtures" / "neutron"
STAGES = sorted(path.name for path in REFERENCE.iterdir() if path.is_dir())


def last_stage() -> dict[str, Host]:
    return {host.name: host for host in read_source(str(REFERENCE / "6c-vm1-vm2-ping"))}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_is_read_without_a_problem(stage: str) -> None:
    hosts = read_source(str(REFERENCE / stage))
    assert hosts
    assert [str(problem) for host in hosts for problem in host.problems] == []
    assert all(host.bridge("br-tun") and host.bridge("br-int") for host in hosts)


def test_a_bridge_port_has_what_all_files_together_say() -> None:
    bridge = last_stage()["compute1"].bridge("br-int")
    assert bridge is not None
    port = bridge.port("tapa73ec503-6b")
    assert port is not None
    assert (port.ofport, port.tag, port.port_id) == (2, 1, "a73ec503-6bf0-4705-8c9b-05dc2e427dca")
    assert port.external_ids["attached-mac"] == "fa:16:3e:ba:78:de"
    assert port.other_config["segmentation_id"] == "5872"


def test_a_tunnel_names_both_ends() -> None:
    bridge = last_stage()["network"].bridge("br-tun")
    assert bridge is not None
    tunnel = bridge.port("vxlan-0a15000c")
    assert tunnel is not None
    assert (tunnel.type, tunnel.options["local_ip"], tunnel.options["remote_ip"]) == (
        "vxlan",
        "10.21.0.10",
        "10.21.0.12",
    )


def test_a_namespace_has_links_addresses_routes_and_neighbours() -> None:
    namespace = last_stage()["network"].namespace("qrouter-f5dc5045-9ac5-43b4-87cc-43731da02e9b")
    assert namespace is not None
    gateway = namespace.holder_of("203.0.113.179")
    assert gateway is not None
    assert (gateway.name, gateway.mtu, gateway.is_up) == ("qg-fe0d8111-a0", 1500, True)
    assert ("0.0.0.0/0", "203.0.113.1") in {(route.destination, route.via) for route in namespace.routes}
    assert ("192.168.1.139", "fa:16:3e:ba:78:de") in {(entry.ip, entry.mac) for entry in namespace.neighbours}
    assert namespace.sysctls["net.ipv4.ip_forward"] == "1"


def test_an_instance_behind_a_veth_is_found_by_its_namespace() -> None:
    host = last_stage()["compute1"].namespace("")
    assert host is not None
    tap = host.link("tapa73ec503-6b")
    assert tap is not None
    assert (tap.peer_namespace, tap.peer_index) == ("vm1", 2)


def test_dhcp_and_fdb_are_read() -> None:
    host = last_stage()["network"]
    assert ("fa:16:3e:df:c9:3b", "192.168.1.24") in {(entry.mac, entry.ip) for entry in host.dhcp[0].entries}
    bridge = host.bridge("br-int")
    assert bridge is not None
    assert (4, 1, "fa:16:3e:61:66:cc") in {(entry.ofport, entry.vlan, entry.mac) for entry in bridge.fdb}


def test_several_moments_of_one_host_are_refused_with_the_mend() -> None:
    with pytest.raises(Invalid, match="name the folder of one moment"):
        hosts_of(read_tree(REFERENCE), "reference")


def test_a_folder_without_a_host_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("hello")
    with pytest.raises(NotFound, match="ovs-vsctl_show"):
        read_source(str(tmp_path))
