"""iptables and ip6tables of the calling thread's network namespace. The only module that starts them.

One process reads all tables, one writes all changes; each table changes at once or not at all.
"""

import socket
from collections.abc import Mapping
from typing import Final

from warren.agent.drivers.command import run
from warren.core.errors import Rejected
from warren.namespaces import rules
from warren.reconcile.plan import Plan

MOBILITY: Final = 135
MOBILITY_NAMES: Final = ("mh", "ipv6-mh", "mobility-header")
"""iptables has names of its own for it."""
PROGRAMS: Final = {4: "iptables", 6: "ip6tables"}


def installed(version: int = 4) -> dict[str, str]:
    """Warren's chains of every table: `<table>/<chain>` -> rules, one a line."""
    return rules.read(run([f"{PROGRAMS[version]}-save"]), _protocol_number)


def apply(plan: Plan[str, str], version: int = 4) -> None:
    """Replace Warren's chains that differ; rules that are not Warren's stay as they are.

    Raises:
        Rejected: a rule was refused; the tables from the refused one on are unchanged.
    """
    if plan:
        run([f"{PROGRAMS[version]}-restore", "--noflush", "--wait"], rules.transaction(plan))


def _protocol_number(name: str) -> int:
    """The number of a protocol that iptables-save named.

    Raises:
        Rejected: nobody knows it.
    """
    try:
        return MOBILITY if name in MOBILITY_NAMES else socket.getprotobyname(name)
    except OSError as error:
        raise Rejected(f"iptables-save named the protocol {name}, which /etc/protocols does not have") from error


def translations(chains: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    """What NAT rules translate: (address outside, the rule that says so)."""
    return frozenset(
        (words[at + 1].partition("/")[0], line)
        for name, lines in chains.items()
        if name.startswith("nat/")
        for line in lines.splitlines()
        for words in [line.split()]
        for at, word in enumerate(words)
        if word in ("--to-source", "-d")
    )
