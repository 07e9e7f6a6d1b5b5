"""Random flows as text, over every match field and action that `ovs-ofctl` installs. The same for the same seed."""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from random import Random
from typing import Final

from warren.inspect.parse import values
from warren.inspect.parse.fields import BY_NAME, Field

_IP_FAMILY: Final = ("ip", "ipv6", "tcp", "udp", "sctp", "icmp", "tcp6", "udp6", "sctp6", "icmp6")
_PREREQUISITES: Final[Mapping[str, tuple[str, ...]]] = {
    **dict.fromkeys(("nw_src", "nw_dst"), ("ip", "tcp", "udp", "icmp")),
    **dict.fromkeys(("ipv6_src", "ipv6_dst", "ipv6_label"), ("ipv6", "tcp6", "icmp6")),
    **dict.fromkeys(("nw_tos", "nw_ecn", "nw_ttl", "nw_frag", "ip_dscp"), _IP_FAMILY),
    "nw_proto": ("ip", "ipv6"),
    **dict.fromkeys(("arp_op", "arp_spa", "arp_tpa", "arp_sha", "arp_tha"), ("arp", "rarp")),
    **dict.fromkeys(("tp_src", "tp_dst"), ("tcp", "udp", "sctp", "tcp6", "udp6", "sctp6")),
    "tcp_flags": ("tcp", "tcp6"),
    **dict.fromkeys(("icmp_type", "icmp_code"), ("icmp", "icmp6")),
    "nd_target": ("icmp6,icmp_type=135,icmp_code=0", "icmp6,icmp_type=136,icmp_code=0"),
    "nd_sll": ("icmp6,icmp_type=135,icmp_code=0",),
    "nd_tll": ("icmp6,icmp_type=136,icmp_code=0",),
    **dict.fromkeys(("mpls_label", "mpls_tc", "mpls_bos", "mpls_ttl"), ("mpls", "mplsm")),
}
_NO_MASK: Final = frozenset((
    "conj_id", "in_port", "actset_output", "dl_type", "ct_zone", "ct_nw_proto", "nw_tos", "nw_ecn", "ip_dscp",
    "nw_proto", "nw_ttl", "arp_op", "icmp_type", "tun_gtpu_flags", "tun_gtpu_msgtype", "tun_gbp_flags",
    "icmp_code", "mpls_label", "mpls_tc", "mpls_bos", "mpls_ttl", "dl_vlan", "dl_vlan_pcp", "nd_reserved",
    "nd_options_type",
))  # fmt: skip
MATCH_FIELDS: Final = (
    "conj_id", "pkt_mark", "ct_state", "ct_zone", "ct_mark", "ct_label", "actset_output", "reg0", "reg7",
    "reg15", "xreg3", "xxreg1", "tun_id", "tun_src", "tun_dst", "tun_ipv6_src", "tun_ipv6_dst", "tun_gbp_id",
    "tun_gbp_flags", "tun_gtpu_flags", "tun_gtpu_msgtype", "tun_flags", "metadata", "in_port", "vlan_tci",
    "dl_vlan", "dl_vlan_pcp", "vlan_vid", "dl_src", "dl_dst", "dl_type", "ipv6_src", "ipv6_dst", "ipv6_label",
    "nw_src", "nw_dst", "nw_proto", "nw_tos", "nw_ecn", "nw_ttl", "nw_frag", "ip_dscp", "arp_op", "arp_spa",
    "arp_tpa", "arp_sha", "arp_tha", "tp_src", "tp_dst", "tcp_flags", "icmp_type", "icmp_code", "nd_target",
    "nd_sll", "nd_tll", "mpls_label", "mpls_tc", "mpls_bos",
)  # fmt: skip
"""What is matched. Left out: what Open vSwitch 3.1 takes but does not print (ERSPAN), or what needs a special setup."""
_NARROW: Final = {"tun_flags": 1, "ipv6_label": 20, "mpls_label": 20}


def random_match(random: Random) -> str:
    """A match of one to three fields with what they require."""
    name = random.choice(MATCH_FIELDS)
    before = random.choice(_PREREQUISITES.get(name, ("",)))
    extras = set(random.sample(("reg3", "metadata", "dl_src", "in_port", "tun_id"), random.randint(0, 2))) - {name}
    return ",".join((*filter(None, (before,)), *(match_term(random, extra) for extra in (*sorted(extras), name))))


_CHOICES: Final[Mapping[str, tuple[str, ...]]] = {
    "ct_state": ("+trk", "-trk", "+est+trk", "-new+est-rel+rpl-inv+trk", "+inv+trk", "+snat+trk"),
    "tcp_flags": ("+syn", "+syn-ack", "+fin+rst", "0x012", "0x2/0xf"),
    "nw_frag": ("no", "yes", "first", "later", "not_later"),
    "vlan_tci": ("0x1005/0x1fff", "0x0001/0x0fff", "0x0000/0x1fff", "0xf005"),
    "vlan_vid": ("0x1005", "0x1000/0x1000", "0", "0x1002/0x100f"),
    "tun_flags": ("+oam", "-oam"),
    "dl_type": ("0x88cc", "0x1234", "0x0800", "0x86dd", "0x0806"),
    "arp_op": ("1", "2", "7"),
    "nw_tos": ("0", "32", "252"),
    "dl_vlan": ("0", "1", "4094"),
}


def match_term(random: Random, name: str) -> str:
    """One field with a random value, sometimes masked."""
    if name in _CHOICES:
        return f"{name}={random.choice(_CHOICES[name])}"
    return f"{name}={_value(random, BY_NAME[name])}"


def _value(random: Random, field: Field) -> str:
    bits = _NARROW.get(field.name, field.bits)
    if field.format is values.PORT:
        return str(random.randint(1, 5))
    value = random.getrandbits(bits)
    if field.name in _NO_MASK or random.random() < 0.6:
        return field.format.write(value)
    mask = random.getrandbits(bits) or 1
    if field.format in (values.IPV4, values.IPV6) and random.random() < 0.7:
        return f"{field.format.write(value)}/{random.randint(1, field.bits)}"
    return f"{field.format.write(value & mask)}/{field.format.write_masked(mask)}"


def _hex(random: Random, bits: int) -> str:
    return hex(random.getrandbits(bits))


def _mac(random: Random) -> str:
    return values.ethernet_text(random.getrandbits(48) & ~(1 << 40))


_ACTIONS: Final[tuple[Callable[[Random], str], ...]] = (
    lambda r: f"output:{r.randint(1, 5)}",
    lambda r: r.choice(("NORMAL", "FLOOD", "ALL", "IN_PORT", "LOCAL", "output:NXM_NX_REG0[]", "output:reg3[4..19]")),
    lambda r: f"output(port={r.randint(1, 5)},max_len={r.randint(14, 2000)})",
    lambda r: r.choice(("CONTROLLER:65535", "controller(max_len=128,id=5)", "controller(userdata=01.02.03,pause)")),
    lambda r: f"enqueue:{r.randint(1, 5)}:{r.randint(0, 9)}",
    lambda r: f"resubmit(,{r.randint(1, 100)})",
    lambda r: r.choice(("resubmit:3", "resubmit(2,)", "resubmit(1,9)")),
    lambda r: f"load:{_hex(r, 32)}->NXM_NX_REG{r.randint(0, 15)}[]",
    lambda r: f"load:{_hex(r, 12)}->NXM_NX_REG{r.randint(0, 15)}[4..15]",
    lambda r: f"load:{_hex(r, 16)}->NXM_OF_VLAN_TCI[]",
    lambda r: f"load:{_hex(r, 1)}->NXM_NX_REG1[{r.randint(0, 31)}]",
    lambda r: f"set_field:{_hex(r, 8)}/0xff->reg2",
    lambda r: f"set_field:{_hex(r, 64)}->tun_id",
    lambda r: f"set_field:{_hex(r, 128)}->xxreg0",
    lambda r: f"set_field:{_mac(r)}->eth_src",
    lambda r: f"set_field:{_hex(r, 64)}->xreg2",
    lambda r: f"set_field:{_mac(r)[:9]}00:00:00/ff:ff:ff:00:00:00->eth_dst",
    lambda r: f"set_tunnel:{_hex(r, 24)}",
    lambda r: f"mod_dl_src:{_mac(r)}",
    lambda r: f"mod_dl_dst:{_mac(r)}",
    lambda r: f"mod_vlan_vid:{r.randint(1, 4094)}",
    lambda r: f"mod_vlan_pcp:{r.randint(0, 7)}",
    lambda _: "strip_vlan",
    lambda r: f"push_vlan:{r.choice(('0x8100', '0x88a8'))}",
    lambda _: "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
    lambda _: "move:NXM_NX_REG0[0..15]->NXM_NX_REG5[16..31]",
    lambda _: "push:NXM_NX_REG0[],pop:NXM_NX_REG1[]",
    lambda r: f"learn(table={r.randint(1, 99)},hard_timeout=300,priority=1,cookie={_hex(r, 64)},NXM_OF_VLAN_TCI[0..11],"
    "NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],load:0->NXM_OF_VLAN_TCI[],load:NXM_NX_TUN_ID[]->NXM_NX_TUN_ID[],"
    "output:OXM_OF_IN_PORT[])",
    lambda r: f"learn(table=7,idle_timeout={r.randint(1, 99)},fin_idle_timeout=3,send_flow_rem,delete_learned,"
    "limit=9,result_dst=reg0[8],eth_type=0x800,nw_proto=6,load:0x5->NXM_NX_REG1[0..7])",
    lambda r: f"clone(load:{_hex(r, 16)}->NXM_NX_REG0[0..15],clone(output:1,strip_vlan),resubmit(,3))",
    lambda r: f"note:{'.'.join(f'{r.randrange(256):02x}' for _ in range(6))}",
    lambda r: r.choice(
        (
            "multipath(symmetric_l4,1,modulo_n,4,0,NXM_NX_REG0[])",
            "bundle(eth_src,0,hrw,ofport,members:1,2,3)",
            "bundle_load(symmetric_l3l4+udp,5,active_backup,ofport,NXM_NX_REG1[0..15],members:4,5)",
            "sample(probability=12345,collector_set_id=2,obs_domain_id=3,obs_point_id=4,sampling_port=1,egress)",
            "set_queue:7",
            "pop_queue",
            "exit",
            "fin_timeout(idle_timeout=3,hard_timeout=9)",
            "check_pkt_larger(1450)->NXM_NX_REG0[3]",
            "delete_field:tun_metadata0",
            "write_metadata:0x5/0xff",
        )
    ),
)  # fmt: skip
_LAST_ONLY: Final = ("write_metadata", "goto_table", "write_actions")
_IP_ACTIONS: Final = ("dec_ttl", "dec_ttl(1,2)", "mod_nw_src:10.1.2.3", "mod_nw_dst:10.3.2.1", "mod_nw_tos:24",
                      "mod_nw_ecn:2", "mod_nw_ttl:9", "set_field:10.0.0.0/8->ip_src",
                      "set_field:46->ip_dscp")  # fmt: skip
_CT_ACTIONS: Final = (
    "ct(commit)",
    "ct(table=5,zone=NXM_NX_REG6[0..15])",
    "ct(commit,zone=7,exec(load:0x1->NXM_NX_CT_MARK[]))",
    "ct(commit,exec(set_field:0x3/0xf->ct_label))",
    "ct(table=3,nat)",
    "ct_clear",
)
_NAT_ACTIONS: Final = (
    "ct(commit,force,table=4,nat(src=10.0.0.1-10.0.0.9:80-90,random))",
    "ct(commit,nat(dst=10.0.0.7),alg=ftp)",
    "ct(commit,nat(dst=10.0.0.7:80))",
)
_NAT6_ACTIONS: Final = (
    "ct(commit,nat(src=[2001:db8::1]:80))",
    "ct(commit,nat(src=2001:db8::1-2001:db8::9,persistent,hash))",
    "ct(commit,nat(dst=[2001:db8::1]-[2001:db8::9]:80-90))",
)
_TCP_ACTIONS: Final = ("mod_tp_src:80", "mod_tp_dst:443", "set_field:99->tcp_dst", "load:0x50->NXM_OF_TCP_SRC[]")

_IPV4: Final = frozenset(("ip", "tcp", "udp", "icmp"))
_IPV6: Final = frozenset(("ipv6", "tcp6", "udp6", "icmp6"))
_BY_PROTOCOL: Final = (
    (_IPV4, _IP_ACTIONS),
    (_IPV4, _NAT_ACTIONS),
    (_IPV6, _NAT6_ACTIONS),
    (_IPV4 | _IPV6, _CT_ACTIONS),
    (frozenset(("tcp",)), _TCP_ACTIONS),
)


def random_actions(random: Random, match: str) -> str:
    """One to four actions that the match allows; seldom `drop`."""
    if random.random() < 0.05:
        return "drop"
    allowed: list[Callable[[Random], str]] = list(_ACTIONS)
    words = match.split(",")
    for protocols, more in _BY_PROTOCOL:
        if protocols & set(words):
            allowed += [partial(Random.choice, seq=more)] * 3
    chosen = [random.choice(allowed)(random) for _ in range(random.randint(1, 4))]
    last = [action for action in chosen if action.startswith(_LAST_ONLY)][:1]
    return ",".join([action for action in chosen if not action.startswith(_LAST_ONLY)] + last)


def random_flows(seed: int, count: int) -> Iterator[str]:
    """Flows for `ovs-ofctl add-flows`, each with a priority of its own so that none replaces another."""
    random = Random(seed)
    for number in range(count):
        match = random_match(random)
        timeouts = random.choice(("", "idle_timeout=600,", "hard_timeout=900,", "send_flow_rem,"))
        table = random.randint(0, 9)
        yield (
            f"table={table},cookie={random.getrandbits(64):#x},{timeouts}priority={number + 1},{match},"
            f"actions={random_actions(random, match)}"
        )
