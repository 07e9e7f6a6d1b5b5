"""What one chain of one table does to a packet, rule by rule.

The order of hooks and tables is `warren.inspect.filter.hooks`' business; this module walks chains.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from ipaddress import ip_address
from typing import Final

from warren.inspect.filter.match import Known, matches
from warren.inspect.filter.model import Chain, Option, Rule
from warren.inspect.filter.packet import IpPacket

DEPTH_LIMIT: Final = 64
HIT_LIMIT: Final = 10_000
"""Rules that may match one packet in one table. Chains that each jump to the next twice double with every one."""
_CONTINUES: Final = frozenset(
    {"LOG", "NFLOG", "ULOG", "TCPMSS", "CHECKSUM", "TRACE", "AUDIT", "SECMARK", "DSCP", "TOS", ""}
)


class Outcome(Enum):
    """How a table's chain let go of a packet."""

    ACCEPT = "accepted"
    DROP = "dropped"
    REJECT = "rejected"
    NOT_MODELLED = "not modelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleHit:
    """A rule that matched and what it did; `rule` is the line of iptables-save, or the chain's policy."""

    table: str
    chain: str
    rule: str
    effect: str
    comment: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Translation:
    """What a rule of the nat table wants: a new source or destination; an empty address is kept."""

    is_source: bool
    address: str = ""
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """The end of a walk through one table's chain."""

    outcome: Outcome
    packet: IpPacket
    hits: tuple[RuleHit, ...] = ()
    translation: Translation | None = None
    because: str = ""
    """For `NOT_MODELLED`: what could not be told."""


@dataclass(slots=True)
class _Walker:
    """One packet on its way through one table."""

    table: str
    chains: Mapping[str, Chain]
    known: Known
    packet: IpPacket
    own_address: str
    hits: list[RuleHit]
    translation: Translation | None = None
    because: str = ""

    def chain(self, chain: Chain, depth: int) -> Outcome | None:
        """The outcome of a chain; `None` where it ran to its end and its caller goes on."""
        for rule in chain.rules:
            answer, unknown = matches(rule, self.packet, self.known)
            if answer is None and rule.target not in _CONTINUES:
                return self._unknown(chain, rule, f"{unknown} is not modelled")
            if answer:
                if rule.target == "RETURN":
                    self._hit(chain, rule, "goes back")
                    break
                outcome = self._target(chain, rule, depth)
                if outcome or rule.is_goto:
                    return outcome
        return None

    def _target(self, chain: Chain, rule: Rule, depth: int) -> Outcome | None:
        if rule.target in self.chains:
            if depth >= DEPTH_LIMIT or len(self.hits) >= HIT_LIMIT:
                return self._unknown(chain, rule, "its chains call each other without end")
            self._hit(chain, rule, f"goes to {rule.target}")
            return self.chain(self.chains[rule.target], depth + 1)
        if rule.target in _CONTINUES:
            return None
        if rule.target in ("ACCEPT", "DROP", "REJECT"):
            outcome = Outcome[rule.target]
            self._hit(chain, rule, outcome.value)
            return outcome
        return self._changing(chain, rule)

    def _changing(self, chain: Chain, rule: Rule) -> Outcome | None:
        """A target that changes the packet or what is known of it."""
        options = {option.name: option for option in rule.target_options}
        if rule.target in ("DNAT", "SNAT", "MASQUERADE", "REDIRECT"):
            self.translation = self._translation(rule.target, options)
            if self.translation is None:
                return self._unknown(chain, rule, f"this {rule.target} is not modelled")
            self._hit(chain, rule, _translated(rule.target, self.translation))
            return Outcome.ACCEPT
        if rule.target == "MARK":
            return self._mark(chain, rule, options)
        if rule.target == "CONNMARK":
            return self._connmark(chain, rule, options)
        if rule.target in ("CT", "NOTRACK"):
            return self._conntrack(chain, rule, options)
        return self._unknown(chain, rule, f"target {rule.target} is not modelled")

    def _translation(self, target: str, options: Mapping[str, Option]) -> Translation | None:
        name = {"DNAT": "--to-destination", "SNAT": "--to-source"}.get(target, "--to-ports")
        to = options[name].values[0] if name in options and options[name].values else ""
        if target in ("MASQUERADE", "REDIRECT"):
            port = int(to) if to.isdecimal() else None
            return Translation(is_source=target == "MASQUERADE", address=self.own_address, port=port)
        address, port_text = _address_and_port(to)
        if not address or (port_text and not port_text.isdecimal()):
            return None
        return Translation(is_source=target == "SNAT", address=address, port=int(port_text) if port_text else None)

    def _mark(self, chain: Chain, rule: Rule, options: Mapping[str, Option]) -> Outcome | None:
        mark = _new_mark(self.packet.mark, options)
        if mark is None:
            return self._unknown(chain, rule, "this MARK is not modelled")
        self.packet = replace(self.packet, mark=mark)
        self._hit(chain, rule, f"mark becomes {mark:#x}")
        return None

    def _connmark(self, chain: Chain, rule: Rule, options: Mapping[str, Option]) -> Outcome | None:
        nfmask, ctmask = (_number(options, name, 0xFFFFFFFF) for name in ("--nfmask", "--ctmask"))
        tracked = self.packet.tracked
        if "--save-mark" in options:
            mark = (tracked.mark & ~ctmask) ^ (self.packet.mark & nfmask)
            self.packet = replace(self.packet, tracked=replace(tracked, mark=mark))
            effect = f"the connection's mark becomes {mark:#x}"
        elif "--restore-mark" in options:
            mark = (self.packet.mark & ~nfmask) ^ (tracked.mark & ctmask)
            self.packet = replace(self.packet, mark=mark)
            effect = f"mark becomes {mark:#x}, the connection's"
        else:
            new = _new_mark(tracked.mark, options)
            if new is None:
                return self._unknown(chain, rule, "this CONNMARK is not modelled")
            self.packet = replace(self.packet, tracked=replace(tracked, mark=new))
            effect = f"the connection's mark becomes {new:#x}"
        self._hit(chain, rule, effect)
        return None

    def _conntrack(self, chain: Chain, rule: Rule, options: Mapping[str, Option]) -> Outcome | None:
        tracked = self.packet.tracked
        if rule.target == "NOTRACK" or "--notrack" in options:
            self.packet = replace(self.packet, tracked=replace(tracked, state="UNTRACKED", zone=-1))
            self._hit(chain, rule, "is not tracked")
        elif "--zone" in options:
            zone = _number(options, "--zone", 0)
            self.packet = replace(self.packet, tracked=replace(tracked, zone=zone))
            self._hit(chain, rule, f"conntrack zone {zone}")
        elif "--helper" not in options:
            return self._unknown(chain, rule, "this CT is not modelled")
        return None

    def _hit(self, chain: Chain, rule: Rule, effect: str) -> None:
        self.hits.append(
            RuleHit(
                table=self.table, chain=chain.name, rule=rule.text, effect=effect, comment=rule.comment, line=rule.line
            )
        )

    def _unknown(self, chain: Chain, rule: Rule, because: str) -> Outcome:
        self.because = because
        self._hit(chain, rule, because)
        return Outcome.NOT_MODELLED


def walk(
    table: str, chains: Mapping[str, Chain], chain: str, packet: IpPacket, known: Known, *, own_address: str = ""
) -> Walk:
    """A packet through a built-in chain of a table.

    `own_address` is the outgoing interface's address for MASQUERADE, the incoming one's for REDIRECT.
    """
    if chain not in chains:
        return Walk(outcome=Outcome.ACCEPT, packet=packet)
    walker = _Walker(table=table, chains=chains, known=known, packet=packet, own_address=own_address, hits=[])
    outcome = walker.chain(chains[chain], 0)
    policy = chains[chain].policy
    if outcome is None and policy == "DROP":
        walker.hits.append(
            RuleHit(table=table, chain=chain, rule=f":{chain} DROP", effect="dropped by the chain's policy")
        )
    return Walk(
        outcome=outcome or (Outcome.DROP if policy == "DROP" else Outcome.ACCEPT),
        packet=walker.packet,
        hits=tuple(walker.hits),
        translation=walker.translation,
        because=walker.because,
    )


def _number(options: Mapping[str, Option], name: str, default: int) -> int:
    value = options[name].values[0] if name in options and options[name].values else ""
    try:
        return int(value, 0)
    except ValueError:
        return default


def _new_mark(mark: int, options: Mapping[str, Option]) -> int | None:
    """MARK's options (iptables-extensions(8)); `None` for those that are not modelled or not numbers."""
    try:
        return _mark_after(mark, options)
    except ValueError:
        return None


def _mark_after(mark: int, options: Mapping[str, Option]) -> int | None:
    """Zero the bits of the mask, then exclusive-or or or the value."""
    for name in ("--set-xmark", "--set-mark"):
        if name in options and options[name].values:
            value, _, mask_text = options[name].values[0].partition("/")
            mask = int(mask_text or "0xffffffff", 0)
            cleared = mark & ~mask & 0xFFFFFFFF
            return cleared ^ int(value, 0) if name == "--set-xmark" else cleared | int(value, 0)
    if "--and-mark" in options:
        return mark & _number(options, "--and-mark", 0)
    if "--or-mark" in options:
        return mark | _number(options, "--or-mark", 0)
    return mark ^ _number(options, "--xor-mark", 0) if "--xor-mark" in options else None


def _address_and_port(text: str) -> tuple[str, str]:
    """`10.0.0.1`, `10.0.0.1:80`, `[2001:db8::1]:80`; a range of addresses or ports has no one answer."""
    if text.startswith("["):
        address, _, port = text[1:].partition("]")
        return address, port.lstrip(":")
    address, _, port = (text, "", "") if text.count(":") > 1 else text.partition(":")
    try:
        ip_address(address)
    except ValueError:
        return "", ""
    return address, port


def _translated(target: str, translation: Translation) -> str:
    side = "source" if translation.is_source else "destination"
    port = f" port {translation.port}" if translation.port is not None else ""
    return f"{target}: {side} becomes {translation.address or 'as it was'}{port}"
