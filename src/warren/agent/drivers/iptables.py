"""iptables and ip6tables of the calling thread's network namespace. The only module that starts them.

One process reads all tables, one writes all changes; each table changes at once or not at all.
"""

import re
import socket
from collections.abc import Callable, Mapping
from typing import Final

from warren.agent.drivers.command import run
from warren.core.errors import Rejected
from warren.namespaces import rules
from warren.reconcile.plan import Plan

LINE: Final = re.compile(r"line:? (\d+)")
"""Where iptables-restore says that it stopped."""
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


def apply_closed(plan: Plan[str, str], version: int, closed: Callable[[str], str | None]) -> dict[str, str]:
    """Apply a plan; where a chain's rules are refused, write what `closed` says of it instead, and the rest as planned.

    One tenant's rule that this kernel does not take must not keep the others' from being written.

    Returns:
        The chains that were refused, and why.

    Raises:
        Rejected: what was refused is no chain that can be closed; nothing of its table was changed.
    """
    refused: dict[str, str] = {}
    while True:
        try:
            apply(plan, version)
        except Rejected as error:
            chain = _refused_chain(rules.transaction(plan), str(error))
            instead = closed(chain) if chain is not None and chain not in refused else None
            if chain is None or instead is None:
                raise
            refused[chain] = str(error)
            plan = _with(plan, chain, instead)
        else:
            return refused


def _refused_chain(text: str, complaint: str) -> str | None:
    found = LINE.search(complaint)
    return rules.chain_at(text, int(found[1])) if found else None


def _with(plan: Plan[str, str], chain: str, lines: str) -> Plan[str, str]:
    change = {name: (old, lines if name == chain else new) for name, (old, new) in plan.change.items()}
    add = {name: lines if name == chain else new for name, new in plan.add.items()}
    return Plan(add=add, change=change, remove=plan.remove)


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
