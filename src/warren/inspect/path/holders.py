"""Who has an address: everything captured that would answer for it, told apart by network."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from warren.core.names import INTEGRATION_BRIDGE
from warren.inspect.path.endpoint import instance
from warren.inspect.path.topology import SwitchPort, Topology
from warren.inspect.snapshot.model import HOST_NAMESPACE

_OUTSIDE: Final = "outside"
"""Stands for the networks that routers' gateways are on: they and the hosts' own addresses are on one LAN."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """An interface with an address; `port` is the switch port that leads to it, or its own name."""

    host: str
    port: str
    ip: str
    mac: str
    network: str = ""
    """The network's id; empty where nothing tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """Holders by address. Two tenants may have one address on two networks."""

    by_ip: Mapping[str, tuple[Holder, ...]]
    by_mac: Mapping[tuple[str, str], Holder]

    def network(self, host: str, mac: str) -> str:
        """The network that an interface of a host is on."""
        found = self.by_mac.get((host, mac))
        return found.network if found else ""

    def of(self, ip: str, network: str) -> tuple[Holder, ...]:
        """Who may answer for an address on a network."""
        return tuple(h for h in self.by_ip.get(ip, ()) if not network or h.network in ("", network))

    def inside(self, ip: str) -> tuple[Holder, ...]:
        """Who has an address on a tenant's network."""
        return tuple(h for h in self.by_ip.get(ip, ()) if h.network != _OUTSIDE and not h.port.startswith("qg-"))


def holders_of(topology: Topology) -> Holders:
    """All holders of an estate."""
    by_ip: dict[str, list[Holder]] = defaultdict(list)
    by_mac: dict[tuple[str, str], Holder] = {}
    for holder in (*_on_networks(topology), *_of_hosts(topology)):
        by_ip[holder.ip].append(holder)
        by_mac.setdefault((holder.host, holder.mac), holder)
    return Holders(by_ip={ip: tuple(found) for ip, found in by_ip.items()}, by_mac=by_mac)


def _on_networks(topology: Topology) -> Iterator[Holder]:
    """Interfaces that br-int leads to: of instances, routers and DHCP servers."""
    names = topology.estate.names
    ports = [p for p in topology.switch_ports.values() if p.bridge.name == INTEGRATION_BRIDGE and p.port.port_id]
    outside = {p.port.network(names) for p in ports if p.port.name.startswith("qg-")} - {""}
    for port in ports:
        network = port.port.network(names)
        ips, mac = _addresses(port, topology)
        for ip in ips or ("",):
            yield Holder(
                host=port.host.name, port=port.port.name, ip=ip, mac=mac,
                network=_OUTSIDE if network in outside else network,
            )  # fmt: skip


def _addresses(port: SwitchPort, topology: Topology) -> tuple[tuple[str, ...], str]:
    if port.port.type != "internal":
        endpoint = instance(port, topology)
        return endpoint.ips, endpoint.mac
    interface = topology.interface_of(port)
    return (tuple(a.ip for a in interface.link.addresses), interface.link.mac) if interface else ((), "")


def _of_hosts(topology: Topology) -> Iterator[Holder]:
    for host in topology.estate.hosts:
        namespace = host.namespace(HOST_NAMESPACE)
        for link in namespace.links if namespace else ():
            for address in link.addresses:
                yield Holder(host=host.name, port=link.name, ip=address.ip, mac=link.mac, network=_OUTSIDE)
