"""DHCP servers: `qdhcp-<network>` with its interface, and dnsmasq's arguments and files.

What may change while dnsmasq runs (hosts, options, names) is in files that it reads again at SIGHUP; the rest is on its
command line, where anybody can see with what it runs.
"""

import re
from collections.abc import Iterator
from ipaddress import IPv4Network, ip_address, ip_network
from typing import Final

from warren.core import names
from warren.core.state import Dhcp, DhcpHost, HostState, Network, Port, Subnet
from warren.namespaces import links
from warren.namespaces.settings import Key, Kind, Setting

PROCESS: Final = "dnsmasq"
HOSTS: Final = "host"
OPTIONS: Final = "opts"
NAMES: Final = "addn_hosts"
FILES: Final = (HOSTS, OPTIONS, NAMES)
ON_LINK: Final = "0.0.0.0"  # noqa: S104 - a next hop (RFC 3442), nothing is bound to it
LEASE_S: Final = 86400
HOSTNAME: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)", re.ASCII)
"""RFC 952, RFC 1123. Anything else never reaches dnsmasq's files."""


def render(state: HostState) -> dict[Key, Setting]:
    """Every setting of every DHCP server's namespace on this host, dnsmasq's left out."""
    return dict(setting for dhcp in state.of(Dhcp) for setting in _namespace(state, dhcp))


def servers(state: HostState, directory: str) -> dict[Key, Setting]:
    """Every dnsmasq of this host: its command line and files.

    Args:
        state: what the host should be.
        directory: where the files are; each network has a folder there, named after its id.
    """
    return dict(setting for dhcp in state.of(Dhcp) for setting in _server(state, dhcp, directory))


def _namespace(state: HostState, dhcp: Dhcp) -> Iterator[tuple[Key, Setting]]:
    name = names.dhcp_namespace(dhcp.network_id)
    port, network = state.port(dhcp.port_id), state.network(dhcp.network_id)
    cidrs = links.addresses(state, port) if port else ()
    has_ipv6 = any(":" in cidr for cidr in cidrs)
    yield from links.namespace(name, dhcp.key, forwards=False, has_ipv6=has_ipv6)
    if port and network:
        interface = names.tap(port.id)
        yield from links.link(name, interface, port, network)
        yield from (links.address(name, interface, cidr, port.key) for cidr in cidrs)
        yield from _default_route(name, dhcp, port, network)


def _default_route(name: str, dhcp: Dhcp, port: Port, network: Network) -> Iterator[tuple[Key, Setting]]:
    """So that a host on another subnet of the router can ask for names."""
    own = {fixed.subnet_id for fixed in port.fixed_ips}
    served = [subnet for subnet in network.subnets if subnet.id in own and _served(subnet)]
    by = next((subnet.gateway_ip for subnet in served if _has_gateway_within(subnet)), None)
    if by is not None:
        yield (
            Key(name, Kind.ROUTE, "default"),
            Setting(value=f"via {by}", owner=dhcp.key, reason="its subnet's gateway"),
        )


def _server(state: HostState, dhcp: Dhcp, directory: str) -> Iterator[tuple[Key, Setting]]:
    port, network = state.port(dhcp.port_id), state.network(dhcp.network_id)
    subnets = [subnet for subnet in network.subnets if _served(subnet)] if network else []
    if port is None or network is None or not subnets:
        return
    own = {fixed.ip_address for fixed in port.fixed_ips if ":" not in fixed.ip_address}
    domain = state.deployment.dns_domain
    texts = {
        HOSTS: "".join(_host_line(host, domain) for host in dhcp.hosts if ":" not in host.ip_address),
        OPTIONS: "".join(line for subnet in subnets for line in _options(subnet, network, sorted(own))),
        NAMES: "".join(f"{host.ip_address}\t{_hostname(host)}.{domain} {_hostname(host)}\n" for host in dhcp.hosts),
    }
    name = names.dhcp_namespace(dhcp.network_id)
    folder = f"{directory}/{dhcp.network_id}"
    arguments = _arguments(names.tap(port.id), network, subnets, domain, folder)
    yield Key(name, Kind.PROCESS, PROCESS), Setting(value="\n".join(arguments), owner=dhcp.key, reason="serves DHCP")
    for file, text in texts.items():
        yield Key(name, Kind.FILE, file), Setting(value=text, owner=dhcp.key, reason=f"hosts of {dhcp.key}")


def _served(subnet: Subnet) -> bool:
    return subnet.enable_dhcp and ip_network(subnet.cidr).version == 4


def _has_gateway_within(subnet: Subnet) -> bool:
    return subnet.gateway_ip is not None and ip_address(subnet.gateway_ip) in ip_network(subnet.cidr)


def _arguments(interface: str, network: Network, subnets: list[Subnet], domain: str, folder: str) -> tuple[str, ...]:
    """dnsmasq(8). A static range gives addresses to hosts in the hosts file only."""
    ranges = [IPv4Network(subnet.cidr) for subnet in subnets]
    return (
        "--conf-file=",
        "--no-hosts",
        "--no-resolv",
        "--bind-dynamic",
        f"--interface={interface}",
        "--except-interface=lo",
        f"--pid-file={folder}/pid",
        f"--dhcp-hostsfile={folder}/{HOSTS}",
        f"--dhcp-optsfile={folder}/{OPTIONS}",
        f"--addn-hosts={folder}/{NAMES}",
        f"--dhcp-leasefile={folder}/leases",
        "--dhcp-authoritative",
        "--dhcp-ignore=tag:!known",
        f"--dhcp-lease-max={min(sum(each.num_addresses for each in ranges), 1 << 24)}",
        f"--dhcp-option-force=option:mtu,{network.mtu}",
        f"--domain={domain}",
        f"--local=/{domain}/",
        "--quiet-dhcp",
        *(
            f"--dhcp-range=set:subnet-{subnet.id},{each.network_address},static,{each.netmask},{LEASE_S}s"
            for subnet, each in zip(subnets, ranges, strict=True)
        ),
    )


def _hostname(host: DhcpHost) -> str:
    given = host.hostname.partition(".")[0]
    return given if HOSTNAME.fullmatch(given) else "host-" + host.ip_address.replace(".", "-").replace(":", "-")


def _host_line(host: DhcpHost, domain: str) -> str:
    return f"{host.mac_address},{host.ip_address},{_hostname(host)}.{domain}\n"


def _options(subnet: Subnet, network: Network, own: list[str]) -> Iterator[str]:
    """Options of one subnet. With classless routes (RFC 3442) a client ignores option 3, so they repeat the default."""
    tag = f"tag:subnet-{subnet.id}"
    servers = [server for server in subnet.dns_nameservers if ":" not in server] or own
    yield f"{tag},option:dns-server,{','.join(servers)}\n"
    routes = [part for route in subnet.host_routes for part in (route.destination, route.nexthop)]
    for sibling in network.subnets:
        if sibling.id != subnet.id and ip_network(sibling.cidr).version == 4:
            routes += [sibling.cidr, ON_LINK]
    if routes:
        if subnet.gateway_ip and "0.0.0.0/0" not in routes:
            routes += ["0.0.0.0/0", subnet.gateway_ip]
        yield f"{tag},option:classless-static-route,{','.join(routes)}\n"
        yield f"{tag},249,{','.join(routes)}\n"
    yield f"{tag},option:router,{subnet.gateway_ip}\n" if subnet.gateway_ip else f"{tag},option:router\n"
