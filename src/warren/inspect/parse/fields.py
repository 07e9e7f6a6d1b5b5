"""Every field of Open vSwitch 2.17 to 4.0, declared once: names, width, format, and the cell that its bits live in.

Several names can mean the same bits: `dl_vlan`, `vlan_vid` and `vlan_tci`; `xreg0` and `reg0`, `reg1`; `tcp_src` and
`tp_src`. A *cell* is the one storage behind them, itself a field; matches are kept and compared in cells, so that
spelling makes no difference. Source: ovs-fields(7).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from warren.inspect.parse import values
from warren.inspect.parse.values import DECIMAL, ETHERNET, HEXADECIMAL, IPV4, IPV6, PORT, Format


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """One name for some bits. Compared by identity: there is exactly one object for each name's bits."""

    name: str
    bits: int
    format: Format
    nxm: str
    """How `load`, `move` and `learn` call it in dumps, `NXM_OF_VLAN_TCI`; the plain name where it has none."""
    others: tuple[str, ...]
    """All further names that mean exactly this."""
    pieces: "tuple[Piece, ...]"
    """Where its bits live, most significant first; empty for a cell, which is its own place."""
    order: int
    """Position in a printed match, and of a cell's value in a packet; counts from 0 without gaps."""

    @property
    def mask(self) -> int:
        return (1 << self.bits) - 1

    def __repr__(self) -> str:
        return f"<field {self.name}>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """`bits` bits of a cell from bit `shift` on."""

    cell: Field
    shift: int
    bits: int


BY_NAME: Final[dict[str, Field]] = {}
"""Every name, alias and NXM/OXM name -> its field."""
FIELDS: Final[list[Field]] = []
"""In the order of a printed match."""
REGISTERS: Final = 32
"""16 up to Open vSwitch 3.6, 32 since."""
_REGISTERS_IN_NXM_NX: Final = 16
"""The further ones found no place left in the class NXM_NX."""


def _cell(name: str, bits: int, shape: Format, nxm: str = "", *others: str) -> Field:
    return _declare(
        Field(name=name, bits=bits, format=shape, nxm=nxm or name, others=others, pieces=(), order=len(FIELDS))
    )


def _alias(name: str, bits: int, shape: Format, nxm: str, pieces: tuple[Piece, ...], *others: str) -> Field:
    return _declare(Field(name=name, bits=bits, format=shape, nxm=nxm, others=others, pieces=pieces, order=len(FIELDS)))


def _declare(field: Field) -> Field:
    names = {field.name, field.nxm, *field.others}
    for name in names & BY_NAME.keys():
        raise ValueError(f"two fields are called {name}")
    FIELDS.append(field)
    BY_NAME.update(dict.fromkeys(names, field))
    return field


def _piece(cell: Field, shift: int, bits: int) -> tuple[Piece, ...]:
    return (Piece(cell=cell, shift=shift, bits=bits),)


def _register_class(number: int) -> str:
    return "NXM_NX" if number < _REGISTERS_IN_NXM_NX else "NXOXM_ET"


# The order is that of a printed match (lib/match.c, match_format).
DP_HASH: Final = _cell("dp_hash", 32, HEXADECIMAL, "NXM_NX_DP_HASH", "NXOXM_ET_DP_HASH")
RECIRC_ID: Final = _cell("recirc_id", 32, HEXADECIMAL, "NXM_NX_RECIRC_ID")
CONJ_ID: Final = _cell("conj_id", 32, DECIMAL, "NXM_NX_CONJ_ID")
PKT_MARK: Final = _cell("pkt_mark", 32, HEXADECIMAL, "NXM_NX_PKT_MARK")
ACTSET_OUTPUT: Final = _cell("actset_output", 32, PORT, "OXM_OF_ACTSET_OUTPUT", "ONFOXM_ET_ACTSET_OUTPUT")
CT_STATE: Final = _cell("ct_state", 32, values.CT_STATE_FLAGS, "NXM_NX_CT_STATE")
CT_ZONE: Final = _cell("ct_zone", 16, DECIMAL, "NXM_NX_CT_ZONE")
CT_MARK: Final = _cell("ct_mark", 32, HEXADECIMAL, "NXM_NX_CT_MARK")
CT_LABEL: Final = _cell("ct_label", 128, HEXADECIMAL, "NXM_NX_CT_LABEL")
CT_NW_SRC: Final = _cell("ct_nw_src", 32, IPV4, "NXM_NX_CT_NW_SRC")
CT_IPV6_SRC: Final = _cell("ct_ipv6_src", 128, IPV6, "NXM_NX_CT_IPV6_SRC")
CT_NW_DST: Final = _cell("ct_nw_dst", 32, IPV4, "NXM_NX_CT_NW_DST")
CT_IPV6_DST: Final = _cell("ct_ipv6_dst", 128, IPV6, "NXM_NX_CT_IPV6_DST")
CT_NW_PROTO: Final = _cell("ct_nw_proto", 8, DECIMAL, "NXM_NX_CT_NW_PROTO")
CT_TP_SRC: Final = _cell("ct_tp_src", 16, DECIMAL, "NXM_NX_CT_TP_SRC")
CT_TP_DST: Final = _cell("ct_tp_dst", 16, DECIMAL, "NXM_NX_CT_TP_DST")
SKB_PRIORITY: Final = _cell("skb_priority", 32, HEXADECIMAL)
PACKET_TYPE: Final = _cell("packet_type", 32, values.PACKET_TYPE, "OXM_OF_PACKET_TYPE")
ETH_TYPE: Final = _cell(
    "dl_type", 16, Format(read=values.number, write=lambda v: f"0x{v:04x}", write_masked=hex), "NXM_OF_ETH_TYPE",
    "eth_type", "OXM_OF_ETH_TYPE",
)  # fmt: skip
REGS: Final = tuple(_cell(f"reg{n}", 32, HEXADECIMAL, f"{_register_class(n)}_REG{n}") for n in range(REGISTERS))
TUN_ID: Final = _cell("tun_id", 64, HEXADECIMAL, "NXM_NX_TUN_ID", "tunnel_id", "OXM_OF_TUNNEL_ID")
TUN_SRC: Final = _cell("tun_src", 32, IPV4, "NXM_NX_TUN_IPV4_SRC")
TUN_DST: Final = _cell("tun_dst", 32, IPV4, "NXM_NX_TUN_IPV4_DST")
_cell("tun_ipv6_src", 128, IPV6, "NXM_NX_TUN_IPV6_SRC")
_cell("tun_ipv6_dst", 128, IPV6, "NXM_NX_TUN_IPV6_DST")
_cell("tun_gbp_id", 16, DECIMAL, "NXM_NX_TUN_GBP_ID")
_cell("tun_gbp_flags", 8, HEXADECIMAL, "NXM_NX_TUN_GBP_FLAGS")
_cell("tun_erspan_ver", 8, DECIMAL, "NXOXM_ET_ERSPAN_VER")
_cell("tun_erspan_idx", 32, HEXADECIMAL, "NXOXM_ET_ERSPAN_IDX")
_cell("tun_erspan_dir", 8, DECIMAL, "NXOXM_ET_ERSPAN_DIR")
_cell("tun_erspan_hwid", 8, HEXADECIMAL, "NXOXM_ET_ERSPAN_HWID")
_cell("tun_gtpu_flags", 8, HEXADECIMAL, "NXOXM_ET_GTPU_FLAGS", "gtpu_flags")
_cell("tun_gtpu_msgtype", 8, DECIMAL, "NXOXM_ET_GTPU_MSGTYPE", "gtpu_msgtype")
_cell("tun_tos", 8, HEXADECIMAL)
_cell("tun_ttl", 8, DECIMAL)
_cell("tun_flags", 16, values.TUNNEL_FLAG_BITS, "NXM_NX_TUN_FLAGS")
TUN_METADATA: Final = tuple(_cell(f"tun_metadata{n}", 992, HEXADECIMAL, f"NXM_NX_TUN_METADATA{n}") for n in range(64))
METADATA: Final = _cell("metadata", 64, HEXADECIMAL, "OXM_OF_METADATA")
IN_PORT: Final = _cell("in_port", 16, PORT, "NXM_OF_IN_PORT")
VLAN_TCI: Final = _cell("vlan_tci", 16, HEXADECIMAL, "NXM_OF_VLAN_TCI")
VLAN_TCI1: Final = _cell("vlan_tci1", 16, HEXADECIMAL)
"""The inner tag; the switch prints it, no action names it."""
ETH_SRC: Final = _cell("dl_src", 48, ETHERNET, "NXM_OF_ETH_SRC", "eth_src", "OXM_OF_ETH_SRC")
ETH_DST: Final = _cell("dl_dst", 48, ETHERNET, "NXM_OF_ETH_DST", "eth_dst", "OXM_OF_ETH_DST")
IPV6_SRC: Final = _cell("ipv6_src", 128, IPV6, "NXM_NX_IPV6_SRC", "OXM_OF_IPV6_SRC")
IPV6_DST: Final = _cell("ipv6_dst", 128, IPV6, "NXM_NX_IPV6_DST", "OXM_OF_IPV6_DST")
_cell("ipv6_label", 32, HEXADECIMAL, "NXM_NX_IPV6_LABEL", "OXM_OF_IPV6_FLABEL")
IP_SRC: Final = _cell("nw_src", 32, IPV4, "NXM_OF_IP_SRC", "ip_src", "OXM_OF_IPV4_SRC")
IP_DST: Final = _cell("nw_dst", 32, IPV4, "NXM_OF_IP_DST", "ip_dst", "OXM_OF_IPV4_DST")
ARP_SPA: Final = _cell("arp_spa", 32, IPV4, "NXM_OF_ARP_SPA", "OXM_OF_ARP_SPA")
ARP_TPA: Final = _cell("arp_tpa", 32, IPV4, "NXM_OF_ARP_TPA", "OXM_OF_ARP_TPA")
_cell("nsh_flags", 8, DECIMAL, "NXOXM_NSH_FLAGS")
_cell("nsh_ttl", 8, DECIMAL, "NXOXM_NSH_TTL")
_cell("nsh_mdtype", 8, DECIMAL, "NXOXM_NSH_MDTYPE")
_cell("nsh_np", 8, DECIMAL, "NXOXM_NSH_NP")
_cell("nsh_spi", 32, HEXADECIMAL, "NXOXM_NSH_SPI", "nsp")
_cell("nsh_si", 8, DECIMAL, "NXOXM_NSH_SI", "nsi")
for _n in range(1, 5):
    _cell(f"nsh_c{_n}", 32, HEXADECIMAL, f"NXOXM_NSH_C{_n}", f"nshc{_n}")
ARP_OP: Final = _cell("arp_op", 16, DECIMAL, "NXM_OF_ARP_OP", "OXM_OF_ARP_OP")
IP_PROTO: Final = _cell("nw_proto", 8, DECIMAL, "NXM_OF_IP_PROTO", "ip_proto", "OXM_OF_IP_PROTO")
ARP_SHA: Final = _cell("arp_sha", 48, ETHERNET, "NXM_NX_ARP_SHA", "OXM_OF_ARP_SHA")
ARP_THA: Final = _cell("arp_tha", 48, ETHERNET, "NXM_NX_ARP_THA", "OXM_OF_ARP_THA")
IP_TOS: Final = _cell("ip_tos_byte", 8, DECIMAL)
"""The whole byte: six bits DSCP, two bits ECN. No name of Open vSwitch covers both; `nw_tos` is the upper six."""
IP_TTL: Final = _cell("nw_ttl", 8, DECIMAL, "NXM_NX_IP_TTL")
MPLS_LABEL: Final = _cell("mpls_label", 20, DECIMAL, "OXM_OF_MPLS_LABEL")
_cell("mpls_tc", 3, DECIMAL, "OXM_OF_MPLS_TC")
_cell("mpls_ttl", 8, DECIMAL, "NXM_NX_MPLS_TTL")
_cell("mpls_bos", 1, DECIMAL, "OXM_OF_MPLS_BOS")
for _n in (1, 2):
    _cell(f"mpls_lse{_n}", 32, HEXADECIMAL)
IP_FRAG: Final = _cell("nw_frag", 2, HEXADECIMAL, "NXM_NX_IP_FRAG", "ip_frag")
TP_SRC: Final = _cell(
    "tp_src", 16, DECIMAL, "NXM_OF_TCP_SRC", "tcp_src", "udp_src", "sctp_src", "OXM_OF_TCP_SRC", "NXM_OF_UDP_SRC",
    "OXM_OF_UDP_SRC", "OXM_OF_SCTP_SRC",
)  # fmt: skip
TP_DST: Final = _cell(
    "tp_dst", 16, DECIMAL, "NXM_OF_TCP_DST", "tcp_dst", "udp_dst", "sctp_dst", "OXM_OF_TCP_DST", "NXM_OF_UDP_DST",
    "OXM_OF_UDP_DST", "OXM_OF_SCTP_DST",
)  # fmt: skip
ICMP_TYPE: Final = _cell(
    "icmp_type", 8, DECIMAL, "NXM_OF_ICMP_TYPE", "OXM_OF_ICMPV4_TYPE", "icmpv6_type", "NXM_NX_ICMPV6_TYPE",
    "OXM_OF_ICMPV6_TYPE",
)  # fmt: skip
ICMP_CODE: Final = _cell(
    "icmp_code", 8, DECIMAL, "NXM_OF_ICMP_CODE", "OXM_OF_ICMPV4_CODE", "icmpv6_code", "NXM_NX_ICMPV6_CODE",
    "OXM_OF_ICMPV6_CODE",
)  # fmt: skip
TCP_FLAGS: Final = _cell(
    "tcp_flags", 12, values.TCP_FLAG_BITS, "NXM_NX_TCP_FLAGS", "OXM_OF_TCP_FLAGS", "ONFOXM_ET_TCP_FLAGS"
)
ND_TARGET: Final = _cell("nd_target", 128, IPV6, "NXM_NX_ND_TARGET", "OXM_OF_IPV6_ND_TARGET")
ND_SLL: Final = _cell("nd_sll", 48, ETHERNET, "NXM_NX_ND_SLL", "OXM_OF_IPV6_ND_SLL")
ND_TLL: Final = _cell("nd_tll", 48, ETHERNET, "NXM_NX_ND_TLL", "OXM_OF_IPV6_ND_TLL")
_cell("nd_reserved", 32, DECIMAL, "ERICOXM_OF_ICMPV6_ND_RESERVED")
_cell("nd_options_type", 8, DECIMAL, "ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE")
TUN_METADATA_PRESENT: Final = tuple(_cell(f"tun_metadata{n}_present", 1, DECIMAL) for n in range(64))

# Names for parts of cells.
DL_VLAN: Final = _alias("dl_vlan", 12, DECIMAL, "dl_vlan", _piece(VLAN_TCI, 0, 12))
DL_VLAN_PCP: Final = _alias("dl_vlan_pcp", 3, DECIMAL, "dl_vlan_pcp", _piece(VLAN_TCI, 13, 3))
VLAN_VID: Final = _alias("vlan_vid", 13, HEXADECIMAL, "OXM_OF_VLAN_VID", _piece(VLAN_TCI, 0, 13))
VLAN_PCP: Final = _alias("vlan_pcp", 3, DECIMAL, "OXM_OF_VLAN_PCP", _piece(VLAN_TCI, 13, 3))
IN_PORT_OXM: Final = _alias("in_port_oxm", 32, PORT, "OXM_OF_IN_PORT", _piece(IN_PORT, 0, 16))
NW_TOS: Final = _alias("nw_tos", 8, DECIMAL, "NXM_OF_IP_TOS", _piece(IP_TOS, 0, 8))
IP_DSCP: Final = _alias("ip_dscp", 6, DECIMAL, "OXM_OF_IP_DSCP", _piece(IP_TOS, 2, 6))
NW_ECN: Final = _alias("nw_ecn", 2, DECIMAL, "NXM_NX_IP_ECN", _piece(IP_TOS, 0, 2), "ip_ecn", "OXM_OF_IP_ECN")
for _n in range(REGISTERS // 2):
    _alias(
        f"xreg{_n}", 64, HEXADECIMAL, f"OXM_OF_PKT_REG{_n}",
        (*_piece(REGS[2 * _n], 0, 32), *_piece(REGS[2 * _n + 1], 0, 32)),
    )  # fmt: skip
for _n in range(REGISTERS // 4):
    _alias(
        f"xxreg{_n}", 128, HEXADECIMAL, f"{_register_class(4 * _n)}_XXREG{_n}",
        tuple(Piece(cell=REGS[4 * _n + part], shift=0, bits=32) for part in range(4)),
    )  # fmt: skip


def places(field: Field, start: int, bits: int) -> Iterator[tuple[Field, int, int, int]]:
    """Where `bits` bits of a field from `start` on live: (cell, first bit there, first bit of the value, bits) each."""
    if not field.pieces:
        yield field, start, 0, bits
        return
    low = sum(piece.bits for piece in field.pieces)
    for piece in field.pieces:
        low -= piece.bits
        first, last = max(start, low), min(start + bits, low + piece.bits)
        if first < last:
            yield piece.cell, piece.shift + first - low, first - start, last - first
