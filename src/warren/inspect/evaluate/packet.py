"""A packet and its metadata as one list of numbers, a place for each cell; and what a header needs to be there."""

from collections.abc import Iterable, Mapping
from typing import Final, TypeAlias

from warren.inspect.parse import fields as f
from warren.inspect.parse.fields import FIELDS, Field
from warren.inspect.parse.match import Term, read_match

Values: TypeAlias = list[int]
"""The bits of every cell at `cell.order`; 0 where the packet has none. Changed in place while a packet is under way."""

SIZE: Final = len(FIELDS)

IN_PORT: Final = f.IN_PORT.order
ETH_TYPE: Final = f.ETH_TYPE.order
ETH_SRC: Final = f.ETH_SRC.order
ETH_DST: Final = f.ETH_DST.order
VLAN: Final = f.VLAN_TCI.order
INNER_VLAN: Final = f.VLAN_TCI1.order
IP_PROTO: Final = f.IP_PROTO.order
IP_TTL: Final = f.IP_TTL.order
IP_FRAG: Final = f.IP_FRAG.order
ICMP_TYPE: Final = f.ICMP_TYPE.order
CT_CELLS: Final = tuple(
    cell.order
    for cell in (
        f.CT_STATE,
        f.CT_ZONE,
        f.CT_MARK,
        f.CT_LABEL,
        f.CT_NW_SRC,
        f.CT_NW_DST,
        f.CT_IPV6_SRC,
        f.CT_IPV6_DST,
        f.CT_NW_PROTO,
        f.CT_TP_SRC,
        f.CT_TP_DST,
    )
)
BRIDGE_CELLS: Final = (
    f.METADATA.order,
    f.ACTSET_OUTPUT.order,
    *(register.order for register in f.REGS),
    *(field.order for field in FIELDS if field.name.startswith("tun_") and not field.pieces),
    *CT_CELLS,
)
"""What a packet loses when it enters another bridge through a patch port (ofproto-dpif-xlate.c, patch_port_output)."""

_IP: Final = (0x0800, 0x86DD)
_ARP: Final = (0x0806, 0x8035)


def packet(text: str, ports: Mapping[str, int] | None = None) -> Values:
    """A packet as `ofproto/trace` takes it: `in_port=1,dl_vlan=5,tcp,nw_dst=10.0.0.1,tp_dst=22`.

    Raises:
        Unreadable: with the offset in `text`.
    """
    return packet_of(read_match(text, ports or {}))


def packet_of(terms: Iterable[Term]) -> Values:
    """A packet with these values, and 0 for the rest."""
    values = [0] * SIZE
    for term in terms:
        values[term.cell.order] |= term.value
    return values


def has_header(cell: Field, values: Values) -> bool:
    """Whether the packet has the header that a cell belongs to: writes to others are left out (ovs-actions(7))."""
    need = _NEEDS.get(cell)
    if need is None:
        return True
    ethertypes, protocols, icmp_types = need
    if values[ETH_TYPE] not in ethertypes:
        return False
    if protocols and (values[IP_PROTO] not in protocols or values[IP_FRAG] & 2):
        return False
    return not icmp_types or values[ICMP_TYPE] in icmp_types


_NEEDS: Final[Mapping[Field, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]]] = {
    **dict.fromkeys((f.IP_SRC, f.IP_DST), ((0x0800,), (), ())),
    **dict.fromkeys((f.IPV6_SRC, f.IPV6_DST, f.BY_NAME["ipv6_label"]), ((0x86DD,), (), ())),
    **dict.fromkeys((f.IP_TOS, f.IP_TTL, f.IP_PROTO, f.IP_FRAG), (_IP, (), ())),
    **dict.fromkeys((f.ARP_OP, f.ARP_SPA, f.ARP_TPA, f.ARP_SHA, f.ARP_THA), (_ARP, (), ())),
    **dict.fromkeys((f.TP_SRC, f.TP_DST), (_IP, (6, 17, 132), ())),
    f.TCP_FLAGS: (_IP, (6,), ()),
    **dict.fromkeys((f.ICMP_TYPE, f.ICMP_CODE), (_IP, (1, 58), ())),
    f.ND_TARGET: ((0x86DD,), (58,), (135, 136)),
    f.ND_SLL: ((0x86DD,), (58,), (135,)),
    f.ND_TLL: ((0x86DD,), (58,), (136,)),
    **dict.fromkeys(
        (f.MPLS_LABEL, f.BY_NAME["mpls_tc"], f.BY_NAME["mpls_ttl"], f.BY_NAME["mpls_bos"]), ((0x8847, 0x8848), (), ())
    ),
}
"""Cell -> (Ethernet types, IP protocols, ICMPv6 types) of which the packet must have one each; empty: any."""
