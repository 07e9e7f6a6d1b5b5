"""Packets that meet flows: their fields are taken from what flows look for, mixed with a few that nothing looks for."""

from collections import defaultdict
from collections.abc import Mapping
from random import Random
from typing import Final

from warren.inspect.evaluate.model import BridgeModel
from warren.inspect.evaluate.packet import (
    ETH_DST,
    ETH_SRC,
    ETH_TYPE,
    ICMP_TYPE,
    IN_PORT,
    IP_PROTO,
    IP_TTL,
    SIZE,
    VLAN,
    Values,
)
from warren.inspect.parse import fields as f
from warren.inspect.parse.fields import Field

_GROUP_BIT: Final = 1 << 40
_BROADCAST: Final = (1 << 48) - 1
_HONEST: Final = 0.85
"""The share of fields that are taken from the flows: packets of pure chance never pass the first check."""


class Packets:
    """An endless source of packets for some bridges."""

    def __init__(self, bridges: Mapping[str, BridgeModel], seed: int) -> None:
        self._random = Random(seed)
        self._bridges = bridges
        self._wanted: dict[Field, list[tuple[int, int]]] = defaultdict(list)
        for bridge in bridges.values():
            for table in bridge.tables.values():
                for rules in (rule for subtable in table.subtables for rule in subtable.rules.values()):
                    for rule in rules:
                        for term in rule.match:
                            self._wanted[term.cell].append((term.value, term.mask))

    def next(self) -> tuple[str, Values]:
        """A bridge and a packet that comes in by one of its ports that are no patch."""
        random = self._random
        bridge = random.choice(list(self._bridges.values()))
        values = [0] * SIZE
        ports = [number for number, port in (bridge.ports or {}).items() if port.peer is None]
        values[IN_PORT] = random.choice(ports)
        self._put(values, f.ETH_SRC)
        values[ETH_SRC] &= ~_GROUP_BIT
        self._put(values, f.ETH_DST)
        if random.random() < 0.2:
            values[ETH_DST] = random.choice((_BROADCAST, values[ETH_DST] | _GROUP_BIT))
        if random.random() < 0.3:
            self._put(values, f.VLAN_TCI)
            values[VLAN] = values[VLAN] & 0x0FFF | 0x1000
        self._put(values, f.TUN_ID)
        values[ETH_TYPE] = random.choice((0x0800, 0x0800, 0x0800, 0x0806, 0x0806, 0x86DD, 0x86DD, 0x8035, 0x1234))
        self._put_payload(values)
        return bridge.name, values

    def _put(self, values: Values, cell: Field) -> None:
        wanted = self._wanted.get(cell)
        chance = self._random.getrandbits(min(cell.bits, 48)) if cell is not f.TUN_ID else 0
        if wanted and self._random.random() < _HONEST:
            value, mask = self._random.choice(wanted)
            values[cell.order] = value | chance & ~mask & cell.mask
        else:
            values[cell.order] = chance

    def _put_payload(self, values: Values) -> None:
        ethertype = values[ETH_TYPE]
        if ethertype in (0x0806, 0x8035):
            values[f.ARP_OP.order] = self._random.choice((1, 2))
            for cell in (f.ARP_SPA, f.ARP_TPA, f.ARP_SHA, f.ARP_THA):
                self._put(values, cell)
        elif ethertype in (0x0800, 0x86DD):
            is_new = ethertype == 0x86DD
            for cell in (f.IPV6_SRC, f.IPV6_DST) if is_new else (f.IP_SRC, f.IP_DST):
                self._put(values, cell)
            values[IP_TTL] = self._random.choice((0, 1, 2, 64, 64))
            values[f.IP_TOS.order] = self._random.choice((0, 32))
            values[IP_PROTO] = self._random.choice((58, 58, 6, 17) if is_new else (1, 6, 6, 17, 47))
            self._put_transport(values)

    def _put_transport(self, values: Values) -> None:
        protocol = values[IP_PROTO]
        if protocol in (6, 17):
            self._put(values, f.TP_SRC)
            self._put(values, f.TP_DST)
        elif protocol in (1, 58):
            self._put(values, f.ICMP_TYPE)
            if protocol == 58 and values[ICMP_TYPE] in (135, 136):
                self._put(values, f.ND_TARGET)
