"""Interfaces, addresses and sysctls that routers' and DHCP servers' namespaces have in common."""

from collections.abc import Iterator
from ipaddress import ip_interface, ip_network
from typing import Final

from warren.core.state import HostState, Network, Port
from warren.namespaces.settings import Key, Kind, Setting

COMMON: Final = {
    "net/ipv4/conf/all/arp_ignore": "1",  # answer ARP only for addresses of the interface that was asked
    "net/ipv4/conf/all/arp_announce": "2",  # and ask with an address of the interface that asks
    "net/ipv4/conf/all/rp_filter": "0",  # floating and extra routes make paths asymmetric; br-int stops spoofing
    "net/ipv4/conf/default/rp_filter": "0",
    "net/ipv4/conf/all/promote_secondaries": "1",  # removing an address must not remove its neighbours
    "net/ipv6/conf/all/accept_ra": "0",
    "net/ipv6/conf/default/accept_ra": "0",
    "net/ipv6/conf/default/autoconf": "0",
}
FORWARDING: Final = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
LOOKUPS: Final = {
    "ipv4": "pref 0 lookup local\npref 32766 lookup main\npref 32767 lookup default",
    "ipv6": "pref 0 lookup local\npref 32766 lookup main",
}
"""Routing policy rules as the kernel makes them with a namespace; others would take packets past its routes."""
IPV6_OFF: Final = ("net/ipv6/conf/all/disable_ipv6", "net/ipv6/conf/default/disable_ipv6")
SYSCTLS: Final = (*COMMON, *FORWARDING, *IPV6_OFF)
"""Every sysctl that a namespace of Warren's has set, before an interface is in it."""


def own_sysctls(interface: str, *, forwards: bool) -> dict[str, str]:
    """What an interface in a namespace of Warren's has by itself: as its namespace, so nothing sets it anew."""
    of_interface = f"net/ipv4/conf/{interface}"
    return {f"{of_interface}/forwarding": "1" if forwards else "0", f"{of_interface}/rp_filter": "0"}


def addresses(state: HostState, port: Port) -> tuple[str, ...]:
    """Fixed addresses of a port with the prefix lengths of their subnets, `10.0.0.1/24`."""
    network = state.network(port.network_id)
    cidrs = {subnet.id: subnet.cidr for subnet in network.subnets} if network else {}
    return tuple(
        f"{fixed.ip_address}/{ip_network(cidrs[fixed.subnet_id]).prefixlen}"
        for fixed in port.fixed_ips
        if fixed.subnet_id in cidrs
    )


def namespace(name: str, owner: str, *, forwards: bool, has_ipv6: bool) -> Iterator[tuple[Key, Setting]]:
    """The namespace itself and its sysctls. IPv6 is off in it unless one of its interfaces has such an address."""
    yield Key(name, Kind.NAMESPACE, name), Setting(owner=owner, reason=f"{owner} is on this host")
    sysctls = {
        **dict.fromkeys(IPV6_OFF, "0" if has_ipv6 else "1"),
        **dict.fromkeys(FORWARDING, "1" if forwards else "0"),
        **COMMON,
    }
    for path, value in sysctls.items():
        yield Key(name, Kind.SYSCTL, path), Setting(value=value, owner=owner, reason=f"a namespace of {owner}")
    for family, rules in LOOKUPS.items():
        yield Key(name, Kind.LOOKUP, family), Setting(value=rules, owner=owner, reason=f"the routes of {owner} hold")


def link(name: str, interface: str, port: Port, network: Network) -> Iterator[tuple[Key, Setting]]:
    """An interface of a port in a namespace."""
    direction = "up" if port.admin_state_up else "down"
    value = f"{port.mac_address} mtu {network.mtu} {direction}"
    yield Key(name, Kind.LINK, interface), Setting(value=value, owner=port.key, reason=f"{port.key} is here")


def address(name: str, interface: str, cidr: str, owner: str) -> tuple[Key, Setting]:
    """An address on an interface."""
    key = Key(name, Kind.ADDRESS, f"{interface} {ip_interface(cidr)}")
    return key, Setting(owner=owner, reason=f"{owner} has it")
