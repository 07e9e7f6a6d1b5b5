"""iptables text: chains as values, read from `iptables-save`, written for `iptables-restore --noflush`.

Warren owns the chains whose names begin with `warren-` and the rules of built-in chains that jump to them. Everything
else in a table is somebody else's and neither read nor written.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from warren.core.errors import Rejected
from warren.reconcile.plan import Plan

PREFIX: Final = "warren-"
JUMP: Final = f"-j {PREFIX}"
BEHIND: Final = "# behind a rule that is not Warren's"
"""First line of a built-in chain, as read, where a rule of somebody else comes before Warren's jumps."""
PROTOCOL: Final = re.compile(r"(?<![^ ])-p (\S+)")
SPELLED: Final = {
    6: "tcp", 17: "udp", 1: "icmp", 58: "ipv6-icmp", 132: "sctp", 136: "udplite", 50: "esp", 51: "ah",
}  # fmt: skip
"""Protocols that iptables-save prints by name everywhere. It takes the names of others from /etc/protocols, if that is
there; in chains they are numbers."""
_KEPT = frozenset(SPELLED.values())


def rules(*lines: str) -> str:
    """Rules as the value of a chain."""
    return "\n".join(lines)


def commented(rule: str, target: str, comment: str) -> str:
    """A rule with a comment, in the order in which iptables-save prints it.

    The comment has at least one space (only then is it printed in quotes) and nothing that a user typed.
    """
    match = f"{rule} " if rule else ""
    return f'{match}-m comment --comment "{comment}" -j {target}'


def read(saved: str, number_of: Callable[[str], int]) -> dict[str, str]:
    """Warren's chains and jumps in what `iptables-save` printed.

    Args:
        saved: its text.
        number_of: the number of a protocol that /etc/protocols names.

    Returns:
        `<table>/<chain>` -> rules as iptables-save prints them, one a line, without `-A <chain>`. For a built-in chain:
        only the rules that jump to a chain of Warren's, below `BEHIND` where a rule of somebody else comes first.

    Raises:
        Rejected: it is not the text of iptables-save.
    """
    chains: dict[str, list[str]] = {}
    table, led_by_others = "", set[str]()
    for line in saved.splitlines():
        if line.startswith("-A "):
            chain, _, rule = line[3:].partition(" ")
            name = f"{table}/{chain}"
            if chain.startswith(PREFIX) or JUMP in rule:
                chains.setdefault(name, [BEHIND] if name in led_by_others else []).append(_spelled(rule, number_of))
            else:
                led_by_others.add(name)
        elif line.startswith(f":{PREFIX}"):
            chains.setdefault(f"{table}/{line[1:].partition(' ')[0]}", [])
        elif line.startswith("*"):
            table = line[1:]
        elif line and line[0] not in ":#C":
            raise Rejected(f"iptables-save printed a line that cannot be read: {line!r}")
    return {name: "\n".join(lines) for name, lines in chains.items()}


def _spelled(rule: str, number_of: Callable[[str], int]) -> str:
    """A rule with its protocol as it is in our chains."""
    found = PROTOCOL.search(rule)
    if found is None or found[1] in _KEPT or found[1].isdigit():
        return rule
    return f"{rule[: found.start(1)]}{number_of(found[1])}{rule[found.end(1) :]}"


def transaction(plan: Plan[str, str]) -> str:
    """Text for `iptables-restore --noflush` that carries a plan out: each table at once, foreign rules untouched."""
    tables = sorted({name.partition("/")[0] for part in (plan.add, plan.change, plan.remove) for name in part})
    return "".join(f"*{table}\n{''.join(_table(plan, table))}COMMIT\n" for table in tables)


def chain_at(text: str, line: int) -> str | None:
    """The chain, `<table>/<chain>`, that a line (from 1) of a transaction writes to; None where it writes none."""
    lines = text.splitlines()
    if not 0 < line <= len(lines):
        return None
    table = next((each[1:] for each in reversed(lines[:line]) if each.startswith("*")), "")
    words = lines[line - 1].split()
    return f"{table}/{words[1]}" if words[0] == "-A" else None


def _table(plan: Plan[str, str], table: str) -> Iterator[str]:
    """Chains are declared (which empties them) before any rule names them, and deleted when no rule does any more."""
    written = dict(_within(table, [*plan.add.items(), *((name, new) for name, (_, new) in plan.change.items())]))
    replaced = dict(_within(table, ((name, old) for name, (old, _) in plan.change.items())))
    removed = dict(_within(table, plan.remove.items()))
    for chain in (*written, *removed):
        if chain.startswith(PREFIX):
            yield f":{chain} - [0:0]\n"
    for chain, old in (*replaced.items(), *removed.items()):
        if not chain.startswith(PREFIX):
            yield from (f"-D {chain} {rule}\n" for rule in old.splitlines() if rule != BEHIND)
    for chain, new in written.items():
        if chain.startswith(PREFIX):
            yield from (f"-A {chain} {rule}\n" for rule in new.splitlines())
        else:
            yield from (f"-I {chain} {number} {rule}\n" for number, rule in enumerate(new.splitlines(), 1))
    for chain in removed:
        if chain.startswith(PREFIX):
            yield f"-X {chain}\n"


def _within(table: str, chains: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, lines in chains:
        owner, _, chain = name.partition("/")
        if owner == table:
            yield chain, lines
