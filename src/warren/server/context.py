"""What a rule may know besides the snapshot: who asks, when, which hosts live, what the deployment offers. Pure."""

import random
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

from warren.core.ids import HostName, MacAddress
from warren.core.protocols import TUNNEL_OVERHEAD_BYTES
from warren.core.state import Deployment, NetworkType
from warren.server.policy import Caller


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalNetwork:
    """A network outside, that hosts reach by a bridge of their own."""

    name: str
    mtu: int = 1500


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What the deployment's configuration lets networks be."""

    default_type: NetworkType = NetworkType.VXLAN
    segment_ranges: Mapping[NetworkType, tuple[int, int]] = field(
        default_factory=lambda: {NetworkType.VXLAN: (1, 100_000), NetworkType.GRE: (1, 100_000)}
    )
    """Segmentation ids given out by themselves, both ends included."""
    underlay_mtu: int = 1500
    physical_networks: Mapping[str, PhysicalNetwork] = field(default_factory=dict)
    deployment: Deployment = field(default_factory=Deployment)

    def mtu_of(self, network_type: NetworkType, physical_network: str | None) -> int:
        if network_type.is_tunnelled:
            return self.underlay_mtu - TUNNEL_OVERHEAD_BYTES[network_type.value]
        known = self.physical_networks.get(physical_network or "")
        return known.mtu if known else self.underlay_mtu


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The circumstances of one request."""

    caller: Caller
    at: str
    """The time, as the API writes it: `2026-11-23T07:00:00Z`."""
    alive: frozenset[HostName] = frozenset()
    offer: Offer = field(default_factory=Offer)


def new_id() -> str:
    return str(uuid.uuid4())


def new_mac() -> MacAddress:
    """A random address below the prefix that OpenStack uses for instances."""
    octets = (0xFA, 0x16, 0x3E, *random.randbytes(3))
    return MacAddress(":".join(f"{octet:02x}" for octet in octets))
