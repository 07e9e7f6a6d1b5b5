"""The evaluator beside a real switch: both get the same packet, and what they say is made comparable.

`ofproto/trace` is the referee: the tables visited, the flows matched in them, the outputs with their headers, and the
packet as it is at the end of each pass.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Final

from warren.inspect.evaluate.model import BridgeModel
from warren.inspect.evaluate.outcome import Outcome
from warren.inspect.evaluate.packet import INNER_VLAN, SIZE, VLAN, Values, packet_of
from warren.inspect.parse import fields as f
from warren.inspect.parse.actions import TableId
from warren.inspect.parse.match import PROTOCOLS, Match, read_match
from warren.inspect.parse.values import PORTS
from warren.inspect.snapshot.host import read_host
from warren.inspect.snapshot.model import Host
from warren.testing.ovs import PrivateOvs

_LOOKUP: Final = re.compile(r"^\s*(\d+)\. (?:(.*), )?priority (\d+)(?:, cookie 0x[0-9a-f]+)?$")
_MISS: Final = re.compile(r"^\s*(\d+)\. No match\.$")
_BRIDGE: Final = re.compile(r'^\s*bridge\("([^"]+)"\)$')
_DATAPATH_ACTION: Final = re.compile(r"trunc\(\d+\),\d+|[a-z_]+\((?:[^()]|\((?:[^()]|\([^()]*\))*\))*\)|[a-z_]+|\d+")
_FIELD_OF_KEY: Final[Mapping[tuple[str, str], f.Field]] = {
    ("eth", "src"): f.ETH_SRC,
    ("eth", "dst"): f.ETH_DST,
    ("ipv4", "src"): f.IP_SRC,
    ("ipv4", "dst"): f.IP_DST,
    ("ipv4", "tos"): f.IP_TOS,
    ("ipv4", "ttl"): f.IP_TTL,
    ("ipv6", "src"): f.IPV6_SRC,
    ("ipv6", "dst"): f.IPV6_DST,
    ("ipv6", "tclass"): f.IP_TOS,
    ("ipv6", "hlimit"): f.IP_TTL,
    ("tcp", "src"): f.TP_SRC,
    ("tcp", "dst"): f.TP_DST,
    ("udp", "src"): f.TP_SRC,
    ("udp", "dst"): f.TP_DST,
    ("icmp", "type"): f.ICMP_TYPE,
    ("icmp", "code"): f.ICMP_CODE,
    ("arp", "sip"): f.ARP_SPA,
    ("arp", "tip"): f.ARP_TPA,
    ("arp", "op"): f.ARP_OP,
    ("arp", "sha"): f.ARP_SHA,
    ("arp", "tha"): f.ARP_THA,
}
_TRANSPORT: Final = {6: "tcp", 17: "udp", 132: "sctp"}
HEADERS: Final = tuple(dict.fromkeys([f.VLAN_TCI, f.VLAN_TCI1, *_FIELD_OF_KEY.values()]))
"""Cells that are in the frame itself."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table visited: the flow met there, or nothing.

    `bridge` is empty where the switch does not say: after the connection tracker, ofproto/trace of 3.1 prints the
    bridge that the packet first came into, not the one that goes on.
    """

    bridge: str
    table: TableId
    priority: int | None
    match: Match | None


@dataclass(frozen=True, slots=True)
class Copy:
    """A frame that left by a port, with what its headers held then."""

    port: str
    headers: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What one of the two says of a packet."""

    lookups: tuple[Lookup, ...]
    copies: tuple[Copy, ...]
    final: tuple[tuple[int, ...], ...]
    """Every cell at the end of each pass."""


def verdict(outcome: Outcome, models: Mapping[str, BridgeModel], said: str, ports: Mapping[int, str]) -> str:
    """In what the evaluator's outcome differs from ofproto/trace's text; empty where they agree."""
    gives_up = "Translation failed" in said
    if outcome.error or gives_up:
        return "" if outcome.error and gives_up else f"one gives up: {outcome.error or said}"
    return disagreement(of_evaluator(outcome, models), of_switch(said, ports))


def disagreement(ours: Account, theirs: Account) -> str:
    """The first thing in which two accounts differ; empty where they agree.

    The order of copies is not compared: the switch floods in the order of a hash table.
    """
    for index, (our, their) in enumerate(zip_longest(ours.lookups, theirs.lookups)):
        if our is None or their is None or (our if their.bridge else replace(our, bridge="")) != their:
            return f"lookup {index}: {our} and {their}"
    if Counter(ours.copies) != Counter(theirs.copies):
        return f"copies: {ours.copies} and {theirs.copies}"
    for index, (our_end, their_end) in enumerate(zip_longest(ours.final, theirs.final)):
        for place, (one, other) in enumerate(zip_longest(our_end or (), their_end or ())):
            if one != other:
                return f"{f.FIELDS[place].name} at the end of pass {index}: {one} and {other}"
    return ""


def of_evaluator(outcome: Outcome, bridges: Mapping[str, BridgeModel]) -> Account:
    """The evaluator's account. Copies to the controller are no frames of the datapath and left out on both sides."""
    return Account(
        lookups=tuple(
            Lookup(
                step.bridge,
                step.table,
                step.flow.priority if step.flow else None,
                step.rule.match if step.rule else None,
            )
            for step in outcome.steps
        ),
        copies=tuple(
            Copy(_port_name(bridges[sent.bridge], sent.port), tuple(sent.values[cell.order] for cell in HEADERS))
            for sent in outcome.sent
            if sent.port != PORTS["CONTROLLER"]
        ),
        final=tuple(_comparable(values) for values in outcome.final),
    )


def _port_name(bridge: BridgeModel, number: int) -> str:
    port = (bridge.ports or {}).get(number)
    return port.name if port else str(number)


def _comparable(values: Sequence[int]) -> tuple[int, ...]:
    """What `Final flow` prints: the recirculation's own id is the switch's secret."""
    return tuple(0 if place in _NOT_COMPARED else value for place, value in enumerate(values))


_NOT_COMPARED: Final = frozenset(
    (f.RECIRC_ID.order, f.PACKET_TYPE.order, f.CONJ_ID.order, f.ACTSET_OUTPUT.order, f.SKB_PRIORITY.order)
)


def of_switch(text: str, ports: Mapping[int, str]) -> Account:
    """The switch's account: the text of ofproto/trace and the names of datapath ports."""
    lookups: list[Lookup] = []
    copies: list[Copy] = []
    final: list[tuple[int, ...]] = []
    bridge, is_resumed, headers = "", False, [0] * SIZE
    for line in text.splitlines():
        if line.startswith("recirc("):
            is_resumed = True
        elif found := _BRIDGE.match(line):
            bridge, is_resumed = ("" if is_resumed else found[1]), False
        elif found := _LOOKUP.match(line):
            match = read_match(found[2] or "", {})
            lookups.append(Lookup(bridge, int(found[1]), int(found[3]), match))
        elif found := _MISS.match(line):
            lookups.append(Lookup(bridge, int(found[1]), None, None))
        elif line.startswith("Flow: "):
            headers = _flow(line[len("Flow: ") :])
        elif line.startswith("Final flow: "):
            said = line[len("Final flow: ") :]
            final.append(_comparable(headers if said == "unchanged" else _flow(said)))
        elif line.startswith("Datapath actions: "):
            copies += _copies(line[len("Datapath actions: ") :], headers, ports)
    return Account(lookups=tuple(lookups), copies=tuple(copies), final=tuple(final))


def _flow(text: str) -> Values:
    found = packet_of(read_match(text.replace("eth,", ""), {}))
    for place in (VLAN, INNER_VLAN):
        found[place] &= 0xFFFF
    return found


def _copies(actions: str, arrived: Values, ports: Mapping[int, str]) -> Iterator[Copy]:
    """Carry out datapath actions on the headers, as the datapath would (odp-util.c, format_odp_actions)."""
    headers = list(arrived)
    if actions == "drop":
        return
    for found in _DATAPATH_ACTION.finditer(actions):
        action = found[0]
        name, _, inside = action.partition("(")
        if action.isdigit():
            yield Copy(ports[int(action)], tuple(headers[cell.order] for cell in HEADERS))
        elif name == "trunc":
            port = action.rpartition(",")[2]
            yield Copy(ports[int(port)], tuple(headers[cell.order] for cell in HEADERS))
        elif name == "push_vlan":
            given = dict(part.split("=") for part in inside.rstrip(")").split(","))
            headers[INNER_VLAN] = headers[VLAN]
            headers[VLAN] = 0x1000 | int(given["vid"], 0) | int(given.get("pcp", "0"), 0) << 13
        elif name == "pop_vlan":
            headers[VLAN], headers[INNER_VLAN] = headers[INNER_VLAN], 0
        elif name == "set":
            _set(inside[:-1], headers)
        elif name == "clone":
            yield from _copies(inside[:-1], headers, ports)


def _set(inside: str, headers: Values) -> None:
    layer, _, pairs = inside.partition("(")
    for pair in pairs.rstrip(")").split(","):
        key, _, text = pair.partition("=")
        cell = _FIELD_OF_KEY.get((layer, key))
        if cell is None:
            continue
        value, _, mask = text.partition("/")
        kept = ~(cell.format.read(mask) if mask else cell.mask)
        headers[cell.order] = headers[cell.order] & kept | cell.format.read(value)


def host_of(ovs: PrivateOvs, version: str) -> Host:
    """The private switch as a capture of a host has it, flows in one OpenFlow version."""
    bridges = ovs.vsctl("list-br").split()
    files = {"ovs-vsctl_show": ovs.vsctl("show")}
    for table in ("interface", "port", "bridge"):
        files[f"ovs-vsctl_list_{table}"] = ovs.vsctl("--format=json", "list", table)
    for bridge in bridges:
        files[f"ofctl_show_{bridge}"] = ovs.ofctl("-O", version, "show", bridge)
        files[f"fdb_{bridge}"] = ovs.appctl("fdb/show", bridge)
        files[f"dump-flows_{bridge}"] = ovs.ofctl("-O", version, "dump-flows", bridge)
    host = read_host("private", files)
    if host.problems:
        raise ValueError(str(host.problems[0]))
    return host


def packet_text(values: Values) -> str:
    """A packet as `ofproto/trace` takes it: what others require comes first."""
    ethertype, protocol = values[f.ETH_TYPE.order], values[f.IP_PROTO.order]
    word = next((word for word, pair in PROTOCOLS.items() if pair == (ethertype, protocol)), "")
    first = [word] if word else [f"dl_type={ethertype:#x}", f"nw_proto={protocol}"][: 1 + bool(protocol)]
    version = "v6" if protocol == 58 else ""
    first += [f"icmp{version}_type={values[f.ICMP_TYPE.order]}"] if values[f.ICMP_TYPE.order] else []
    renamed = {
        f.TP_SRC: f"{_TRANSPORT.get(protocol, 'tp')}_src",
        f.TP_DST: f"{_TRANSPORT.get(protocol, 'tp')}_dst",
        f.ICMP_CODE: f"icmp{version}_code",
    }
    said = (f.VLAN_TCI1, f.IP_TOS, f.ETH_TYPE, f.IP_PROTO, f.ICMP_TYPE)
    rest = (
        f"{renamed.get(field, field.name)}={field.format.write(values[field.order])}"
        for field in f.FIELDS
        if not field.pieces and values[field.order] and field not in said
    )
    tos = [f"nw_tos={values[f.IP_TOS.order] & 0xFC}"] if values[f.IP_TOS.order] else []
    return ",".join((*first, *rest, *tos))
