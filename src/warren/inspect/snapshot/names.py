"""What the Networking API calls the things on the hosts, and the hosts: networks, ports, routers, floating IPs by id.

Read from JSON as an API answers it. Nothing here is required: without names, ids and addresses are shown.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from warren.inspect.snapshot.text import harmless, ip_of, mac_of


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedNetwork:
    """A network of the API."""

    id: str
    name: str = ""
    network_type: str = ""
    segmentation_id: int | None = None
    mtu: int = 0
    is_external: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedPort:
    """A port of the API."""

    id: str
    name: str = ""
    network_id: str = ""
    mac: str = ""
    ips: tuple[str, ...] = ()
    device_owner: str = ""
    device_id: str = ""
    host: str = ""
    status: str = ""
    is_enabled: bool = True
    """`admin_state_up`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRouter:
    """A router of the API."""

    id: str
    name: str = ""
    has_source_nat: bool | None = None
    """Whether what leaves by its gateway gets the gateway's address (`enable_snat`); `None` where it has no gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFloatingIp:
    """A floating IP of the API and what it stands for."""

    id: str
    address: str
    fixed_address: str = ""
    port_id: str = ""
    router_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """All that the API told, by id; empty where nobody asked it."""

    networks: Mapping[str, NamedNetwork] = field(default_factory=lambda: MappingProxyType({}))
    ports: Mapping[str, NamedPort] = field(default_factory=lambda: MappingProxyType({}))
    routers: Mapping[str, NamedRouter] = field(default_factory=lambda: MappingProxyType({}))
    floating_ips: Mapping[str, NamedFloatingIp] = field(default_factory=lambda: MappingProxyType({}))
    hosts: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Tunnel address -> host, as the agents of the hosts told; only an administrator is shown them."""
    is_known: bool = False
    """The API was asked: what is not in here does not exist."""

    def network(self, network_id: str) -> str:
        """`'red'` where the network has a name, else its id."""
        found = self.networks.get(network_id)
        return f"'{found.name}'" if found and found.name else network_id

    def port(self, port_id: str) -> str:
        found = self.ports.get(port_id)
        return f"'{found.name}'" if found and found.name else port_id


def read_names(answer: Mapping[str, Any]) -> Names:
    """An API's answers under `networks`, `ports`, `routers`, `floatingips`, `agents`, each a list or its own answer."""
    return Names(
        networks={item["id"]: _network(item) for item in _items(answer, "networks")},
        ports={item["id"]: _port(item) for item in _items(answer, "ports")},
        routers={item["id"]: _router(item) for item in _items(answer, "routers")},
        floating_ips={item["id"]: _floating_ip(item) for item in _items(answer, "floatingips")},
        hosts=dict(_tunnel_addresses(answer)),
        is_known=bool("networks" in answer and "ports" in answer),
    )


def _items(answer: Mapping[str, Any], key: str) -> Iterator[Mapping[str, Any]]:
    """Objects under a key; `{"networks": [{"networks": [...]}]}`, pages as they came, as well."""
    found = answer.get(key, [])
    for item in found if isinstance(found, list) else [found]:
        if isinstance(item, dict) and isinstance(item.get("id"), str):
            yield {**item, "id": harmless(item["id"])}
        elif isinstance(item, dict) and isinstance(item.get(key), list):
            yield from _items(item, key)


def _tunnel_addresses(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for agent in _items(answer, "agents"):
        configurations, host = agent.get("configurations"), _text(agent, "host")
        address = ip_of(_text(configurations, "tunneling_ip")) if isinstance(configurations, dict) else ""
        if address and host:
            yield address, host


def _text(item: Mapping[str, Any], key: str) -> str:
    value = item.get(key)
    return harmless(value) if isinstance(value, str) else ""


def _network(item: Mapping[str, Any]) -> NamedNetwork:
    segmentation_id, mtu = item.get("provider:segmentation_id"), item.get("mtu")
    return NamedNetwork(
        id=item["id"],
        name=_text(item, "name"),
        network_type=_text(item, "provider:network_type"),
        segmentation_id=segmentation_id if isinstance(segmentation_id, int) else None,
        mtu=mtu if isinstance(mtu, int) else 0,
        is_external=item.get("router:external") is True,
    )


def _router(item: Mapping[str, Any]) -> NamedRouter:
    gateway = item.get("external_gateway_info")
    has_source_nat = gateway.get("enable_snat") if isinstance(gateway, dict) else None
    return NamedRouter(
        id=item["id"],
        name=_text(item, "name"),
        has_source_nat=has_source_nat if isinstance(has_source_nat, bool) else None,
    )


def _port(item: Mapping[str, Any]) -> NamedPort:
    return NamedPort(
        id=item["id"],
        name=_text(item, "name"),
        network_id=_text(item, "network_id"),
        mac=mac_of(_text(item, "mac_address")),
        ips=tuple(_ips(item)),
        device_owner=_text(item, "device_owner"),
        device_id=_text(item, "device_id"),
        host=_text(item, "binding:host_id"),
        status=_text(item, "status"),
        is_enabled=item.get("admin_state_up") is not False,
    )


def _ips(item: Mapping[str, Any]) -> Iterator[str]:
    fixed = item.get("fixed_ips")
    for each in fixed if isinstance(fixed, list) else ():
        if isinstance(each, dict) and (ip := ip_of(_text(each, "ip_address"))):
            yield ip


def _floating_ip(item: Mapping[str, Any]) -> NamedFloatingIp:
    return NamedFloatingIp(
        id=item["id"],
        address=ip_of(_text(item, "floating_ip_address")),
        fixed_address=ip_of(_text(item, "fixed_ip_address")),
        port_id=_text(item, "port_id"),
        router_id=_text(item, "router_id"),
    )
