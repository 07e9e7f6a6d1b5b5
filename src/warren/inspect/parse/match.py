"""What a flow matches, as cells with value and mask; read from text and printed as Open vSwitch prints it."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from warren.inspect.parse import fields as f
from warren.inspect.parse import values
from warren.inspect.parse.fields import BY_NAME, Field
from warren.inspect.parse.problem import Unreadable
from warren.inspect.parse.text import printable, split_list, unquote

PROTOCOLS: Final[Mapping[str, tuple[int, int | None]]] = {
    "ip": (0x0800, None),
    "ipv4": (0x0800, None),
    "ipv6": (0x86DD, None),
    "ip6": (0x86DD, None),
    "icmp": (0x0800, 1),
    "tcp": (0x0800, 6),
    "udp": (0x0800, 17),
    "sctp": (0x0800, 132),
    "icmp6": (0x86DD, 58),
    "icmpv6": (0x86DD, 58),
    "tcp6": (0x86DD, 6),
    "udp6": (0x86DD, 17),
    "sctp6": (0x86DD, 132),
    "arp": (0x0806, None),
    "rarp": (0x8035, None),
    "mpls": (0x8847, None),
    "mplsm": (0x8848, None),
}
"""Word -> (Ethernet type, IP protocol)."""
_WORDS: Final = {pair: word for word, pair in PROTOCOLS.items() if word not in {"ipv4", "ip6", "icmpv6"}}
_ARP_TYPES: Final = (0x0806, 0x8035)
_ETHERNET_PACKET: Final = 0
_NSH_PACKET: Final = 0x1894F
VLAN_PRESENT: Final = 0x1000
"""CFI bit of `vlan_tci`: in Open vSwitch it says that there is a tag."""


@dataclass(frozen=True, slots=True)
class Term:
    """One cell of a match: the packet's bits under `mask` are `value`.

    `port` is the name of a port that no map has given a number; `value` is -1 then.
    """

    cell: Field
    value: int
    mask: int
    port: str = ""

    @property
    def is_exact(self) -> bool:
        return self.mask == self.cell.mask


@dataclass(frozen=True, slots=True)
class Match:
    """All terms of a match, at most one a cell, in the order of the cells. Equal matches are equal values."""

    terms: tuple[Term, ...]

    def __iter__(self) -> Iterator[Term]:
        return iter(self.terms)

    def get(self, cell: Field) -> Term | None:
        """The term of a cell; `None` where the match does not look at it."""
        for term in self.terms:
            if term.cell is cell:
                return term
        return None

    def exact(self, cell: Field) -> int | None:
        """The value of a cell that is matched with all its bits."""
        term = self.get(cell)
        return term.value if term is not None and term.is_exact else None

    def __str__(self) -> str:
        return ",".join(_words(self))


def read_match(text: str, ports: Mapping[str, int], known: dict[str, tuple[Term, ...]] | None = None) -> Match:
    """The match of a flow, without `priority`.

    Args:
        text: as printed.
        ports: names of ports -> numbers.
        known: what single items were read to, for the next text with them.

    Raises:
        Unreadable: with the offset in `text`.
    """
    found: dict[Field, Term] = {}
    for item, offset in split_list(text):
        try:
            terms = known.get(item) if known is not None else None
            if terms is None:
                terms = _terms(item.strip(), ports)
                if known is not None:
                    known[item] = terms
            for term in terms:
                if term.cell in found or not term.mask:
                    _add(found, term)
                else:
                    found[term.cell] = term
        except ValueError as error:
            raise Unreadable(f"in the match, '{printable(item.strip(), 60)}': {error}", offset) from None
    return of_terms(found)


def _terms(item: str, ports: Mapping[str, int]) -> tuple[Term, ...]:
    key, equals, value = item.partition("=")
    return tuple(_field_terms(key, value, ports) if equals else _word_terms(key))


def of_terms(found: dict[Field, Term]) -> Match:
    """A match of these cells; what stands in an IP cell of an ARP match goes where ARP keeps it.

    "No tag" has one form: a frame without one has a `vlan_tci` of 0, whatever bits are asked for.
    """
    tag = found.get(f.VLAN_TCI)
    if tag is not None and tag.mask & VLAN_PRESENT and not tag.value:
        found[f.VLAN_TCI] = Term(f.VLAN_TCI, 0, 0x1FFF)
    ethertype = found.get(f.ETH_TYPE)
    if ethertype is not None and ethertype.value in _ARP_TYPES:
        for plain, arp in ((f.IP_SRC, f.ARP_SPA), (f.IP_DST, f.ARP_TPA), (f.IP_PROTO, f.ARP_OP)):
            if plain in found:
                term = found.pop(plain)
                found[arp] = Term(arp, term.value, arp.mask if term.is_exact else term.mask)
    return Match(tuple(sorted(found.values(), key=lambda term: term.cell.order)))


def _add(found: dict[Field, Term], term: Term) -> None:
    """Join a term with what is already known of its cell: `dl_vlan=1` and `dl_vlan_pcp=2` are one cell."""
    known = found.get(term.cell)
    if known is not None:
        if (known.value ^ term.value) & known.mask & term.mask:
            raise ValueError(f"contradicts another term of {term.cell.name}")
        term = Term(term.cell, known.value | term.value, known.mask | term.mask, term.port or known.port)
    if term.mask:
        found[term.cell] = term


def _word_terms(word: str) -> Iterator[Term]:
    if word in PROTOCOLS:
        ethertype, protocol = PROTOCOLS[word]
        yield Term(f.ETH_TYPE, ethertype, 0xFFFF)
        if protocol is not None:
            yield Term(f.IP_PROTO, protocol, 0xFF)
    elif word == "eth":
        yield Term(f.PACKET_TYPE, _ETHERNET_PACKET, f.PACKET_TYPE.mask)
    elif word == "nsh":
        yield Term(f.PACKET_TYPE, _NSH_PACKET, f.PACKET_TYPE.mask)
    elif word.startswith("tun_metadata") and word in BY_NAME:
        yield Term(BY_NAME[f"{word}_present"], 1, 1)
    else:
        raise ValueError("no field or protocol is called so")


def _field_terms(name: str, text: str, ports: Mapping[str, int]) -> Iterator[Term]:
    name = name.strip()
    if name in _SPECIAL:
        yield from _SPECIAL[name](text)
        return
    field = BY_NAME.get(name)
    if field is None:
        yield from _numbered_tag(name, text)
        return
    if field.format is values.PORT:
        number = read_port(text, ports)
        cell = field.pieces[0].cell if field.pieces else field
        yield Term(cell, number & cell.mask, cell.mask) if number >= 0 else Term(cell, -1, cell.mask, unquote(text))
        return
    value, mask = read_value(field, text)
    yield from terms_of(field, 0, field.bits, value, mask)


def terms_of(field: Field, start: int, bits: int, value: int, mask: int) -> Iterator[Term]:
    """Terms for `bits` bits of a field from bit `start` on."""
    for cell, in_cell, in_value, count in f.places(field, start, bits):
        part = (1 << count) - 1
        part_mask = (mask >> in_value & part) << in_cell
        yield Term(cell, (value >> in_value & part) << in_cell & part_mask, part_mask)


def read_value(field: Field, text: str) -> tuple[int, int]:
    """`value` or `value/mask` of a field as two integers, the value under the mask.

    Raises:
        ValueError: it is none, or does not fit.
    """
    shape = field.format
    if shape.names is not None and text[:1] in ("+", "-"):
        return values.flags(text, shape.names)
    if shape.names is not None and text[:1].isalpha():
        return sum({shape.names[name] for name in text.split("|") if _known(name, shape.names)}), field.mask
    if field is f.IP_FRAG and text in values.FRAGMENT:
        return values.FRAGMENT[text]
    value_text, slash, mask_text = text.partition("/")
    value = shape.read(value_text)
    mask = _mask(field, mask_text) if slash else field.mask
    if value & ~field.mask or mask & ~field.mask:
        raise ValueError(f"{field.name} has {field.bits} bits")
    return value & mask, mask


def _known(name: str, names: Mapping[str, int]) -> bool:
    if name not in names:
        raise ValueError(f"no flag is called {printable(name, 20)}")
    return True


def _mask(field: Field, text: str) -> int:
    if field.format in (values.IPV4, values.IPV6) and text.isdecimal() and len(text) <= 3:
        return values.prefix_mask(int(text), field.bits)
    return field.mask if text == "-1" else field.format.read(text)


def read_port(text: str, ports: Mapping[str, int]) -> int:
    """An OpenFlow port by number, reserved name or name; -1 where no map gives the name a number."""
    if text.isdecimal() and len(text) <= 10:
        return int(text)
    name = unquote(text)
    if name in ports:
        return ports[name]
    if not name:
        raise ValueError("a port is missing")
    return values.PORTS.get(name.upper(), -1)


def _vlan(text: str) -> Iterator[Term]:
    vid = values.number(text)
    if vid == 0xFFFF:
        yield Term(f.VLAN_TCI, 0, 0x1FFF)
        return
    if vid > 0xFFF:
        raise ValueError("a VLAN id has 12 bits")
    yield Term(f.VLAN_TCI, vid | VLAN_PRESENT, 0x1FFF)


def _vlan_pcp(text: str) -> Iterator[Term]:
    pcp = values.number(text)
    if pcp > 7:
        raise ValueError("a VLAN priority has 3 bits")
    yield Term(f.VLAN_TCI, pcp << 13 | VLAN_PRESENT, 0xE000 | VLAN_PRESENT)


def _tos(text: str) -> Iterator[Term]:
    """`nw_tos` matches the six DSCP bits only (ovs-fields(7))."""
    tos = values.number(text)
    if tos & ~0xFC:
        raise ValueError("nw_tos is the DSCP, a multiple of 4 below 256")
    yield Term(f.IP_TOS, tos, 0xFC)


def _numbered_tag(name: str, text: str) -> Iterator[Term]:
    """`dl_vlan1`, `dl_vlan_pcp1` and `mpls_label1`…: printed for inner tags and labels, accepted by no command."""
    if name in {"dl_vlan1", "dl_vlan_pcp1"}:
        for term in (_vlan if name == "dl_vlan1" else _vlan_pcp)(text):
            yield Term(f.VLAN_TCI1, term.value, term.mask)
        return
    shape = {"mpls_label": (12, 20), "mpls_tc": (9, 3), "mpls_bos": (8, 1), "mpls_ttl": (0, 8)}.get(name[:-1])
    if shape is None or name[-1] not in "12":
        raise ValueError("no field is called so")
    shift, bits = shape
    value = values.number(text)
    if value >> bits:
        raise ValueError(f"{name} has {bits} bits")
    yield Term(BY_NAME[f"mpls_lse{name[-1]}"], value << shift, ((1 << bits) - 1) << shift)


_SPECIAL: Final[Mapping[str, Callable[[str], Iterator[Term]]]] = {
    "dl_vlan": _vlan,
    "dl_vlan_pcp": _vlan_pcp,
    "vlan_pcp": _vlan_pcp,
    "nw_tos": _tos,
}


def _words(match: Match) -> Iterator[str]:
    """The terms as text. A protocol's word stands for Ethernet type and IP protocol and comes where the type would."""
    ethertype, protocol = match.exact(f.ETH_TYPE), match.exact(f.IP_PROTO)
    word = "" if ethertype is None else _WORDS.get((ethertype, protocol), "")
    for term in match.terms:
        if term.cell is f.ETH_TYPE and ethertype is not None:
            yield word or _WORDS.get((ethertype, None), "") or f"dl_type=0x{ethertype:04x}"
        elif term.cell is not f.IP_PROTO or not word:
            yield from term_words(term)


def term_words(term: Term) -> Iterator[str]:
    """One term as ovs-ofctl prints it; several words for a VLAN tag or a TOS byte."""
    cell = term.cell
    if cell in (f.VLAN_TCI, f.VLAN_TCI1):
        yield from _tag_words(term)
    elif cell is f.IP_TOS:
        if term.mask & 0xFC:
            yield f"nw_tos={term.value & 0xFC}"
        if term.mask & 3:
            yield f"nw_ecn={term.value & 3}"
    elif cell is f.PACKET_TYPE and term.value in (_ETHERNET_PACKET, _NSH_PACKET):
        yield "nsh" if term.value else "eth"
    elif cell.name.endswith("_present"):
        yield cell.name[: -len("_present")]
    elif cell.name.startswith("mpls_lse"):
        yield from _label_words(term)
    elif term.port:
        yield f"{cell.name}={quote(term.port)}"
    else:
        yield f"{cell.name}={value_text(cell, term.value, term.mask)}"


def quote(name: str) -> str:
    """A port's or table's name as ovs-ofctl prints it: in quotes unless it is one plain word."""
    plain = name.replace("_", "a").replace("-", "a").replace(".", "a")
    if plain.isalnum() and plain.isascii() and name[0].isalpha():
        return name
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def value_text(field: Field, value: int, mask: int) -> str:
    """`value` or `value/mask` of a field."""
    shape = field.format
    if shape.names is not None and mask != field.mask and not mask & ~sum(shape.names.values()):
        return values.flags_text(value, mask, shape.names)
    if field is f.IP_FRAG:
        return next((name for name, pair in values.FRAGMENT.items() if pair == (value, mask)), f"{value:#x}/{mask:#x}")
    if mask == field.mask:
        return shape.write(value)
    if shape in (values.IPV4, values.IPV6) and (length := values.prefix_length(mask, field.bits)) is not None:
        return f"{shape.write(value)}/{length}"
    return f"{shape.write_masked(value)}/{shape.write_masked(mask)}"


def _tag_words(term: Term) -> Iterator[str]:
    suffix = "1" if term.cell is f.VLAN_TCI1 else ""
    vid_mask, pcp_mask = term.mask & 0xFFF, term.mask & 0xE000
    is_tagged = term.value & term.mask & VLAN_PRESENT
    if is_tagged and vid_mask in (0, 0xFFF) and pcp_mask in (0, 0xE000) and (vid_mask or pcp_mask):
        if vid_mask:
            yield f"dl_vlan{suffix}={term.value & 0xFFF}"
        if pcp_mask:
            yield f"dl_vlan_pcp{suffix}={term.value >> 13}"
    elif term.mask == 0xFFFF:
        yield f"vlan_tci{suffix}=0x{term.value:04x}"
    else:
        yield f"vlan_tci{suffix}=0x{term.value:04x}/0x{term.mask:04x}"


def _label_words(term: Term) -> Iterator[str]:
    for name, shift, bits in (("label", 12, 20), ("tc", 9, 3), ("ttl", 0, 8), ("bos", 8, 1)):
        if term.mask >> shift & ((1 << bits) - 1):
            yield f"mpls_{name}{term.cell.name[-1]}={term.value >> shift & ((1 << bits) - 1)}"
