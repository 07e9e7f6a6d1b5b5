"""What came of asking for the MAC address of a next hop by ARP: the address, or where the question was lost."""

from dataclasses import dataclass, replace

from warren.inspect.path.blame import Wanted, blame
from warren.inspect.path.endpoint import unplugged
from warren.inspect.path.hop import Verdict
from warren.inspect.path.walk import Aim, Walk
from warren.inspect.snapshot.model import Host


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks for the MAC address of a next hop, and the interface's own."""

    host: Host
    place: str
    mac: str


def told(walk: Walk, asked: Walk, asker: Asker, ip: str, mac: str, parent: int) -> tuple[str, int]:
    """What came of asking: the address, or the way on which the question or its answer was lost."""
    walk.learned += asked.learned
    if mac:
        return mac, _answered(walk, asked, asker, ip, mac, parent)
    index = walk.hop(parent, asker.host, asker.place, f"asks for {ip} by ARP and nobody answers")
    holders = walk.world.holders
    holder = next(iter(holders.of(ip, holders.network(asker.host.name, asker.mac))), None)
    if holder is None:
        elsewhere = {found.host for found in holders.by_ip.get(ip, ())}
        mend = f"{ip} is on another network, on {', '.join(sorted(elsewhere))}: see which route leads here"
        nobody = unplugged(ip, walk.world.topology) or f"nothing that was captured has {ip}"
        walk.end(index, Verdict.DROPPED_NO_NEIGHBOUR, mend if elsewhere else nobody)
        return "", index
    lost_on = Wanted(host=asker.host.name) if asked.accepted else Wanted(host=holder.host, port=holder.port)
    for hop in asked.way_to(blame(asked, lost_on)):
        walk.hops.append(replace(hop, what=f"ARP: {hop.what}", parent=index))
        index = len(walk.hops) - 1
    end = walk.hops[index].end
    if end is None or end.is_success or end is Verdict.DROPPED_NOT_FOR_US:
        walk.end(index, Verdict.DROPPED_NO_NEIGHBOUR, f"{ip} is on {holder.host}; see why it does not answer")
    return "", index


def _answered(walk: Walk, asked: Walk, asker: Asker, ip: str, mac: str, parent: int) -> int:
    """The hop that was told an address; the flow before it that told it, where it was none of the address's holders."""
    learns = next((i for i, hop in enumerate(asked.hops) if hop.end is Verdict.DELIVERED), -1)
    told_by = [hop for hop in asked.way_to(learns) if hop.writes_arp]
    if told_by:
        parent = walk.hop(parent, asker.host, asker.place, f"asks for {ip} by ARP")
        walk.hops.append(replace(told_by[-1], what=f"answers ARP: {ip} is at {mac}", parent=parent))
        blamed = len(walk.hops) - 1
        index = walk.hop(blamed, asker.host, asker.place, f"is told {mac}")
    else:
        index = blamed = walk.hop(parent, asker.host, asker.place, f"asks for {ip} by ARP and is told {mac}")
    mend = f"the MAC address of who has {ip}, in this flow"
    walk.aims[index] = Aim(ip=ip, mac=mac, host=asker.host.name, sent_from=asker.mac, blamed=blamed, mend=mend)
    return index
