"""What several experiments ask and do: ports that matter, pings, packets seen by the real switch."""

import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import partial

from warren.core import names
from warren.core.errors import Unreachable
from warren.core.ids import NetworkId, PortId, RouterId
from warren.core.state import OWNER_DHCP, Plug
from warren.lab import api
from warren.lab.experiments.scene import Scene
from warren.lab.experiments.sight import HostSight, Sight
from warren.lab.experiments.tables import Entry, difference, port_packets
from warren.lab.experiments.trace import Trace, read_trace
from warren.lab.instances import Instance, Kind
from warren.pipeline.cookies import LEARNED

WITHIN_S = 60.0
ARRIVAL_S = 5.0
"""How long a frame may be on its way through a tunnel between hosts that share a busy machine."""


def listed(found: Mapping[str, object]) -> str:
    """What was found of each, for people: `qr-… 192.168.5.1/24, qg-… 203.0.113.100/24`."""
    return ", ".join(f"{name} {value}" for name, value in found.items())


def peers_of(scene: Scene, name: str) -> dict[str, str]:
    """The other hosts, each with the name of the tunnel port that leads there."""
    return {
        peer.name: names.tunnel_port(scene.tunnel, peer.vtep_ip) for peer in scene.lab.plan.hosts if peer.name != name
    }


def port_of(scene: Scene, owner: str) -> api.Port:
    """The one port of an owner: the DHCP server's, the router's interface or gateway.

    Raises:
        Unreachable: there is none in time.
    """
    return api.wait_until(
        lambda: next(iter(scene.client.ports(device_owner=owner)), None), f"A port of {owner}", WITHIN_S
    )


def wait_active(scene: Scene, *owners: str) -> None:
    """Wait until the ports of these owners exist and are ACTIVE.

    Raises:
        Unreachable: not in time.
    """
    for owner in owners:
        what = f"A port of {owner} becoming ACTIVE"
        api.wait_until(partial(_is_active, scene, owner), what, WITHIN_S)


def _is_active(scene: Scene, owner: str) -> bool:
    ports = scene.client.ports(device_owner=owner)
    return bool(ports) and all(port.status == "ACTIVE" for port in ports)


def tenant(scene: Scene) -> api.Network:
    """The tenant network that experiment 2 made."""
    assert scene.objects.tenant is not None
    return scene.objects.tenant


def router_namespace(scene: Scene) -> str:
    """The namespace of the router that experiment 2 made."""
    assert scene.objects.router is not None
    return names.router_namespace(RouterId(scene.objects.router.id))


def dhcp_namespace(scene: Scene) -> str:
    """The namespace of the tenant network's DHCP server."""
    return names.dhcp_namespace(NetworkId(tenant(scene).id))


def is_filtered(scene: Scene) -> bool:
    """Whether the lab's plug enforces security groups: `ovs` does not yet."""
    return scene.lab.plan.plug is Plug.HYBRID


def local_vlan(scene: Scene, name: str, interface: str) -> int:
    """The tag that a port of br-int has on a host: its network's local VLAN there."""
    text = scene.places[name].must("ovs-vsctl", "get", "Port", interface, "tag").strip()
    return int(text) if text.isdigit() else 0


def on_switch(scene: Scene, instance: Instance) -> str:
    """The interface by which an instance is on br-int."""
    port = PortId(instance.port_id)
    return names.qvo(port) if scene.lab.plan.plug is Plug.HYBRID else names.tap(port)


def ping_words(scene: Scene, name: str, address: str, count: int = 5) -> tuple[str, ...]:
    """A ping that suits what the place has; `count` echo requests, quickly where it can."""
    instance = scene.objects.instances.get(name)
    quick = () if instance and instance.kind is Kind.QEMU else ("-i", "0.1")
    return ("ping", "-c", str(count), *quick, "-W", "2", address)


def received(output: str) -> int:
    """How many answers a ping says that it received; iputils and busybox word it alike enough."""
    found = re.search(r"(\d+) (?:packets )?received", output)
    return int(found[1]) if found else 0


def answers(count: int) -> str:
    """In words: `1 answer`, `5 answers`."""
    return f"{count} answer{'' if count == 1 else 's'}"


def claim_answered(scene: Scene, claim: str, output: str, count: int, save_as: str) -> None:
    """Claim that a ping of `count` echo requests had as many answers; what it printed is the evidence."""
    seen = received(output)
    scene.claim(
        claim,
        held=seen == count,
        expected=answers(count),
        observed=answers(seen),
        evidence=scene.save(save_as, output),
    )


def trace(scene: Scene, host: str, bridge: str, flow: str, save_as: str) -> tuple[Trace, str]:
    """Ask the real switch what it would do with a frame; gives the answer and its file."""
    scene.step(f"[{host}] ovs-appctl ofproto/trace {bridge} '{flow}'")
    answer = read_trace(scene.places[host].must("ovs-appctl", "ofproto/trace", bridge, flow))
    return answer, scene.save(f"{host}/{save_as}", answer.text)


def icmp(source: str, destination: str, ends: tuple[str, str]) -> str:
    """An echo request as ofproto/trace takes it: MAC addresses and IP addresses."""
    return (
        f"icmp,dl_src={source},dl_dst={destination},nw_src={ends[0]},nw_dst={ends[1]},nw_ttl=64,icmp_type=8,icmp_code=0"
    )


def counted_between(old: Entry | None, new: Entry | None) -> int:
    """Packets that an entry counted from one moment to another."""
    if new is None:
        return 0
    # An entry that expired in between was learned anew, and counts from zero.
    return new.n_packets - old.n_packets if old and old.n_packets <= new.n_packets else new.n_packets


def arp_answers(sight: HostSight, address: str) -> int:
    """Requests for an address that table 21 has answered so far (mode l2pop)."""
    return sum(entry.n_packets for entry in sight.tunnels if entry.table == 21 and f"arp_tpa={address}" in entry.match)


def learned_macs(sight: HostSight) -> dict[str, tuple[str, ...]]:
    """MAC -> ports that it was learned behind."""
    return {entry.mac: entry.outputs for entry in sight.learned}


def wait_received(scene: Scene, before: Sight, count: int) -> None:
    """Wait until each tunnel port of each host received `count` packets more; what never comes a claim will say."""

    def has_come(name: str, port: str) -> bool:
        shown = port_packets(scene.places[name].must("ovs-ofctl", "dump-ports", "br-tun", port), {})
        return all(received - before[name].packets[port][0] >= count for received, _ in shown.values())

    for name in scene.places:
        for port in peers_of(scene, name).values():
            with suppress(Unreachable):
                api.wait_until(partial(has_come, name, port), "", ARRIVAL_S)


def wait_forgotten(scene: Scene, hosts: Iterable[str], since: Sight) -> dict[str, float]:
    """Wait until these hosts' table 20 has no learned entry.

    Gives how many seconds after `since` that was seen of each; a host of which it was not seen in time is left out.
    """
    waiting, after_s = list(hosts), dict[str, float]()

    def are_all_so() -> bool:
        for host in tuple(waiting):
            dump = scene.places[host].must("ovs-ofctl", "dump-flows", "br-tun", f"cookie={LEARNED:#x}/-1,table=20")
            if "dl_dst" not in dump:
                waiting.remove(host)
                after_s[host] = time.monotonic() - since.began_s
        return not waiting

    with suppress(Unreachable):
        api.wait_until(are_all_so, "", WITHIN_S + scene.lab.plan.ageing_s, every_s=0.3)
    return after_s


def vlan_of_tenant(scene: Scene, host: str) -> int:
    """The tenant network's local VLAN on the host that has its DHCP port."""
    return local_vlan(scene, host, names.tap(PortId(port_of(scene, OWNER_DHCP).id)))


def changed_only_by_learning(before: Sight, after: Sight) -> dict[str, list[str]]:
    """Host -> flows of br-tun that came or went and were not learned; hosts without any are left out."""
    found = {name: difference(before[name].tunnels, sight.tunnels) for name, sight in after.hosts.items()}
    return {
        name: [entry.text for entry in (*change.added, *change.removed) if not entry.is_learned]
        for name, change in found.items()
        if not change.is_only_learning
    }
