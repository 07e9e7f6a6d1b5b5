"""Where frames go: table 61 to the port that has the address, table 62 to many.

OVS never outputs a frame to the port it came in by, so a flood list names every port of the network.
"""

from collections.abc import Iterable, Iterator

from warren.core.ids import MacAddress
from warren.pipeline.br_int.spoofing import macs
from warren.pipeline.br_int.tables import LOCAL_MAC_DIRECT, TRANSIENT_EGRESS
from warren.pipeline.cookies import Concern
from warren.pipeline.flow import TO_MANY, TO_ONE, Flow, Why, flow, number
from warren.pipeline.wiring import WiredNetwork, WiredPort, Wiring


def forwarding(wiring: Wiring) -> Iterator[Flow]:
    """Tables 61 and 62 for every wired network."""
    for network in wiring.networks:
        yield from _direct(network)
        yield from _flood(network)


def _direct(network: WiredNetwork) -> Iterator[Flow]:
    own = {wired.port.mac_address: wired for wired in network.ports}
    for mac, wired in own.items():
        why = Why(
            concern=Concern.FORWARDING,
            obj=wired.port.id,
            owner=wired.port.key,
            reason=f"port {wired.port.id} has {mac}",
        )
        yield flow(LOCAL_MAC_DIRECT, 12, _to(network, mac), f"output:{wired.ofport}", why)
    for mac, sharers in _shared(network).items():
        if mac not in own:
            yield _to_sharers(network, mac, sharers)


def _shared(network: WiredNetwork) -> dict[MacAddress, list[WiredPort]]:
    shared: dict[MacAddress, list[WiredPort]] = {}
    for wired in network.ports:
        for mac in macs(wired.port):
            if mac != wired.port.mac_address:
                shared.setdefault(mac, []).append(wired)
    return shared


def _to_sharers(network: WiredNetwork, mac: MacAddress, sharers: list[WiredPort]) -> Flow:
    """An address of allowed address pairs (VRRP): any of the sharers may hold it now, here or on another host."""
    why = Why(
        concern=Concern.FORWARDING,
        obj=network.network.id,
        owner=network.network.key,
        reason=f"{mac} is an allowed address of {len(sharers)} ports here",
    )
    return flow(LOCAL_MAC_DIRECT, 10, _to(network, mac), _outputs(sharers, network), why)


def _flood(network: WiredNetwork) -> Iterator[Flow]:
    def why(what: str) -> Why:
        reason = f"{what} of network {network.network.id}"
        return Why(concern=Concern.FLOOD, obj=network.network.id, owner=network.network.key, reason=reason)

    to_many = _outputs(network.ports, network)
    yield flow(TRANSIENT_EGRESS, 2, _in(network, TO_MANY), to_many, why("broadcast and multicast"))
    trusted = [wired for wired in network.ports if not wired.port.port_security_enabled and not wired.port.is_service]
    if to_one := _outputs(trusted, network):
        yield flow(TRANSIENT_EGRESS, 1, _in(network, TO_ONE), to_one, why("unicast to an unknown address"))


def _outputs(ports: Iterable[WiredPort], network: WiredNetwork) -> str:
    actions = [f"output:{wired.ofport}" for wired in ports]
    if network.uplink is not None:
        actions += [f"mod_vlan_vid:{network.vlan}", f"output:{network.uplink}"]
    return ",".join(actions)


def _in(network: WiredNetwork, match: str) -> str:
    return f"reg6={number(network.vlan)},{match}"


def _to(network: WiredNetwork, mac: MacAddress) -> str:
    return _in(network, f"dl_dst={mac}")
