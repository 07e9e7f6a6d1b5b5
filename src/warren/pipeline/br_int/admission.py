"""How frames come in: table 0 sorts by port, table 60 notes port and network in registers.

A port without flows here is dead. Tagged frames of an instance end in table 60: its ports are access ports.
"""

from collections.abc import Iterator

from warren.core.ids import LocalVlan, OfPort
from warren.pipeline.br_int.tables import (
    ARP_SPOOF,
    LOCAL_MAC_DIRECT,
    LOCAL_SWITCHING,
    MAC_SPOOF,
    NETWORK,
    PORT,
    TRANSIENT,
    UNTAGGED,
)
from warren.pipeline.cookies import Concern
from warren.pipeline.flow import Flow, Why, flow, number
from warren.pipeline.vlans import DEAD
from warren.pipeline.wiring import WiredNetwork, WiredPort, Wiring


def admission(wiring: Wiring) -> Iterator[Flow]:
    """Tables 0 and 60 for patch-tun and for networks behind an uplink."""
    yield flow(
        LOCAL_SWITCHING,
        65535,
        f"dl_vlan={DEAD}",
        "drop",
        Why(concern=Concern.FRAME, reason="the tag of ports that are not wired leads nowhere"),
    )
    if wiring.view.patch_tun:
        yield flow(
            LOCAL_SWITCHING,
            1,
            f"in_port={wiring.view.patch_tun}",
            f"resubmit(,{TRANSIENT.id})",
            Why(concern=Concern.FRAME, reason="frames from the tunnels carry their local VLAN"),
        )
    for network in wiring.networks:
        yield from _from_uplink(network)


def admitted(wired: WiredPort) -> Iterator[Flow]:
    """Tables 0 and 60 for one port."""
    port = wired.port
    why = Why(
        concern=Concern.ADMISSION,
        obj=port.id,
        owner=port.key,
        reason=f"port {port.id} is at {wired.ofport} and on network {wired.network.id}",
    )
    if wired.is_guarded:
        to_arp = f"resubmit(,{ARP_SPOOF.id})"
        yield flow(LOCAL_SWITCHING, 10, f"icmp6,in_port={wired.ofport},icmp_type=136", to_arp, why)
        yield flow(LOCAL_SWITCHING, 10, f"arp,in_port={wired.ofport}", to_arp, why)
        yield flow(LOCAL_SWITCHING, 9, f"in_port={wired.ofport}", f"resubmit(,{MAC_SPOOF.id})", why)
    else:
        yield flow(LOCAL_SWITCHING, 9, f"in_port={wired.ofport}", f"resubmit(,{TRANSIENT.id})", why)
    yield flow(TRANSIENT, 100, f"in_port={wired.ofport},{UNTAGGED}", noted(wired.ofport, wired.vlan), why)


def _from_uplink(network: WiredNetwork) -> Iterator[Flow]:
    if network.uplink is None:
        return
    yield flow(
        TRANSIENT,
        90,
        f"in_port={network.uplink},dl_vlan={network.vlan}",
        f"strip_vlan,{noted(network.uplink, network.vlan)}",
        Why(
            concern=Concern.ADMISSION,
            obj=network.network.id,
            owner=network.network.key,
            reason=f"local VLAN {network.vlan} is network {network.network.id}",
        ),
    )


def noted(ofport: OfPort, vlan: LocalVlan) -> str:
    """Actions that note where a frame came from and go on to forwarding."""
    return (
        f"load:{number(ofport)}->NXM_NX_REG{PORT.register}[],load:{number(vlan)}->NXM_NX_REG{NETWORK.register}[],"
        f"resubmit(,{LOCAL_MAC_DIRECT.id})"
    )
