"""`warren verify` on many hosts' captures: 100 hosts of 200 ports, as `warren capture` writes them.

The flows are those of Warren's own renderer for l2pop, so that table 20 is as full as it gets. Each network is on ten
hosts with five ports on each.
"""

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.figure import Figure
from warren.core.errors import Impossible
from warren.core.ids import HostName, LocalVlan, MacAddress, NetworkId, OfPort, PortId, SegmentationId
from warren.core.names import INTEGRATION_BRIDGE, PATCH_TO_INTEGRATION, PATCH_TO_TUNNEL, TUNNEL_BRIDGE, qvo, tunnel_port
from warren.core.state import (
    DEPLOYMENT_KEY,
    Deployment,
    HostState,
    Neighbour,
    Network,
    NetworkType,
    Peer,
    Port,
    StateObject,
    TunnelMode,
)
from warren.pipeline.render import render
from warren.pipeline.view import Layout, SwitchView

HOSTS: Final = 100
HOSTS_OF_A_NETWORK: Final = 10
PORTS_ON_A_HOST: Final = 5
NETWORKS_ON_A_HOST: Final = 40
RUNS: Final = 3
_FIRST_TUNNEL: Final = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """Who has what: numbers only, so that any host's part is computed alone."""

    @property
    def networks(self) -> int:
        return HOSTS * NETWORKS_ON_A_HOST // HOSTS_OF_A_NETWORK

    def hosts_of(self, network: int) -> list[int]:
        return [(network * 7 + k * 11) % HOSTS for k in range(HOSTS_OF_A_NETWORK)]

    def networks_on(self, host: int) -> list[int]:
        return [network for network in range(self.networks) if host in self.hosts_of(network)]


def _uuid(kind: int, number: int) -> str:
    return f"{kind:02x}{number:06x}-0000-4000-8000-{number:012x}"


def _port(network: int, host: int, k: int) -> Port:
    number = (network * HOSTS + host) * PORTS_ON_A_HOST + k
    mac = ":".join(f"{octet:02x}" for octet in (0xFA160000_0000 + number).to_bytes(6, "big"))
    return Port(
        id=PortId(_uuid(0xB0, number)),
        network_id=NetworkId(_uuid(0xA0, network)),
        mac_address=MacAddress(mac),
        port_security_enabled=False,
    )


def _vtep(host: int) -> str:
    return f"10.9.{host // 250}.{host % 250 + 1}"


def _state(site: _Site, host: int) -> HostState:
    objects: list[StateObject] = []
    peers: dict[int, list[NetworkId]] = {}
    for network in site.networks_on(host):
        identity = NetworkId(_uuid(0xA0, network))
        objects.append(
            Network(
                id=identity, network_type=NetworkType.VXLAN, mtu=1450, segmentation_id=SegmentationId(1000 + network)
            )
        )
        objects += [_port(network, host, k) for k in range(PORTS_ON_A_HOST)]
        for other in site.hosts_of(network):
            if other != host:
                peers.setdefault(other, []).append(identity)
                objects += [_neighbour(_port(network, other, k), other) for k in range(PORTS_ON_A_HOST)]
    objects += [
        Peer(host=_name(other), vtep_ip=_vtep(other), tunnel_types=(NetworkType.VXLAN,), network_ids=tuple(shared))
        for other, shared in peers.items()
    ]
    deployment = Deployment(tunnel_mode=TunnelMode.L2POP)
    return HostState(objects={DEPLOYMENT_KEY: deployment} | {obj.key: obj for obj in objects})


def _name(host: int) -> HostName:
    return HostName(f"compute{host:03}")


def _neighbour(port: Port, host: int) -> Neighbour:
    return Neighbour(network_id=port.network_id, mac_address=port.mac_address, host=_name(host), port_id=port.id)


def _view(state: HostState) -> SwitchView:
    ports = list(state.of(Port))
    peers = list(state.of(Peer))
    local = {PATCH_TO_TUNNEL: OfPort(1)} | {qvo(port.id): OfPort(10 + n) for n, port in enumerate(ports)}
    tunnels = {PATCH_TO_INTEGRATION: OfPort(1)} | {
        tunnel_port("vxlan", peer.vtep_ip): OfPort(_FIRST_TUNNEL + n) for n, peer in enumerate(peers)
    }
    return SwitchView(
        ofports={INTEGRATION_BRIDGE: local, TUNNEL_BRIDGE: tunnels},
        interfaces={port.id: qvo(port.id) for port in ports},
        local_vlans={network.id: LocalVlan(n) for n, network in enumerate(state.of(Network), start=1)},
    )


def _write(folder: Path, site: _Site, host: int) -> int:
    """One host's capture; gives the number of its flows."""
    state = _state(site, host)
    view = _view(state)
    folder.mkdir()
    (folder / "hostname").write_text(f"{_name(host)}\n")
    rows = []
    count = 0
    for bridge, flows in render(state, view, Layout(local_ip=_vtep(host))).items():
        lines = [
            f" cookie={f.cookie:#x}, duration=9.5s, table={f.table}, n_packets=1, n_bytes=60, idle_age=3, "
            f"priority={f.priority}{',' + f.match if f.match else ''} actions={f.actions}"
            for f in flows.desired.values()
        ]
        count += len(lines)
        (folder / f"dump-flows_{bridge}").write_text("NXST_FLOW reply (xid=0x4):\n" + "\n".join(lines) + "\n")
        names = view.ofports[bridge]
        shown = [f" {ofport}({name}): addr:00:00:00:00:00:01" for name, ofport in names.items()]
        (folder / f"ofctl_show_{bridge}").write_text("OFPT_FEATURES_REPLY (xid=0x2)\n" + "\n".join(shown) + "\n")
        rows += [_row(name, int(ofport), bridge, state, host) for name, ofport in names.items()]
    headings = ["name", "type", "ofport", "options", "external_ids"]
    (folder / "ovs-vsctl_list_interface").write_text(json.dumps({"headings": headings, "data": rows}))
    tags = [
        [qvo(port.id), view.local_vlans[port.network_id], ["map", [["net_uuid", port.network_id]]]]
        for port in state.of(Port)
    ]
    (folder / "ovs-vsctl_list_port").write_text(json.dumps({"headings": ["name", "tag", "other_config"], "data": tags}))
    bridges = [[INTEGRATION_BRIDGE, "secure"], [TUNNEL_BRIDGE, "secure"]]
    (folder / "ovs-vsctl_list_bridge").write_text(json.dumps({"headings": ["name", "fail_mode"], "data": bridges}))
    (folder / "ip_addr_host").write_text(
        f"2: eth0: <UP,LOWER_UP> mtu 1500 qdisc noqueue\n    link/ether 02:00:00:00:00:01 brd ff:ff:ff:ff:ff:ff\n"
        f"    inet {_vtep(host)}/16 scope global eth0\n"
    )
    return count


def _row(name: str, ofport: int, bridge: str, state: HostState, host: int) -> list[object]:
    if name in (PATCH_TO_TUNNEL, PATCH_TO_INTEGRATION):
        peer = PATCH_TO_INTEGRATION if name == PATCH_TO_TUNNEL else PATCH_TO_TUNNEL
        return [name, "patch", ofport, ["map", [["peer", peer]]], ["map", []]]
    if bridge == TUNNEL_BRIDGE:
        remote = next(p.vtep_ip for p in state.of(Peer) if tunnel_port("vxlan", p.vtep_ip) == name)
        ends = [["in_key", "flow"], ["local_ip", _vtep(host)], ["out_key", "flow"], ["remote_ip", remote]]
        return [name, "vxlan", ofport, ["map", ends], ["map", []]]
    port = next(p for p in state.of(Port) if qvo(p.id) == name)
    return [name, "", ofport, ["map", []], ["map", [["attached-mac", port.mac_address], ["iface-id", port.id]]]]


def _measured() -> Iterator[tuple[float, float]]:
    """(seconds, megabytes) of one `warren verify`, the whole process on one core."""
    folder = Path(tempfile.mkdtemp(prefix="wb-"))
    try:
        site = _Site()
        flows = sum(_write(folder / _name(host), site, host) for host in range(HOSTS))
        print(f"  {HOSTS} hosts, {flows} flows", file=sys.stderr)
        for _ in range(RUNS):
            started = time.monotonic()
            done = subprocess.run(
                ["taskset", "-c", "0", sys.executable, "-m", "warren", "verify", str(folder)],
                capture_output=True,
                text=True,
                check=False,
            )
            took_s = time.monotonic() - started
            if done.returncode != 0:
                raise Impossible(f"verify finds faults in rendered hosts: {done.stdout[-600:]}{done.stderr[-600:]}")
            yield took_s, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    finally:
        shutil.rmtree(folder)


FIGURES: Final = (
    Figure(
        name="verify-time",
        what="verify 100 hosts of 200 ports, whole process, one core",
        unit="s",
        reach=60,
        peer="no such tool",
        measure=lambda: (took_s for took_s, _ in _measured()),
        needs_root=False,
    ),
    Figure(
        name="verify-memory",
        what="memory of that process at its largest",
        unit="MB",
        reach=2048,
        peer="no such tool",
        measure=lambda: (megabytes for _, megabytes in _measured()),
        needs_root=False,
    ),
)
