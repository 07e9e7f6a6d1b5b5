"""Tables, chains and rules as iptables-save(8) prints them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """One option of a rule: `! -s 10.0.0.0/8` is ("-s", ("10.0.0.0/8",), inverted)."""

    name: str
    values: tuple[str, ...] = ()
    inverted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of a chain. `matches` are its options before the target, in order; `-m` says whose the next are."""

    text: str
    matches: tuple[Option, ...] = ()
    target: str = ""
    is_goto: bool = False
    target_options: tuple[Option, ...] = ()
    comment: str = ""
    line: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Rules in order; `policy` is `ACCEPT` or `DROP` for a built-in chain, else empty."""

    name: str
    policy: str = ""
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSet:
    """All tables of one address family in one namespace: table -> chain -> rules."""

    tables: Mapping[str, Mapping[str, Chain]] = field(default_factory=lambda: MappingProxyType({}))
    file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressSet:
    """An ipset: its type (`hash:net`, `hash:ip`, ...) and its members as printed."""

    name: str
    type: str
    family: str = ""
    members: frozenset[str] = frozenset()
    excluded: frozenset[str] = frozenset()
    """Members with `nomatch`."""
