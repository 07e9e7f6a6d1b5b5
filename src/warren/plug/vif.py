"""What a hypervisor's VIF driver does with an instance's interface, as os-vif does it; the agent then wires it.

`hybrid`: tap - Linux bridge qbr - veth qvb, qvo - br-int: iptables can filter on qbr. `ovs`: tap on br-int. No tag
is set: on br-int a port is dead until the agent has flows for it. A second call makes, or removes, what is left to do.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from warren.agent.drivers import netlink, netns
from warren.agent.drivers.command import run
from warren.core import names
from warren.core.ids import MacAddress, PortId
from warren.core.state import Plug

BRIDGE_OPTIONS: Final = ("stp_state", "0", "forward_delay", "0", "ageing_time", "0", "mcast_snooping", "0")
"""A bridge with two ports: nothing to learn, so that a moved instance is never looked for on the wrong side."""
INSTANCE_INTERFACE: Final = "eth0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vif:
    """An instance's interface.

    `namespace` is the network namespace that is the instance; its interface there is `eth0`. Without one the tap is a
    TAP device for a hypervisor. `finishes_frames`: segments and checksums are made in front of the switch, as one in
    userspace needs; the kernel's datapath takes unfinished frames, which is faster.
    """

    port_id: PortId
    mac_address: MacAddress
    mtu_bytes: int
    plug: Plug = Plug.HYBRID
    instance_id: str = ""
    namespace: str | None = None
    finishes_frames: bool = True

    @property
    def on_switch(self) -> str:
        """The interface that is a port of br-int."""
        return names.qvo(self.port_id) if self.plug is Plug.HYBRID else names.tap(self.port_id)


def plug(vif: Vif) -> None:
    """Make an instance's interfaces and put them on br-int.

    Raises:
        Rejected: the kernel or Open vSwitch refused; what was made stays, and a further call goes on from there.
    """
    make(vif)
    port = vif.on_switch
    ids = {
        "iface-id": vif.port_id,
        "attached-mac": vif.mac_address,
        "iface-status": "active",
        "vm-uuid": vif.instance_id or vif.port_id,
    }
    columns = [f"external_ids:{name}={_quoted(value)}" for name, value in ids.items()]
    add = ["--may-exist", "add-port", names.INTEGRATION_BRIDGE, port, "--", "set", "Interface", port]
    run(["ovs-vsctl", "--timeout=10", "--", *add, *columns, f"mtu_request={vif.mtu_bytes}"])


def unplug(vif: Vif) -> None:
    """Take an instance's interfaces away, whichever of them there are."""
    ports = (names.qvo(vif.port_id), names.tap(vif.port_id))
    run(["ovs-vsctl", "--timeout=10", *(word for port in ports for word in ("--", "--if-exists", "del-port", port))])
    present = netlink.read_links()
    for name in (names.qvo(vif.port_id), names.tap(vif.port_id), names.qbr(vif.port_id)):
        if name in present:
            run(["ip", "link", "delete", name])


def make(vif: Vif) -> None:
    """Make what is missing of an instance's interfaces, up, on no switch yet."""
    present, mtu = netlink.read_links(), str(vif.mtu_bytes)
    tap = names.tap(vif.port_id)
    if tap not in present:
        _make_tap(vif, tap)
    if vif.plug is Plug.HYBRID:
        _make_bridge(vif, present)
    run(["ip", "link", "set", tap, "mtu", mtu, "up"])


def _make_tap(vif: Vif, tap: str) -> None:
    """A TAP device, or a veth whose other end is eth0 of the instance."""
    mtu = str(vif.mtu_bytes)
    if vif.namespace is None:
        run(["ip", "tuntap", "add", "dev", tap, "mode", "tap"])
    else:
        far = ["peer", "name", INSTANCE_INTERFACE, "address", vif.mac_address, "mtu", mtu, "netns", vif.namespace]
        run(["ip", "link", "add", tap, "mtu", mtu, "type", "veth", *far])
        if vif.plug is Plug.OVS and vif.finishes_frames:
            with netns.entered(vif.namespace):
                _finish_frames(INSTANCE_INTERFACE)
    _silence(tap)


def _make_bridge(vif: Vif, present: dict[str, netlink.Link]) -> None:
    qbr, qvb, qvo = names.qbr(vif.port_id), names.qvb(vif.port_id), names.qvo(vif.port_id)
    mtu = str(vif.mtu_bytes)
    if qbr not in present:
        run(["ip", "link", "add", qbr, "type", "bridge", *BRIDGE_OPTIONS])
    if qvo not in present:
        run(["ip", "link", "add", qvo, "mtu", mtu, "type", "veth", "peer", "name", qvb, "mtu", mtu])
    if vif.finishes_frames:
        _finish_frames(qvb)
    for name in (qbr, qvb, qvo):
        _silence(name)
    for name in (names.tap(vif.port_id), qvb):
        run(["ip", "link", "set", name, "master", qbr])
    for name in (qbr, qvb, qvo):
        run(["ip", "link", "set", name, "up"])


def _finish_frames(interface: str) -> None:
    """The last interface in front of the switch makes segments and checksums: one in userspace would leave them undone.

    With the hybrid plug that is qvb: until there a bridge and its iptables see up to 64 KB as one frame.
    """
    run(["ethtool", "-K", interface, "tx", "off"])


def _silence(interface: str) -> None:
    """No IPv6 of the host's own on an instance's interface: it would answer every flooded frame."""
    Path(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6").write_text("1")


def _quoted(value: str) -> str:
    """A string as ovs-vsctl(8) takes it, whatever it contains."""
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
