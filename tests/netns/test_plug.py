"""What a hypervisor's VIF driver leaves on a host: interfaces and a row in a real Open vSwitch's database."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from warren.agent.drivers import netlink, netns
from warren.agent.drivers.command import run
from warren.core import names
from warren.core.errors import Rejected
from warren.core.ids import PortId
from warren.core.state import Plug
from warren.plug import Vif, plug, unplug
from warren.testing.ovs import PrivateOvs, private_ovs
from warren.testing.sites import mac_of

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("host")]


@pytest.fixture
def ovs(monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateOvs]:
    with private_ovs() as ovs:
        monkeypatch.setenv("OVS_RUNDIR", str(ovs.directory))
        ovs.vsctl("add-br", "br-int")
        yield ovs


def instance_interface(mode: Plug) -> Vif:
    namespace = f"wt-i-{uuid.uuid4().hex[:8]}"
    netns.create(namespace)
    return Vif(
        port_id=PortId(str(uuid.uuid4())),
        mac_address=mac_of(7),
        mtu_bytes=1410,
        plug=mode,
        instance_id='a "name" with, everything\\',
        namespace=namespace,
    )


def links_of(vif: Vif) -> dict[str, netlink.Link]:
    part = vif.port_id[: names.ID_CHARS_IN_NAME]
    return {name: link for name, link in netlink.read_links().items() if part in name}


@pytest.mark.parametrize("mode", Plug)
@pytest.mark.parametrize("kind", ["namespace", "tap"])
def test_an_interface_is_plugged_once_however_often_it_is_asked(ovs: PrivateOvs, mode: Plug, kind: str) -> None:
    vif = instance_interface(mode)
    vif = vif if kind == "namespace" else replace(vif, namespace=None)
    plug(vif)
    first = links_of(vif)
    plug(vif)
    assert links_of(vif) == first
    on_host = {"tap", "qbr", "qvb", "qvo"} if mode is Plug.HYBRID else {"tap"}
    assert {name[:3] for name in first} == on_host
    assert {link.mtu_bytes for name, link in first.items()} == {1410}
    assert all(link.is_up for link in first.values())
    assert ovs.vsctl("list-ports", "br-int").split() == [vif.on_switch]
    assert ovs.vsctl("get", "Interface", vif.on_switch, "external_ids:iface-id").strip() == f'"{vif.port_id}"'
    assert ovs.vsctl("get", "Interface", vif.on_switch, "external_ids:attached-mac").strip() == f'"{vif.mac_address}"'
    assert ovs.vsctl("get", "Port", vif.on_switch, "tag").strip() == "[]"


def finishes_frames(interface: str) -> bool:
    """Whether an interface sends no frame on that lacks a checksum or is still to be cut into segments."""
    lines = run(["ethtool", "-k", interface]).splitlines()
    told = dict(line.strip().split(": ", 1) for line in lines[1:])
    return all(told[feature].startswith("off") for feature in ("tx-checksumming", "tx-tcp-segmentation"))


@pytest.mark.parametrize("mode", Plug)
def test_the_host_has_no_ipv6_on_an_instances_interfaces(ovs: PrivateOvs, mode: Plug) -> None:
    vif = instance_interface(mode)
    plug(vif)
    assert ovs.vsctl("list-ports", "br-int")
    for name in links_of(vif):
        assert Path(f"/proc/sys/net/ipv6/conf/{name}/disable_ipv6").read_text() == "1\n"


@pytest.mark.parametrize("mode", Plug)
def test_frames_are_finished_right_in_front_of_the_switch_and_not_before(ovs: PrivateOvs, mode: Plug) -> None:
    vif = instance_interface(mode)
    plug(vif)
    assert vif.namespace is not None
    assert ovs.vsctl("list-ports", "br-int")
    with netns.entered(vif.namespace):
        link = netlink.read_links()["eth0"]
        assert (link.mac_address, link.mtu_bytes) == (vif.mac_address, 1410)
        finishing = {name for name in ("eth0",) if finishes_frames(name)}
    finishing |= {name for name in links_of(vif) if name.startswith("qvb") and finishes_frames(name)}
    assert finishing == {"eth0" if mode is Plug.OVS else names.qvb(vif.port_id)}


@pytest.mark.parametrize("mode", Plug)
def test_the_kernels_datapath_is_given_frames_unfinished(ovs: PrivateOvs, mode: Plug) -> None:
    vif = replace(instance_interface(mode), finishes_frames=False)
    plug(vif)
    assert ovs.vsctl("list-ports", "br-int")
    assert not any(finishes_frames(name) for name in links_of(vif))
    assert vif.namespace
    with netns.entered(vif.namespace):
        assert not finishes_frames("eth0")


@pytest.mark.parametrize("missing", ["nothing", "qbr", "qvo", "tap", "br-int's port", "everything"])
def test_what_is_missing_is_made_again_and_unplugging_takes_all_away(ovs: PrivateOvs, missing: str) -> None:
    vif = instance_interface(Plug.HYBRID)
    if missing != "everything":
        plug(vif)
    if missing in ("qbr", "qvo", "tap"):
        run(["ip", "link", "delete", f"{missing}{vif.port_id[:11]}"])
    elif missing == "br-int's port":
        ovs.vsctl("del-port", vif.on_switch)
    plug(vif)
    bridge = netlink.read_links()[names.qbr(vif.port_id)].index
    assert {name[:3] for name, link in links_of(vif).items() if link.master == bridge} == {"tap", "qvb"}
    unplug(vif)
    unplug(vif)
    assert links_of(vif) == {}
    assert ovs.vsctl("list-ports", "br-int") == ""


def test_without_a_switch_the_answer_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OVS_RUNDIR", str(tmp_path))
    with pytest.raises(Rejected, match="ovs-vsctl"):
        plug(instance_interface(Plug.OVS))
