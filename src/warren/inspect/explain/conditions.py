"""A match in words: `ARP for 192.168.1.1 of network 'red' (local VLAN 1) from tap1 of 'vm1'`."""

from collections.abc import Callable, Mapping
from typing import Final

from warren.inspect.explain.context import Context, ip_label
from warren.inspect.parse import fields as f
from warren.inspect.parse import values
from warren.inspect.parse.fields import Field
from warren.inspect.parse.match import VLAN_PRESENT, Match, Term, term_words

_GROUP_BIT: Final = 1 << 40
_BROADCAST: Final = (1 << 48) - 1
_FRAMES: Final[Mapping[tuple[int | None, int | None], str]] = {
    (None, None): "frames",
    (0x0800, None): "IPv4 packets",
    (0x86DD, None): "IPv6 packets",
    (0x0800, 1): "ICMP packets",
    (0x86DD, 58): "ICMPv6 packets",
    (0x0800, 6): "TCP packets",
    (0x86DD, 6): "TCP packets (IPv6)",
    (0x0800, 17): "UDP packets",
    (0x86DD, 17): "UDP packets (IPv6)",
    (0x0800, 132): "SCTP packets",
    (0x86DD, 132): "SCTP packets (IPv6)",
    (0x0806, None): "ARP frames",
    (0x8035, None): "RARP frames",
    (0x8847, None): "MPLS packets",
}
_ICMP6: Final[Mapping[int, str]] = {
    130: "multicast listener queries",
    131: "multicast listener reports",
    132: "multicast listener leavings",
    133: "router solicitations",
    134: "router advertisements",
    135: "neighbour solicitations",
    136: "neighbour advertisements",
}
_ARP: Final[Mapping[int, str]] = {1: "ARP requests", 2: "ARP answers"}
_STATE: Final[Mapping[str, str]] = {
    "new": "new",
    "est": "established",
    "rel": "related",
    "rpl": "reply",
    "inv": "invalid",
    "trk": "tracked",
    "snat": "source-translated",
    "dnat": "destination-translated",
}
SERVICES: Final[Mapping[int, str]] = {
    22: "SSH",
    53: "DNS",
    67: "DHCP server",
    68: "DHCP client",
    80: "HTTP",
    443: "HTTPS",
}


def describe_match(match: Match, context: Context) -> str:
    """The frames that a match takes, as the subject of a sentence."""
    exact = {term.cell: term.value for term in match if term.is_exact}
    if exact.get(f.IN_PORT) in context.outside:
        context = context.beyond()
    words = [_subject(exact)]
    for term in _in_reading_order(match, exact):
        phrase = _PHRASES.get(term.cell, _other)(term, context)
        if phrase:
            words.append(phrase)
    return " ".join(words)


def _subject(exact: Mapping[Field, int]) -> str:
    """What kind of frames: the protocol, as far as the match says."""
    ethertype, protocol = exact.get(f.ETH_TYPE), exact.get(f.IP_PROTO)
    operation, icmp = exact.get(f.ARP_OP), exact.get(f.ICMP_TYPE)
    if ethertype == 0x0806 and operation is not None and operation in _ARP:
        return _ARP[operation]
    if (ethertype, protocol) == (0x86DD, 58) and icmp is not None and icmp in _ICMP6:
        return _ICMP6[icmp]
    known = _FRAMES.get((ethertype, protocol))
    if known is not None:
        return known
    if protocol is not None:
        return f"packets of IP protocol {protocol}"
    return f"frames of type 0x{ethertype:04x}" if ethertype is not None else "frames"


_RANK: Final = {
    cell: rank for rank, cell in enumerate((f.VLAN_TCI, f.TUN_ID, f.REGS[6], f.ETH_DST, f.ETH_SRC, f.IN_PORT))
}


def _in_reading_order(match: Match, exact: Mapping[Field, int]) -> list[Term]:
    """Terms as a person would say them: network first, then addresses, then the rest; without what the subject says."""
    said = {f.ETH_TYPE}
    if f.IP_PROTO in exact:
        said.add(f.IP_PROTO)
    if exact.get(f.ARP_OP) in _ARP:
        said.add(f.ARP_OP)
    if exact.get(f.IP_PROTO) == 58 and exact.get(f.ICMP_TYPE) in _ICMP6:
        said.add(f.ICMP_TYPE)
    if f.REGS[5] in exact and exact[f.REGS[5]] == exact.get(f.IN_PORT):
        said.add(f.REGS[5])
    return sorted((term for term in match if term.cell not in said), key=lambda term: _RANK.get(term.cell, len(_RANK)))


def port(number: int, context: Context) -> str:
    """A port by name, else by number."""
    return context.ports.get(number) or (f"port {values.port_text(number)}")


def network(vlan: int, context: Context) -> str:
    """`network 'red' (VNI 1001, here VLAN 1)`, as far as it is known."""
    if vlan == 4095:
        return "VLAN 4095"
    name, segment = context.networks.get(vlan, ""), context.segments.get(vlan)
    if segment is None:
        return f"network {name} (here VLAN {vlan})" if name else f"{context.vlan} {vlan}"
    called = f"{context.key} {segment}"
    return f"network {name} ({called}, here VLAN {vlan})" if name else f"{called} (here VLAN {vlan})"


def mac(value: int, context: Context) -> str:
    """A MAC address and whose it is."""
    text = values.ethernet_text(value)
    owner = context.addresses.get(value)
    return f"{text} ({owner})" if owner else text


def _tag(term: Term, context: Context) -> str:
    if (
        term.mask & 0xFFF == 0xFFF
        and term.value & 0xFFF
        and (term.value & VLAN_PRESENT or not term.mask & VLAN_PRESENT)
    ):
        return f"of {network(term.value & 0xFFF, context)}"
    if term.mask & VLAN_PRESENT and not term.value & VLAN_PRESENT:
        return "without a VLAN tag"
    return f"with {' and '.join(term_words(term))}"


def _segment(term: Term, context: Context) -> str:
    if not term.is_exact:
        return f"with {next(term_words(term))}"
    name = context.network_of_segment(term.value)
    return f"of network {name} ({context.key} {term.value})" if name else f"of {context.key} {term.value}"


def _destination(term: Term, context: Context) -> str:
    if term.mask == _GROUP_BIT:
        return "to many (broadcast or multicast)" if term.value else "to one address"
    if not term.is_exact:
        return f"to {next(term_words(term)).partition('=')[2]}"
    return "to everybody" if term.value == _BROADCAST else f"for {mac(term.value, context)}"


def _source(term: Term, context: Context) -> str:
    return f"sent by {mac(term.value, context)}" if term.is_exact else f"with {next(term_words(term))}"


def _in_port(term: Term, context: Context) -> str:
    return f"from {term.port or port(term.value, context)}"


def _state(term: Term, _context: Context) -> str:
    words = [
        word if term.value & values.CT_STATE[name] else f"not {word}"
        for name, word in _STATE.items()
        if term.mask & values.CT_STATE[name]
    ]
    return f"of a connection that is {', '.join(words)}" if words else ""


def _ip(role: str) -> Callable[[Term, Context], str]:
    def phrase(term: Term, context: Context) -> str:
        text = next(term_words(term)).partition("=")[2]
        return f"{role} {ip_label(context, text)}"

    return phrase


def _service(role: str) -> Callable[[Term, Context], str]:
    def phrase(term: Term, _context: Context) -> str:
        text = next(term_words(term)).partition("=")[2]
        known = SERVICES.get(term.value) if term.is_exact else None
        return f"{role} {text} ({known})" if known else f"{role} {text}"

    return phrase


def _register(meaning: str, name: Callable[[int, Context], str]) -> Callable[[Term, Context], str]:
    def phrase(term: Term, context: Context) -> str:
        is_known = context.pipeline is not None and term.is_exact
        return f"{meaning} {name(term.value, context)}" if is_known else _other(term, context)

    return phrase


def _other(term: Term, _context: Context) -> str:
    return f"with {' and '.join(term_words(term))}"


_PHRASES: Final[Mapping[Field, Callable[[Term, Context], str]]] = {
    f.VLAN_TCI: _tag,
    f.TUN_ID: _segment,
    f.ETH_DST: _destination,
    f.ETH_SRC: _source,
    f.IN_PORT: _in_port,
    f.CT_STATE: _state,
    f.IP_SRC: _ip("from"),
    f.IP_DST: _ip("to"),
    f.IPV6_SRC: _ip("from"),
    f.IPV6_DST: _ip("to"),
    f.ARP_SPA: _ip("in the name of"),
    f.ARP_TPA: _ip("about"),
    f.ND_TARGET: _ip("about"),
    f.TP_SRC: _service("from port"),
    f.TP_DST: _service("to port"),
    f.REGS[5]: _register("at", port),
    f.REGS[6]: _register("in", network),
}
