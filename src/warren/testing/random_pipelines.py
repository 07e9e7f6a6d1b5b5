"""Random tables over a small world, so that flows and packets meet: for comparing the evaluator with the switch."""

from collections.abc import Callable, Iterator
from random import Random
from typing import Final

TABLES: Final = 7
PORTS: Final = range(1, 6)
MACS: Final = ("00:00:00:00:00:01", "00:00:00:00:00:02", "02:00:00:00:00:03", "ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:01")

_MATCHES: Final[tuple[Callable[[Random], str], ...]] = (
    lambda _: "",
    lambda r: f"in_port={r.choice(PORTS)}",
    lambda r: f"dl_dst={r.choice(MACS)}",
    lambda r: f"dl_src={r.choice(MACS[:3])}",
    lambda r: r.choice(("dl_dst=01:00:00:00:00:00/01:00:00:00:00:00", "dl_dst=00:00:00:00:00:00/01:00:00:00:00:00")),
    lambda r: f"dl_vlan={r.randint(1, 3)}",
    lambda r: r.choice(("vlan_tci=0x0000/0x1fff", "vlan_tci=0x1000/0x1000", "vlan_tci=0x0001/0x0fff")),
    lambda r: f"ip,nw_dst=10.0.{r.randint(0, 1)}.0/24",
    lambda r: f"ip,nw_src=10.0.0.{r.randint(0, 3)}",
    lambda r: f"tcp,tp_dst={r.choice((22, 80, '0x10/0xfff0'))}",
    lambda r: f"udp,tp_src={r.randint(67, 68)}",
    lambda r: f"arp,arp_op={r.randint(1, 2)}",
    lambda r: f"arp,arp_spa=10.0.0.{r.randint(0, 3)}",
    lambda _: "ipv6",
    lambda r: f"icmp6,icmp_type={r.choice((135, 136))}",
    lambda r: f"reg0={r.randint(0, 3)}",
    lambda r: f"reg1=0x{r.randint(0, 3)}/0x3",
    lambda r: f"tun_id={r.randint(0, 2)}",
    lambda r: f"metadata={r.randint(0, 1)}",
    lambda r: f"ct_state={r.choice(('+trk+new', '+trk+est', '-trk', '+trk'))},ip",
    lambda _: "ip,nw_ttl=1",
)


def _sub(random: Random) -> str:
    """A lookup in a table to be chosen."""
    return f"resubmit({random.choice(('', '', '', '2'))},TABLE)"


_ACTIONS: Final[tuple[Callable[[Random], str], ...]] = (
    _sub,
    _sub,
    _sub,
    lambda r: f"output:{r.choice(PORTS)}",
    lambda r: f"output:{r.choice(PORTS)}",
    lambda r: r.choice(("IN_PORT", "FLOOD", "ALL", "NORMAL", "output:9", "output:NXM_NX_REG0[0..15]")),
    lambda r: f"load:{r.randint(0, 3)}->NXM_NX_REG{r.randint(0, 1)}[]",
    lambda r: f"load:{r.randint(0, 1)}->NXM_NX_REG{r.randint(0, 1)}[{r.randint(0, 1)}]",
    lambda r: f"load:{r.randint(0, 2)}->NXM_NX_TUN_ID[]",
    lambda r: f"set_field:{r.choice(MACS)}->eth_dst",
    lambda r: f"mod_dl_src:{r.choice(MACS[:3])}",
    lambda r: f"mod_nw_dst:10.0.1.{r.randint(0, 3)}",
    lambda r: f"mod_nw_tos:{r.choice((0, 32))}",
    lambda r: f"mod_vlan_vid:{r.randint(1, 3)}",
    lambda _: "strip_vlan",
    lambda _: "move:NXM_OF_ETH_SRC[]->NXM_OF_ETH_DST[]",
    lambda _: "move:NXM_NX_REG0[0..7]->NXM_NX_REG1[8..15]",
    lambda _: "push:NXM_NX_REG0[],load:0x2->NXM_NX_REG0[],pop:NXM_NX_REG0[]",
    lambda r: f"clone({r.choice(('load:1->NXM_NX_REG0[],output:2', 'strip_vlan,output:3', _sub(r)))})",
    lambda _: "learn(table=9,hard_timeout=9,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],output:NXM_OF_IN_PORT[])",
    lambda r: f"load:{r.choice(PORTS)}->NXM_OF_IN_PORT[]",
    lambda r: r.choice(("note:01.02.03.00.00.00", "set_queue:3", "pop_queue", "ct_clear")),
)
_ONLY_IP: Final = ("dec_ttl", "ct(commit,zone=3)", "ct(table={})", "ct(commit,table={},exec(load:1->NXM_NX_CT_MARK[]))")


def random_pipeline(seed: int, flows_a_table: int = 9) -> Iterator[str]:
    """Flows for `ovs-ofctl add-flows`; every table has a miss, and one table a conjunctive match."""
    random = Random(seed)
    for table in range(TABLES):
        for priority in range(1, flows_a_table):
            terms = dict.fromkeys(random.choice(_MATCHES)(random) for _ in range(random.randint(1, 2)))
            match = ",".join(filter(None, terms))
            if not _contradicts(match):
                yield f"table={table},priority={priority},{match},actions={_some_actions(random, table, match)}"
        if random.random() < 0.7:
            yield f"table={table},priority=0,actions={_some_actions(random, table, '')}"
    yield from _conjunction(random.randint(1, TABLES - 1), random)


def _contradicts(match: str) -> bool:
    """Two protocols, or one field twice."""
    names = [term.partition("=")[0] for term in match.split(",")]
    return (
        len(set(names)) < len(names)
        or len({"ip", "tcp", "udp", "arp", "ipv6", "icmp6"} & set(names)) > 1
        or ({"dl_vlan", "vlan_tci"} <= set(names))
    )


def _some_actions(random: Random, table: int, match: str) -> str:
    if random.random() < 0.1 and table:
        return "drop"
    chosen = [random.choice(_ACTIONS)(random) for _ in range(random.randint(1, 4))]
    if match.startswith(("ip,", "tcp", "udp")) and random.random() < 0.4:
        chosen.append(random.choice(_ONLY_IP).format(min(table + 1, TABLES - 1)))
    if random.random() < 0.6 and table < TABLES - 1:
        chosen.insert(0, f"resubmit(,{table + 1})")
    while any("TABLE" in each for each in chosen):
        is_back = random.random() < 0.03
        target = str(random.randint(0, table) if is_back else random.randint(table + 1, TABLES))
        chosen = [each.replace("TABLE", target, 1) for each in chosen]
    if "learn" in ",".join(chosen) and "IN_PORT[]," in ",".join(chosen):
        chosen = [each for each in chosen if "->NXM_OF_IN_PORT" not in each]
    return ",".join(chosen)


def _conjunction(table: int, random: Random) -> Iterator[str]:
    first = random.choice((3, 30))
    for source in (1, 2):
        yield f"table={table},priority={first},ip,nw_src=10.0.0.{source},actions=conjunction(5,1/2)"
    for destination in (0, 1):
        yield (
            f"table={table},priority={first},ip,nw_dst=10.0.{destination}.1,"
            f"actions=conjunction(5,2/2),conjunction(6,1/2)"
        )
    yield f"table={table},priority={first},tcp,tp_dst=22,actions=conjunction(6,2/2)"
    yield f"table={table},priority={first},conj_id=5,actions=output:4"
    yield f"table={table},priority={first},conj_id=6,ip,actions=load:3->NXM_NX_REG1[],output:5"
