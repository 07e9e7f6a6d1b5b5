"""What a lab is to consist of: hosts, roles and addresses, as values. Starts nothing.

Everything is inside the lab's own namespaces, so that two labs may have the same addresses. The external LAN is
TEST-NET-3 (RFC 5737).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from warren.core.errors import Invalid, NotFound
from warren.core.roles import COMPUTE_ROLE, NETWORK_ROLE
from warren.core.state import NetworkType, Plug, TunnelMode

WORLD: Final = "world"
"""The host on the external LAN that stands for everybody outside; it is the LAN's gateway."""
UNDERLAY: Final = "underlay"
"""The namespace of the two Linux bridges (the cables and switches) that join the hosts."""
WORLD_ADDRESS: Final = "203.0.113.1"
EXTERNAL_CIDR: Final = "203.0.113.0/24"
EXTERNAL_POOL: Final = ("203.0.113.100", "203.0.113.199")
"""What the external network gives to gateways and floating IPs; hosts' own addresses are below."""

MAX_HOSTS: Final = 60
_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")


@dataclass(frozen=True, slots=True, kw_only=True)
class HostPlan:
    """One host.

    `external_ip` is a compute host's plain address on the external LAN; a network host has that LAN's NIC in br-ex
    instead, and no address there.
    """

    name: str
    role: str
    vtep_ip: str
    external_ip: str | None = None

    @property
    def is_network(self) -> bool:
        return self.role == NETWORK_ROLE


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPlan:
    """A whole lab. `name` tells labs on one machine apart."""

    name: str
    hosts: tuple[HostPlan, ...]
    tunnel: NetworkType = NetworkType.VXLAN
    mode: TunnelMode = TunnelMode.LEARNING
    plug: Plug = Plug.HYBRID
    ageing_s: int = 300

    def host(self, name: str) -> HostPlan:
        """The host of that name.

        Raises:
            NotFound: there is none; the message lists those there are.
        """
        for host in self.hosts:
            if host.name == name:
                return host
        raise NotFound("HostNotFound", f"Lab '{self.name}' has no host '{name}'; it has {self.host_names()}.")

    def host_names(self) -> str:
        return ", ".join(host.name for host in self.hosts)


def checked_name(name: str) -> str:
    """A lab's or an instance's name.

    Raises:
        Invalid: it would not be fit for a file, a host name and an environment variable alike.
    """
    if not _NAME.fullmatch(name):
        raise Invalid(
            "InvalidName",
            f"'{name}' cannot be a name here: take a lower-case letter, then up to 19 letters, digits and hyphens.",
        )
    return name


def plan_hosts(*, total: int, network_hosts: int) -> tuple[HostPlan, ...]:
    """`network` (or `network1`, `network2`, … of several) and then compute hosts up to `total`.

    Raises:
        Invalid: no compute host would be left, no network host was asked for, or there are more than addresses.
    """
    if network_hosts < 1 or total <= network_hosts:
        raise Invalid(
            "InvalidHosts",
            "A lab needs at least one network host and one compute host beside it: --hosts counts both, "
            "--network-hosts how many of them are network hosts.",
        )
    if total > MAX_HOSTS:
        raise Invalid("InvalidHosts", f"A lab has at most {MAX_HOSTS} hosts.")
    return tuple(_hosts(total, network_hosts))


def _hosts(total: int, network_hosts: int) -> Iterator[HostPlan]:
    for index in range(network_hosts):
        name = "network" if network_hosts == 1 else f"network{index + 1}"
        yield HostPlan(name=name, role=NETWORK_ROLE, vtep_ip=f"10.9.0.{index + 1}")
    for index in range(network_hosts, total):
        yield HostPlan(
            name=f"compute{index - network_hosts + 1}",
            role=COMPUTE_ROLE,
            vtep_ip=f"10.9.0.{index + 1}",
            external_ip=f"203.0.113.{index + 10}",
        )
