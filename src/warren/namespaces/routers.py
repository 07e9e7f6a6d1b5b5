"""Routers' namespaces: `qrouter-<id>` with its interfaces, addresses, routes and translation rules."""

from collections.abc import Iterator
from ipaddress import IPv4Interface, ip_address, ip_interface, ip_network

from warren.core import names
from warren.core.ids import PortId
from warren.core.state import HostState, Network, Port, Router
from warren.namespaces import links, nat
from warren.namespaces.settings import Key, Kind, Setting


def render(state: HostState) -> dict[Key, Setting]:
    """Every setting of every router's namespace on this host. A router that is administratively down has none."""
    return dict(setting for router in state.of(Router) if router.admin_state_up for setting in _router(state, router))


def _router(state: HostState, router: Router) -> Iterator[tuple[Key, Setting]]:
    name = names.router_namespace(router.id)
    attached = [
        (names.router_interface(port.id), port, network)
        for port, network in (_found(state, port_id) for port_id in router.interface_port_ids)
        if port and network
    ]
    gateway, external = _found(state, router.gateway_port_id) if router.gateway_port_id else (None, None)
    outside = names.router_gateway(gateway.id) if gateway and external else None
    if gateway and external and outside:
        attached.append((outside, gateway, external))
    cidrs = {interface: links.addresses(state, port) for interface, port, _ in attached}
    has_ipv6 = any(":" in cidr for each in cidrs.values() for cidr in each)
    yield from links.namespace(name, router.key, forwards=True, has_ipv6=has_ipv6)
    gateway_ip = _first_ipv4(cidrs.get(outside, ())) if outside else None
    for chain, lines in nat.chains(router, outside, gateway_ip).items():
        yield Key(name, Kind.CHAIN, chain), Setting(value=lines, owner=router.key, reason=f"rules of {router.key}")
    for interface, port, network in attached:
        yield from links.link(name, interface, port, network)
        yield from (links.address(name, interface, cidr, port.key) for cidr in cidrs[interface])
    if gateway and external and outside:
        for fip in router.floating_ips:
            yield links.address(name, outside, f"{fip.floating_ip_address}/32", f"floatingip/{fip.id}")
        yield from _external_routes(router, gateway, external, outside)
    for route in router.routes:
        yield _route(router, route.destination, f"via {route.nexthop}", "extra route")


def _found(state: HostState, port_id: PortId) -> tuple[Port | None, Network | None]:
    port = state.port(port_id)
    return port, state.network(port.network_id) if port else None


def _first_ipv4(cidrs: tuple[str, ...]) -> str | None:
    found = (ip_interface(cidr) for cidr in cidrs)
    return next((str(each.ip) for each in found if isinstance(each, IPv4Interface)), None)


def _external_routes(router: Router, gateway: Port, external: Network, interface: str) -> Iterator[tuple[Key, Setting]]:
    """The default by the gateway of the subnet that qg- is on; other subnets of the network on the link."""
    own = {fixed.subnet_id for fixed in gateway.fixed_ips}
    for subnet in external.subnets:
        if subnet.id not in own:
            if ip_network(subnet.cidr).version == 4:
                yield _route(router, subnet.cidr, f"dev {interface}", "a further subnet of the external network")
            continue
        if subnet.gateway_ip is None:
            continue
        if ip_address(subnet.gateway_ip) not in ip_network(subnet.cidr):
            yield _route(router, subnet.gateway_ip, f"dev {interface}", "a gateway outside of its subnet")
        default = "default" if ip_address(subnet.gateway_ip).version == 4 else "::/0"
        yield _route(router, default, f"via {subnet.gateway_ip}", f"gateway of subnet {subnet.id}")


def _route(router: Router, destination: str, by: str, reason: str) -> tuple[Key, Setting]:
    """A route under the name that `ip route` gives to its destination."""
    prefix = "default" if destination in ("default", "0.0.0.0/0") else str(ip_network(destination, strict=False))
    key = Key(names.router_namespace(router.id), Kind.ROUTE, prefix)
    return key, Setting(value=by, owner=router.key, reason=reason)
