"""Which addresses a port gets. Pure: the answer is a proposal; the database's unique constraint decides.

Addresses are given lowest first, so that a small network reads well.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import TypeAlias

from warren.core.errors import Conflict, Invalid
from warren.core.ids import MacAddress
from warren.core.state import FixedIp
from warren.server import model
from warren.server.context import new_mac
from warren.server.indexes import (
    PORTS_BY_ADDRESS,
    PORTS_BY_ADDRESS_BLOCK,
    PORTS_BY_MAC,
    SUBNETS_BY_NETWORK,
    in_open_blocks,
)
from warren.server.model import Pool
from warren.server.snapshot import Snapshot

Wanted: TypeAlias = tuple[str | None, str | None]
"""An address as a client asks for it: by subnet id, by address, or both."""


def default_gateway(cidr: str) -> str | None:
    """The first host address; a /31 or /32 has room for none."""
    network = IPv4Network(cidr)
    return str(network.network_address + 1) if network.num_addresses > 2 else None


def default_pools(cidr: str, gateway_ip: str | None) -> tuple[Pool, ...]:
    """All host addresses but the gateway's."""
    network = IPv4Network(cidr)
    first, last = int(network.network_address), int(network.broadcast_address)
    if network.num_addresses > 2:
        first, last = first + 1, last - 1
    gateway = int(IPv4Address(gateway_ip)) if gateway_ip else -1
    if not first <= gateway <= last:
        return (_pool(first, last),)
    ranges = ((first, gateway - 1), (gateway + 1, last))
    return tuple(_pool(start, end) for start, end in ranges if start <= end)


def _pool(start: int, end: int) -> Pool:
    return Pool(start=str(IPv4Address(start)), end=str(IPv4Address(end)))


def _candidates(now: Snapshot, subnet: model.Subnet) -> Iterator[str]:
    """The addresses of the pools, lowest first, without most of those that are taken."""
    for pool in subnet.allocation_pools:
        first, last = int(IPv4Address(pool.start)), int(IPv4Address(pool.end))
        for number in in_open_blocks(now.index(PORTS_BY_ADDRESS_BLOCK), subnet.id, first, last):
            yield str(IPv4Address(number))


def first_free(now: Snapshot, subnet: model.Subnet, taken: frozenset[str] = frozenset()) -> str | None:
    """The lowest address of the pools that no port holds, and that is not in `taken`; None when there is none."""
    return next(
        (
            candidate
            for candidate in _candidates(now, subnet)
            if candidate not in taken and not now.ids(PORTS_BY_ADDRESS, (subnet.id, candidate))
        ),
        None,
    )


def any_address(now: Snapshot, network_id: str) -> tuple[FixedIp, ...]:
    """One address on the network's first subnet that has a free one; none if the network has no subnet.

    Raises:
        Conflict: every subnet is full.
    """
    subnets = now.find(SUBNETS_BY_NETWORK, network_id)
    for subnet in sorted(subnets, key=lambda subnet: (subnet.created_at, subnet.id)):
        if found := first_free(now, subnet):
            return (FixedIp(subnet_id=subnet.id, ip_address=found),)
    if subnets:
        raise Conflict("IpAddressGenerationFailure", f"No more IP addresses available on network {network_id}.")
    return ()


def wanted_addresses(
    now: Snapshot, network_id: str, wanted: tuple[Wanted, ...], port_id: str | None = None
) -> tuple[FixedIp, ...]:
    """The addresses that a client asked for: by address, by subnet, or both. `port_id` may hold them already.

    Raises:
        Invalid: a subnet is not the network's, or an address not the subnet's.
        Conflict: an address is in use, or a subnet is full.
    """
    chosen: list[FixedIp] = []
    for subnet_id, ip_address in wanted:
        subnet = _subnet(now, network_id, subnet_id, ip_address)
        if ip_address is None:
            chosen.append(_kept_or_free(now, subnet, port_id, chosen))
        else:
            _require_usable(now, subnet, ip_address, port_id)
            chosen.append(FixedIp(subnet_id=subnet.id, ip_address=ip_address))
    return tuple(chosen)


def _kept_or_free(now: Snapshot, subnet: model.Subnet, port_id: str | None, chosen: list[FixedIp]) -> FixedIp:
    taken = frozenset(fixed.ip_address for fixed in chosen)
    holder = now.get(model.Port, port_id)
    for fixed in holder.fixed_ips if holder else ():
        if fixed.subnet_id == subnet.id and fixed.ip_address not in taken:
            return fixed
    found = first_free(now, subnet, taken)
    if found is None:
        message = f"No more IP addresses available on network {subnet.network_id}."
        raise Conflict("IpAddressGenerationFailure", message)
    return FixedIp(subnet_id=subnet.id, ip_address=found)


def _subnet(now: Snapshot, network_id: str, subnet_id: str | None, ip_address: str | None) -> model.Subnet:
    subnets = now.find(SUBNETS_BY_NETWORK, network_id)
    for subnet in subnets:
        if subnet_id == subnet.id or (subnet_id is None and IPv4Address(ip_address or "") in IPv4Network(subnet.cidr)):
            return subnet
    if subnet_id is None:
        message = f"IP address {ip_address} is not a valid IP for any of the subnets on the specified network."
    else:
        message = (
            f"Failed to create port on network {network_id}, because fixed_ips included invalid subnet {subnet_id}."
        )
    raise Invalid("InvalidIpForNetwork" if subnet_id is None else "InvalidInput", message)


def _require_usable(now: Snapshot, subnet: model.Subnet, ip_address: str, port_id: str | None) -> None:
    network = IPv4Network(subnet.cidr)
    address = IPv4Address(ip_address)
    is_edge = network.num_addresses > 2 and address in (network.network_address, network.broadcast_address)
    if address not in network or is_edge:
        raise Invalid("InvalidIpForSubnet", f"IP address {ip_address} is not a valid IP for the specified subnet.")
    if now.ids(PORTS_BY_ADDRESS, (subnet.id, ip_address)) - {port_id}:
        message = f"IP address {ip_address} already allocated in subnet {subnet.id}."
        raise Conflict("IpAddressAlreadyAllocated", message)


def free_mac(now: Snapshot, network_id: str) -> MacAddress:
    """A MAC address that no port of the network has."""
    return next(mac for mac in iter(new_mac, None) if not now.ids(PORTS_BY_MAC, (network_id, mac)))
