# ruff: noqa: E501
"""Healthy hosts of Neutron's other modes give nothing, and the same faults are found in each numbering of tables."""

from dataclasses import replace
from pathlib import Path

import pytest

from warren.inspect.snapshot.model import Bridge, BridgePort, Estate, Host, Printout
from warren.inspect.verify.finding import Finding
from warren.inspect.verify.verify import verify

PIPELINES = Path(__file__).parent.parent / "fixtures" / "pipelines"
HOSTS = {"one": "10.9.0.1", "two": "10.9.0.2"}


def tunnel(kind: str, ofport: int, local: str, remote: str) -> BridgePort:
    ends = {"local_ip": local, "remote_ip": remote, "in_key": "flow", "out_key": "flow"}
    return BridgePort(name=f"{kind}-{ofport}", ofport=ofport, type=kind, options=ends)


def host(name: str, tunnels: str, integration: str = "") -> Host:
    """A host with the flows of a mode; ports as the fixtures' first lines say."""
    local, remote = HOSTS[name], HOSTS["two" if name == "one" else "one"]
    patch_int = BridgePort(name="patch-int", ofport=1, type="patch", options={"peer": "patch-tun"})
    patch_tun = BridgePort(name="patch-tun", ofport=1, type="patch", options={"peer": "patch-int"})
    int_br_ex = BridgePort(name="int-br-ex", ofport=2, type="patch", options={"peer": "phy-br-ex"})
    phy_br_ex = BridgePort(name="phy-br-ex", ofport=1, type="patch", options={"peer": "int-br-ex"})
    macs = {3: "fa:16:3e:00:00:22", 4: "fa:16:3e:00:00:44", 5: "fa:16:3e:00:00:03"}
    ports = tuple(
        BridgePort(name=f"port{n}", ofport=n, tag=4095 if n == 4 else 1, external_ids={"attached-mac": mac})
        for n, mac in macs.items()
    )
    far: tuple[BridgePort, ...] = (tunnel("vxlan", 2, local, remote), tunnel("gre", 3, local, remote))
    if "in_port=4 actions=resubmit(,3)" in tunnels:
        far = (far[0], tunnel("vxlan", 3, local, "10.9.0.3"), tunnel("gre", 4, local, remote))
    bridges = (
        Bridge(name="br-int", fail_mode="secure", ports=(patch_tun, int_br_ex, *ports), flows=flows(integration)),
        Bridge(name="br-tun", fail_mode="secure", ports=(patch_int, *far), flows=flows(tunnels)),
        Bridge(name="br-ex", ports=(phy_br_ex,)),
    )
    return Host(name=name, bridges=bridges)


def flows(text: str) -> Printout | None:
    return Printout(file="dump", text=text) if text else None


def text(mode: str) -> str:
    return (PIPELINES / f"{mode}.flows").read_text()


def findings(*hosts: Host) -> tuple[Finding, ...]:
    report = verify(Estate(hosts=hosts))
    assert report.problems == ()
    return report.findings


def both(tunnels: str, integration: str = "") -> tuple[Finding, ...]:
    return findings(host("one", tunnels, integration), host("two", tunnels, integration))


def heard(mode: str) -> str:
    """The mode's flows, with every tunnel port taken at table 0."""
    lines = text(mode)
    numbers = {2: 4, 3: 3}
    for ofport, table in numbers.items():
        if f"in_port={ofport} " not in lines:
            lines += f"\ntable=0,priority=1,in_port={ofport} actions=resubmit(,{table})\ntable={table},priority=0 actions=drop\n"
    return lines


@pytest.mark.parametrize(("mode", "integration"), [("learning", ""), ("havana", ""), ("dvr", "dvr-int")])
def test_a_healthy_mode_gives_nothing(mode: str, integration: str) -> None:
    assert both(heard(mode), text(integration) if integration else "") == ()


def test_in_havanas_numbering_a_host_that_a_flood_misses_is_found() -> None:
    broken = text("havana").replace(
        "actions=strip_vlan,set_tunnel:0x2,output:2", "actions=strip_vlan,set_tunnel:0x2,output:3"
    )
    found = findings(host("one", broken), host("two", text("havana")))
    assert {(finding.kind, finding.host) for finding in found} == {("flood-misses-host", "one")}


def test_in_havanas_numbering_a_wrong_key_is_found() -> None:
    broken = text("havana").replace("set_tunnel:0x1,", "set_tunnel:0x9,")
    assert "wrong-tunnel-id" in {finding.kind for finding in findings(host("one", broken), host("two", text("havana")))}


def test_a_dvr_host_whose_learning_goes_into_tunnels_loops() -> None:
    broken = heard("dvr").replace(
        "table=9,priority=0 actions=resubmit(,10)", "table=9,priority=0 actions=resubmit(,20)"
    )
    assert "loop" in {finding.kind for finding in both(broken, text("dvr-int"))}


def test_a_host_that_no_other_knows_gives_no_tunnel_faults() -> None:
    alone = host("one", heard("learning"))
    assert findings(alone) == ()
    bare = replace(alone, bridges=alone.bridges[1:])
    assert {finding.kind for finding in findings(bare)} == {"broken-patch"}
