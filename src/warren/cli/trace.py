"""`warren trace`: what happens to a packet, hop by hop, there and back."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Final

import click

from warren.cli.live import open_estate, print_unread
from warren.core.errors import Invalid, NotFound
from warren.inspect.filter.packet import ICMP, PORT_PROTOCOLS
from warren.inspect.parse.problem import Problem
from warren.inspect.parse.text import printable
from warren.inspect.path.endpoint import find
from warren.inspect.path.frame import Frame
from warren.inspect.path.hop import Hop, Path, Trace
from warren.inspect.path.question import Question, arp_request, protocol_number, trace, trace_frame
from warren.inspect.path.recording import recorded_frame
from warren.inspect.path.told import Teller
from warren.inspect.path.topology import Topology
from warren.inspect.path.wire import frame_of_bytes, frame_of_hex
from warren.inspect.snapshot.model import Estate
from warren.sources.names import ENVIRONMENT, names_from

STATUS_DROPPED: Final = 1
STATUS_UNKNOWN: Final = 3
ARP: Final = "arp"
PLACE_WIDTH: Final = 50
"""Characters of the first column at most; a longer place has a line of its own."""
LONG_NAME: Final = 28
"""Characters of the longest name of an iptables chain."""
PCAP_LIMIT_BYTES: Final = 64 * 1024 * 1024


@click.command()
@click.argument("sender", metavar="FROM")
@click.argument("receiver", metavar="TO", required=False)
@click.option("--proto", default="icmp", show_default=True, help="arp, icmp, tcp, udp, or another's name or number.")
@click.option("--dport", type=click.IntRange(0, 65535), help="Destination port; TCP and UDP need it.")
@click.option("--sport", type=click.IntRange(0, 65535), default=40_000, show_default=True, help="Source port.")
@click.option("--size", type=click.IntRange(28, 65535), default=84, show_default=True, help="Bytes of the IP packet.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    help="Folder, archive, local, lab://HOST, lab://LAB/ for all of a lab's, ssh://user@host; repeatable.",
)
@click.option("--names", type=click.Path(dir_okay=False), help="A saved answer of the API.")
@click.option(
    "--cloud",
    help=f"Ask this cloud for names: of clouds.yaml (by openstacksdk), or `{ENVIRONMENT}` for OS_* variables.",
)
@click.option("--packet", help="A raw frame in hexadecimal that FROM sends as it is.")
@click.option("--pcap", type=click.Path(dir_okay=False), help="A pcap or pcapng file: FROM sends a frame of it.")
@click.option(
    "--frame", "frame_number", type=click.IntRange(min=1), default=1, show_default=True, help="Which one of --pcap."
)
@click.option("--flows", is_flag=True, help="Print each flow and rule in full.")
@click.option("--explain", is_flag=True, help="Say of each flow in a sentence what it does.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(  # noqa: PLR0913, PLR0917 - one parameter an option
    sender: str, receiver: str | None, proto: str, dport: int | None, sport: int, size: int, sources: tuple[str, ...],
    names: str | None, cloud: str | None, packet: str | None, pcap: str | None, frame_number: int, *,
    flows: bool, explain: bool, as_json: bool,
) -> None:  # fmt: skip
    """Follow a packet from FROM to TO and its answer back: every table, tunnel, namespace and rule on the way.

    FROM and TO are instances, ports, namespaces or addresses, by name or id, or as HOST/NAME where several hosts have
    one. A raw frame needs no TO; with one, of its copies that for TO is told. What of the sources cannot be read is
    named on standard error.

    Exit status: 0 where packet and answer are delivered, 1 where one is dropped and where no live source answers,
    2 for bad usage and for a source that cannot be read, 3 where something on the way is not modelled or was not
    captured.
    """
    question = _question(proto, dport, sport, size, is_raw=bool(packet or pcap))
    estate = open_estate(sources, names_from(names, cloud))
    frame = _frame(packet, pcap, frame_number)
    found = _asked(estate, sender, receiver, frame, question)
    problems = (*estate.problems, *(p for host in estate.hosts for p in host.problems), *found.problems)
    if as_json:
        click.echo(json.dumps(as_object(found, problems), indent=2))
    else:
        print_unread(problems)
        for line in lines(found, Teller(estate), Shown(flows=flows, sentences=explain)):
            click.echo(line)
    sys.exit(status(found))


def _question(proto: str, dport: int | None, sport: int, size: int, *, is_raw: bool) -> Question | None:
    """What the options ask; nothing for ARP. A raw frame has its own ports."""
    is_arp = proto.lower() == ARP
    protocol = ICMP if is_arp else protocol_number(proto)
    has_ports = not is_arp and protocol in PORT_PROTOCOLS
    if dport is not None and not has_ports:
        raise Invalid("NoPorts", f"{printable(proto)} has no ports; --dport goes with --proto tcp or --proto udp")
    if dport is None and has_ports and not is_raw:
        word = printable(proto)
        raise Invalid("NoPort", f"say to which port: for example --proto {word} --dport 53")
    if is_arp:
        return None
    return Question(protocol=protocol, source_port=sport, destination_port=dport or 0, size_bytes=size)


def _asked(estate: Estate, sender: str, receiver: str | None, frame: Frame | None, question: Question | None) -> Trace:
    """The answer; without a question it is ARP's."""
    topology = Topology(estate=estate)
    target = find(receiver, topology) if receiver is not None else None
    if frame:
        return trace_frame(estate, find(sender, topology), frame, target)
    if target is None:
        raise Invalid("NoTarget", "say where the packet goes: TO, or --packet, or --pcap")
    source = find(sender, topology)
    if question is None:
        return trace_frame(estate, source, arp_request(source, target), target)
    return trace(estate, source, target, question)


def _frame(packet: str | None, pcap: str | None, frame_number: int) -> Frame | None:
    if packet:
        return frame_of_hex(packet)
    if not pcap:
        return None
    path = FilePath(pcap)
    if not path.is_file() or path.stat().st_size > PCAP_LIMIT_BYTES:
        raise NotFound("NoSuchFile", f"there is no pcap file {pcap} of at most {PCAP_LIMIT_BYTES} bytes")
    return frame_of_bytes(recorded_frame(path.read_bytes(), frame_number))


def status(found: Trace) -> int:
    if found.verdict.is_success:
        return 0
    return STATUS_UNKNOWN if found.verdict.is_unknown else STATUS_DROPPED


def as_object(found: Trace, problems: Iterable[Problem] = ()) -> dict[str, object]:
    """The trace as JSON: `verdict`, `paths`, each with its `hops`, and `problems`, what of the sources was not read."""
    return {
        "from": found.source,
        "to": found.target,
        "verdict": found.verdict.name.lower(),
        "paths": [
            {
                "title": path.title,
                "verdict": path.verdict.name.lower(),
                "because": path.because,
                "mend": path.mend,
                "interfaces": [{"host": host, "interface": name} for host, name in path.interfaces],
                "learned": list(path.learned),
                "hops": [_hop_object(hop) for hop in path.way],
                "other_copies": [_hop_object(hop) for hop in path.others],
            }
            for path in found.paths
        ],
        "problems": [str(problem) for problem in problems],
    }


def _hop_object(hop: Hop) -> dict[str, str]:
    fields = ("host", "place", "what", "packet", "interface", "evidence", "object", "mend")
    shown = {name: getattr(hop, name) for name in fields if getattr(hop, name)}
    return shown | ({"end": hop.end.name.lower()} if hop.end else {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """How much of each hop is printed."""

    flows: bool = False
    sentences: bool = False


def lines(found: Trace, teller: Teller, shown: Shown) -> Iterator[str]:
    """The trace as a person reads it."""
    for path in found.paths:
        yield click.style(path.title, bold=True)
        yield from _path(path, teller, shown)
        yield ""


def _path(path: Path, teller: Teller, shown: Shown) -> Iterator[str]:
    host = ""
    places = list(_places(path.way))
    width = max((len(place) for place in places if len(place) <= PLACE_WIDTH), default=0)
    decisive = () if path.verdict.is_success else path.way[-2:]
    for hop, place in zip(path.way, places, strict=True):
        if hop.host != host:
            host = hop.host
            yield f"  {click.style(host, fg='cyan')}"
        if len(place) > width:
            yield f"    {place}"
        about = f"  [{hop.object}]" if hop.object else ""
        yield f"    {place if len(place) <= width else '':{width}}  {hop.what}{about}"
        if hop.evidence and (shown.flows or hop in decisive[-1:]):
            yield f"    {'':{width}}  {click.style(hop.evidence, dim=True)}"
        if (shown.sentences or hop in decisive) and (sentence := teller.sentence(hop)):
            yield f"    {'':{width}}  {click.style(sentence, italic=True)}"
    yield from _ending(path)


def _places(way: Iterable[Hop]) -> Iterator[str]:
    """Where each hop is; a long name, as of a router's namespace, is written once while the packet stays there."""
    before: tuple[str, list[str]] = ("", [])
    for hop in way:
        words = hop.place.split(" ")
        known = before[1] if before[0] == hop.host else []
        yield " ".join("…" if len(word) > LONG_NAME and word in known else word for word in words)
        before = hop.host, words


def _ending(path: Path) -> Iterator[str]:
    for learned in path.learned:
        yield f"  learned: {learned}"
    ends = sorted({f"{hop.host} {hop.place}" for hop in path.others if hop.end})
    if ends:
        yield f"  other copies ended at: {', '.join(ends[:8])}" + (
            f" and {len(ends) - 8} more" if len(ends) > 8 else ""
        )
    colour = "green" if path.verdict.is_success else "yellow" if path.verdict.is_unknown else "red"
    yield f"  {click.style(path.verdict.value, fg=colour, bold=True)}"
    if not path.verdict.is_success:
        yield f"  because: {path.because}"
        if path.mend:
            yield f"  what would let it pass: {path.mend}"
