"""Matches and actions as values: every spelling, and what is refused."""

import pytest

from warren.inspect.parse import fields
from warren.inspect.parse.actions import print_actions
from warren.inspect.parse.match import read_match
from warren.inspect.parse.problem import Unreadable
from warren.inspect.parse.read_actions import Names, read_actions
from warren.inspect.parse.values import HEXADECIMAL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dl_vlan=1,dl_vlan_pcp=3,dl_vlan1=7",
        "ct_state=+trk,ip,ct_nw_src=10.0.0.0/8,ct_tp_dst=80",
        "ct_state=+trk,ipv6,ct_ipv6_src=2001:db8::/32,ct_nw_proto=6",
        "tun_metadata0=0xabcd/0xff00,tun_metadata3",
        "tun_erspan_ver=2,tun_erspan_idx=0x3,tun_erspan_hwid=0x7",
        "nsh,nsh_mdtype=1,nsh_spi=0x123456,nsh_si=7,nsh_c1=0x1",
        "packet_type=(1,0x800)",
        "mpls,mpls_label=5,mpls_bos=0,mpls_label1=7,mpls_bos1=1",
        "recirc_id=0x5,dp_hash=0x1/0xf,skb_priority=0x2",
        "icmp6,icmp_type=135,nd_target=fe80::1,nd_sll=fa:16:3e:00:00:01,nd_reserved=0,nd_options_type=1",
        "reg31=0x5",
        "dl_type=0x88cc",
        "ipv6,nw_proto=47",
        "conj_id=16,in_port=LOCAL",
        "tcp,tp_src=0x3e8/0xfff8,tcp_flags=+syn-ack,nw_frag=not_later,nw_tos=32,nw_ecn=1",
        "vlan_tci=0x0000/0x1fff",
        "vlan_tci=0xe005",
        "dl_vlan_pcp=3",
        "eth,tun_metadata0",
        "packet_type=0x10800",
        "nw_tos=4,ip",
        "ip,nw_ecn=2",
        'in_port="a \\"b\\\\"',
        "vlan_tci=0x0001/0x0fff",
    ],
)
def test_a_match_printed_reads_back_to_the_same_match(text: str) -> None:
    match = read_match(text, {})
    assert read_match(str(match), {}) == match


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("dl_vlan=5", "vlan_tci=0x1005/0x1fff"),
        ("dl_vlan=5", "vlan_vid=0x1005"),
        ("dl_vlan=0xffff", "vlan_tci=0x0000/0x1fff"),
        ("vlan_vid=0", "vlan_tci=0"),
        ("xreg1=0x500000006", "reg2=0x5,reg3=0x6"),
        ("xxreg0=0x6", "reg0=0,reg1=0,reg2=0,reg3=6"),
        ("arp,nw_src=10.0.0.1,nw_proto=1", "dl_type=0x806,arp_spa=10.0.0.1,arp_op=1"),
        ("tcp,tcp_dst=80", "dl_type=0x800,nw_proto=6,tp_dst=80"),
        ("nw_src=10.1.2.3/255.255.0.0,ip", "ip,nw_src=10.1.0.0/16"),
        ("ct_state=0x21/0x21", "ct_state=+new+trk"),
        ("ip,nw_src=0.0.0.0/0", "ip"),
        ("ip,ip_dscp=8", "ip,nw_tos=32"),
        ("dl_src=fa:16:3e:0:0:1", "dl_src=fa:16:3e:00:00:01"),
        ("ct_state=est|trk", "ct_state=0x22"),
    ],
)
def test_two_spellings_of_a_match_are_equal(left: str, right: str) -> None:
    assert read_match(left, {}) == read_match(right, {})


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ("ip,nosuch=1", 3, "no field"),
        ("ip,nosuch", 3, "no field or protocol"),
        ("dl_vlan=5000", 0, "12 bits"),
        ("in_port=1,nw_src=1.2.3", 10, "nw_src"),
        ("reg0=0x1ffffffff", 0, "32 bits"),
        ("reg0=1_0", 0, "not a number"),
        ("reg0=1,reg0=2", 7, "contradicts"),
        ("ct_state=+nosuch", 0, "flags"),
        ("ct_state=nosuch", 0, "flag"),
        ("nw_src=1.2.3.4/99,ip", 0, "prefix"),
        ("in_port=", 0, "missing"),
        ("dl_src=fa:16", 0, "Ethernet"),
        ("mpls_label3=1", 0, "no field"),
        ("mpls_bos1=9", 0, "bits"),
        ("nw_tos=3", 0, "DSCP"),
        ("dl_vlan_pcp=9", 0, "3 bits"),
    ],
)
def test_what_is_wrong_in_a_match_is_named_with_its_place(text: str, offset: int, words: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read_match(text, {})
    assert raised.value.offset == offset
    assert words in raised.value.message


def test_names_of_ports_become_numbers_where_a_map_is_given() -> None:
    assert read_match('in_port="a b"', {"a b": 3}) == read_match("in_port=3", {})
    assert str(read_match("in_port=vxlan-0a", {})) == "in_port=vxlan-0a"
    names = Names(ports={"p1": 1}, tables={"acl": 9})
    assert read_actions("output:p1,resubmit(p1,acl),p1", names) == read_actions("output:1,resubmit(1,9),1")
    assert print_actions(read_actions("output:far,goto_table:acl")) == "output:far,goto_table:acl"


@pytest.mark.parametrize(
    "text",
    [
        "drop",
        "encap(nsh(md_type=2,tlv(0x1000,10,0x12345678))),decap(packet_type(ns=0,type=0))",
        "encap(mpls),dec_nsh_ttl,dec_mpls_ttl",
        "push_mpls:0x8847,set_mpls_label:5,set_mpls_ttl:3,set_mpls_tc:1,pop_mpls:0x0800",
        "write_actions(set_field:1->reg0,output:2),goto_table:3",
        "clear_actions,meter:7,write_metadata:0x1/0xff",
        "ct(commit,force,zone=reg6[0..15],table=3,nat(src=[2001:db8::1]:80,hash),exec(set_field:0x1->ct_mark),alg=ftp)",
        "check_pkt_larger(1400)->reg0[3]",
        "output(port=1,max_len=100),output:NXM_NX_REG1[16..31]",
        "controller(reason=no_match,max_len=128,id=1,userdata=01.02,pause,meter_id=3)",
        "conjunction(16,1/2),conjunction(17,2/2)",
        "learn(table=acl,idle_timeout=5,delete_learned,limit=3,result_dst=reg0[1],udp_dst=udp_src,load:reg1->reg2)",
        "set_queue:5,pop_queue,exit,debug_recirc,debug_slow",
        "clone(clone(clone(drop)))",
        "set_vlan_vid:3,set_vlan_pcp:2,mod_vlan_pcp:1",
        "resubmit:5,resubmit(,7,ct),resubmit(in_port,8),in_port,LOCAL",
        "group:4,enqueue(1,2),enqueue:1:2",
        "sample(probability=1,obs_domain_id=NXM_NX_REG0[],sampling_port=p1,ingress)",
        "bundle_load(nw_src,0,hrw,ofport,reg0[0..15],members:1,p2)",
        "move:eth_src[]->xxreg0[0..47]",
        "push_vlan:0x88a8,push:reg0,pop:reg1[3],dec_ttl,dec_ttl(1,2),output:reg0",
        "ct(nat),ct(nat(dst=10.0.0.1:80-90,random)),ct(nat())",
        "learn(table=1,in_port=99,eth_dst=01:02:03:04:05:06,ip_src=1.2.3.4,ipv6_src=fe80::1,NXM_OF_IP_DST[0..7]=0x5)",
    ],
)
def test_actions_printed_read_back_to_the_same_actions(text: str) -> None:
    actions = read_actions(text)
    assert read_actions(print_actions(actions)) == actions


@pytest.mark.parametrize(
    ("printed", "plain"),
    [
        ("move:NXOXM_ET_REG17[]->NXOXM_ET_REG31[]", "move:reg17[]->reg31[]"),
        ("output:NXOXM_ET_REG20[]", "output:reg20[]"),
        ("load:0x1->NXOXM_ET_XXREG4[0..3]", "load:0x1->xxreg4[0..3]"),
        ("load:0x1->OXM_OF_PKT_REG8[]", "set_field:1->xreg8"),
        ("push:NXM_NX_REG15[],pop:NXM_NX_XXREG3[]", "push:reg15,pop:xxreg3"),
    ],
)
def test_the_registers_since_open_vswitch_3_7_have_the_names_that_it_prints(printed: str, plain: str) -> None:
    """As `ovs-ofctl parse-flows` of Open vSwitch 4.0.0 printed them."""
    assert read_actions(printed) == read_actions(plain)
    assert read_actions(print_actions(read_actions(plain))) == read_actions(printed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nosuch", "no action"),
        ("output:1,nosuch(3)", "no action"),
        ("load:5", "'->' is missing"),
        ("load:0x1ff->NXM_NX_REG0[0..7]", "8 bits"),
        ("load:1->NXM_NX_REG0[9..3]", "bits 0 to 31"),
        ("load:1->NOSUCH[]", "no field"),
        ("move:reg0[0..7]->reg1[]", "do not fit"),
        ("ct(commit,nosuch=1)", "ct knows no"),
        ("ct(commit", "not closed"),
        ("ct(commit)x", "behind its bracket"),
        ("resubmit(1,2,3)", "resubmit takes"),
        ("mod_vlan_vid:9999", "12 bits"),
        ("ct(nat(via=1.2.3.4))", "nat knows no"),
        ("check_pkt_larger(5)", "'->' is missing"),
        ("mod_vlan_pcp:9", "3 bits"),
        ("mod_nw_tos:3", "does not take"),
        ("set_field:nosuch->in_port", "no port is called so"),
        ("goto_table:300", "at most 255"),
        ("clone(" * 60 + "output:1," * 100_000 + ")" * 60, "longer than an OpenFlow message"),
        ("clone(" * 200 + ")" * 200, "nested"),
    ],
)
def test_what_is_wrong_in_actions_is_said(text: str, words: str) -> None:
    with pytest.raises(Unreadable, match=words) as raised:
        read_actions(text)
    assert raised.value.message.isprintable()


def test_two_fields_cannot_have_one_name() -> None:
    with pytest.raises(ValueError, match="two fields are called reg0"):
        fields._cell("reg0", 32, HEXADECIMAL)
    assert repr(fields.IN_PORT) == "<field in_port>"


def test_the_place_of_a_wrong_action_is_its_offset() -> None:
    with pytest.raises(Unreadable) as raised:
        read_actions("output:1,nosuch")
    assert raised.value.offset == len("output:1,")
