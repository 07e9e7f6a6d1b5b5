"""Which local VLAN a network has on this host."""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from warren.core.ids import LocalVlan, NetworkId

FIRST: Final = LocalVlan(1)
LAST: Final = LocalVlan(4094)
DEAD: Final = LocalVlan(4095)
"""`Port.tag` of a port that is not wired."""


def local_vlans(
    wanted: Iterable[NetworkId], remembered: Iterable[tuple[NetworkId, LocalVlan]]
) -> dict[NetworkId, LocalVlan]:
    """A number for every wanted network: the remembered one where that is possible, else the lowest free one.

    `remembered` may contradict itself (somebody edited OVSDB): of several numbers the one said most often wins, of
    several networks with one number the first. A network is left out when all 4094 numbers are taken.
    """
    networks = sorted(set(wanted))
    kept = _kept(networks, remembered)
    taken = set(kept.values())
    free = (LocalVlan(number) for number in range(FIRST, LAST + 1) if number not in taken)
    return kept | dict(zip((network for network in networks if network not in kept), free, strict=False))


def _kept(
    networks: Iterable[NetworkId], remembered: Iterable[tuple[NetworkId, LocalVlan]]
) -> dict[NetworkId, LocalVlan]:
    votes: dict[NetworkId, Counter[LocalVlan]] = {}
    for network, vlan in remembered:
        if FIRST <= vlan <= LAST:
            votes.setdefault(network, Counter())[vlan] += 1
    kept: dict[NetworkId, LocalVlan] = {}
    taken: set[LocalVlan] = set()
    for network in networks:
        choices = sorted(votes.get(network, Counter()).items(), key=lambda choice: (-choice[1], choice[0]))
        for vlan, _ in choices[:1]:
            if vlan not in taken:
                kept[network] = vlan
                taken.add(vlan)
    return kept
