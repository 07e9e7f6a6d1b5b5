"""The cables: links between hosts and the two Linux bridges in the underlay's namespace.

`underlay` carries the tunnels (each host's eth0), `external` is the LAN outside (each host's eth1, the world's eth0).
No link ever exists in the machine's own network namespace: each is made in the underlay's, its far end in the host's.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from warren.lab.directory import LabDirectory
from warren.lab.host import Place
from warren.lab.machine import datapath_type
from warren.lab.manifest import Made
from warren.lab.plan import UNDERLAY, WORLD, WORLD_ADDRESS, HostPlan

UNDERLAY_NIC: Final = "eth0"
EXTERNAL_NIC: Final = "eth1"


def connect(lab: LabDirectory, places: Mapping[str, Place]) -> None:
    """Make the bridges and every link, with addresses.

    Raises:
        Rejected: a command failed.
    """
    underlay = places[UNDERLAY]
    lab.manifest.will_make(*_noted(lab))
    underlay.must("ip", "-batch", "-", stdin="\n".join(_links(lab, places)) + "\n")
    for host in lab.plan.hosts:
        places[host.name].must("sh", "-ec", _host_script(host))
    # Frames of a kernel's own TCP come without checksum through a veth; a switch in userspace would pass them on so.
    places[WORLD].must(
        "sh", "-ec", f"ip addr add {WORLD_ADDRESS}/24 dev eth0; ip link set eth0 up; ethtool -K eth0 tx off >/dev/null"
    )


def _noted(lab: LabDirectory) -> Iterator[Made]:
    """Bridges, and each cable's both ends by the one in the host."""
    for bridge in ("underlay", "external"):
        yield Made(kind="link", name=bridge, where=UNDERLAY)
    for host in lab.plan.hosts:
        yield Made(kind="link", name=UNDERLAY_NIC, where=host.name)
        yield Made(kind="link", name=EXTERNAL_NIC, where=host.name)
    yield Made(kind="link", name="eth0", where=WORLD)


def _links(lab: LabDirectory, places: Mapping[str, Place]) -> Iterator[str]:
    """Lines of `ip -batch`, for the underlay's namespace."""
    for bridge in ("underlay", "external"):
        yield f"link add {bridge} type bridge forward_delay 0 stp_state 0 mcast_snooping 0"
        yield f"link set {bridge} up"
    for host in lab.plan.hosts:
        yield from _link(host.name, UNDERLAY_NIC, "underlay", places[host.name])
        yield from _link(host.name, EXTERNAL_NIC, "external", places[host.name])
    yield from _link(WORLD, "eth0", "external", places[WORLD])


def _link(host: str, nic: str, bridge: str, place: Place) -> Iterator[str]:
    yield f"link add {host}-{nic} type veth peer name {nic} netns {place.holder_pid}"
    yield f"link set {host}-{nic} master {bridge} up"


def _host_script(host: HostPlan) -> str:
    if datapath_type() == "system":
        lines = [f"ip addr add {host.vtep_ip}/24 dev {UNDERLAY_NIC}"]
    else:
        lines = [f"ethtool -K {nic} tx off >/dev/null" for nic in (UNDERLAY_NIC, EXTERNAL_NIC)]
        # The agent puts the tunnel address on the bridge that has eth0. The kernel sees the NIC's frames as well as the
        # switch does and must not answer tunnel packets that are not for it: no port is open there.
        lines.append(f"iptables -t raw -A PREROUTING -i {UNDERLAY_NIC} -j DROP")
    if host.external_ip:
        lines.append(f"ip addr add {host.external_ip}/24 dev {EXTERNAL_NIC}")
    lines += [f"ip link set {UNDERLAY_NIC} up", f"ip link set {EXTERNAL_NIC} up"]
    if host.external_ip:
        lines.append(f"ip route add default via {WORLD_ADDRESS}")
    return "\n".join(lines)
