"""Conntrack zones: a number per port, so that two networks with the same addresses never share a connection."""

from collections.abc import Iterable, Mapping
from typing import Final
from zlib import crc32

from warren.core import names
from warren.core.ids import PortId
from warren.namespaces.settings import Key, Kind, Setting

FIRST: Final = 4097
"""Above every local VLAN: zones of flows in br-int are local VLANs, and the kernel has one space of zones for both."""
COUNT: Final = 65536 - FIRST
_RULE: Final = "-i qbr"


def remembered(installed: Mapping[Key, Setting]) -> dict[str, int]:
    """Zones that are in use: bridge name -> zone, from the rules of the raw table."""
    return {
        words[1]: int(words[-1])
        for key, setting in installed.items()
        if key.kind is Kind.CHAIN and key.name.startswith("raw/warren-ct-")
        for line in setting.value.splitlines()
        if line.startswith(_RULE) and (words := line.split())[-2] == "--zone" and words[-1].isdigit()
    }


def assign(ports: Iterable[PortId], in_use: Mapping[str, int]) -> dict[PortId, int]:
    """A zone for each port: the one that it has, else one drawn from its id; never the same for two."""
    ordered = sorted(ports)
    assigned: dict[PortId, int] = {}
    taken: set[int] = set()
    for port in ordered:
        zone = in_use.get(names.qbr(port))
        if zone is not None and zone >= FIRST and zone not in taken:
            assigned[port] = zone
            taken.add(zone)
    for port in ordered:
        if port not in assigned:
            zone = FIRST + crc32(port.encode()) % COUNT
            while zone in taken:
                zone = FIRST + (zone - FIRST + 1) % COUNT
            assigned[port] = zone
            taken.add(zone)
    return assigned
