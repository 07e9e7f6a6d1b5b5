"""iptables-save(8) and `ipset save` text -> values."""

import shlex
from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from warren.inspect.filter.model import AddressSet, Chain, Option, Rule, RuleSet
from warren.inspect.snapshot.text import Page

_TWO_VALUES: Final = frozenset({"--match-set", "--tcp-flags"})
_QUOTING: Final = frozenset("\"'\\")


def read_rules(page: Page) -> RuleSet:
    """The output of iptables-save or ip6tables-save; a line that is not understood is complained about and left out."""
    tables: dict[str, dict[str, tuple[str, list[Rule]]]] = {}
    table: dict[str, tuple[str, list[Rule]]] = {}
    for number, line in page.lines():
        if line.startswith("*"):
            table = tables.setdefault(line[1:].strip(), {})
        elif line.startswith(":"):
            name, _, rest = line[1:].partition(" ")
            policy = rest.split(" ")[0]
            table[name] = ("" if policy == "-" else policy, [])
        elif line.startswith(("-A ", "[")):
            _append(page, number, line, table)
        elif not line.startswith(("#", "COMMIT")):
            page.complain(number, 1, "this is not a line of iptables-save")
    frozen = {
        name: MappingProxyType({c: Chain(name=c, policy=p, rules=tuple(r)) for c, (p, r) in chains.items()})
        for name, chains in tables.items()
    }
    return RuleSet(tables=MappingProxyType(frozen), file=page.file)


def _append(page: Page, number: int, line: str, table: dict[str, tuple[str, list[Rule]]]) -> None:
    text = line if line.startswith("-A ") else line.partition("] ")[2]
    try:
        words = shlex.split(text) if _QUOTING.intersection(text) else text.split()
    except ValueError as error:
        page.complain(number, 1, f"a rule whose quotes do not match: {error}")
        return
    if len(words) < 2 or words[0] != "-A":
        page.complain(number, 1, "this is not a rule")
        return
    table.setdefault(words[1], ("", []))[1].append(_rule(text.strip(), words[2:], number))


def _rule(text: str, words: list[str], line: int) -> Rule:
    options = _options(words)
    at = next((i for i, option in enumerate(options) if option.name in ("-j", "-g")), len(options))
    jump = options[at] if at < len(options) else Option(name="-j")
    matches = tuple(o for o in options[:at] if o.name != "--comment")
    comment = next((o.values[0] for o in options[:at] if o.name == "--comment" and o.values), "")
    return Rule(
        text=text,
        matches=matches,
        target=jump.values[0] if jump.values else "",
        is_goto=jump.name == "-g",
        target_options=tuple(options[at + 1 :]),
        comment=comment,
        line=line,
    )


def _options(words: list[str]) -> list[Option]:
    """Words as options with their values; `!` inverts the option after it."""
    options: list[Option] = []
    inverted = False
    for word in words:
        last = options[-1] if options else None
        if word == "!":
            inverted = True
        elif word.startswith("-") and not (last and last.name in _TWO_VALUES and len(last.values) < 2):
            options.append(Option(name=word, inverted=inverted))
            inverted = False
        elif last:
            options[-1] = Option(name=last.name, values=(*last.values, word), inverted=last.inverted)
    return options


def read_sets(page: Page) -> Mapping[str, AddressSet]:
    """The output of `ipset save`."""
    types: dict[str, str] = {}
    families: dict[str, str] = {}
    members: dict[str, set[str]] = {}
    excluded: dict[str, set[str]] = {}
    for number, line in page.lines():
        words = line.split()
        if words[0] == "create" and len(words) >= 3:
            types[words[1]] = words[2]
            families[words[1]] = dict(pairwise(words[3:])).get("family", "")
        elif words[0] == "add" and len(words) >= 3:
            side = excluded if "nomatch" in words[3:] else members
            side.setdefault(words[1], set()).add(words[2])
        else:
            page.complain(number, 1, "this is not a line of ipset save")
    return {
        name: AddressSet(
            name=name,
            type=kind,
            family=families[name],
            members=frozenset(members.get(name, ())),
            excluded=frozenset(excluded.get(name, ())),
        )
        for name, kind in types.items()
    }
