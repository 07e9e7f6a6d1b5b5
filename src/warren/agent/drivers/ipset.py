"""ipset sets of the calling thread's network namespace. The only module that starts ipset.

Sets whose names begin with `warren4-` or `warren6-` are Warren's. A set that exists is changed member by member, what
is new first: no member that stays is ever missing.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from warren.agent.drivers.command import run
from warren.namespaces.members import FAMILIES, PREFIX
from warren.reconcile.plan import Plan

OURS: Final = tuple(f"{PREFIX}{version}-" for version in FAMILIES)
TYPE: Final = "hash:net"
MAX_MEMBERS: Final = 1 << 20


def installed() -> dict[str, str]:
    """Name -> family, then members, one a line, sorted as text. A set of another type has its type for a family.

    A member that is not one has a word more: `10.0.0.7 nomatch`.
    """
    found: dict[str, list[str]] = {}
    for line in run(["ipset", "save"]).splitlines():
        words = line.split()
        if words[0] == "create" and words[1].startswith(OURS):
            found[words[1]] = [words[words.index("family") + 1] if words[2] == TYPE else words[2]]
        elif words[0] == "add" and words[1] in found:
            found[words[1]].append(" ".join(words[2:]))
    return {name: "\n".join([family, *sorted(members)]) for name, (family, *members) in found.items()}


def apply(plan: Plan[str, str]) -> None:
    """Make and change sets; `destroy` removes them, when no rule names them any more."""
    lines = [line for name, value in plan.add.items() for line in _made(name, value)]
    lines += [line for name, (old, new) in plan.change.items() for line in _changed(name, old, new)]
    if lines:
        run(["ipset", "restore", "-exist"], "\n".join(lines) + "\n")


def destroy(removed: Mapping[str, str]) -> None:
    """Remove sets.

    Raises:
        Rejected: a rule still names one; those before it are gone.
    """
    if removed:
        run(["ipset", "restore", "-exist"], "".join(f"destroy {name}\n" for name in removed))


def _made(name: str, value: str) -> Iterator[str]:
    family, *members = value.split("\n")
    yield f"create {name} {TYPE} family {family} maxelem {MAX_MEMBERS}"
    yield from (f"add {name} {member}" for member in members)


def _changed(name: str, old: str, new: str) -> Iterator[str]:
    had_family, *had = old.split("\n")
    family, *members = new.split("\n")
    if had_family != family:
        yield f"destroy {name}"
        yield from _made(name, new)
        return
    yield from (f"add {name} {member}" for member in sorted(set(members) - set(had)))
    yield from (f"del {name} {member}" for member in sorted({each.split()[0] for each in had} - set(members)))
