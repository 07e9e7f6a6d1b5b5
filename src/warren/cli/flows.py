"""`warren flows`: the tables shown, explained, compared and watched."""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from warren.cli.columns import heading_of, table_lines, terminal_width
from warren.cli.live import is_live, open_estate, print_unread, reach
from warren.core.errors import Invalid, NotFound
from warren.inspect.decode import Decoder
from warren.inspect.diff import Difference, Side, difference, table_order
from warren.inspect.explain.context import Context, alone, context_of, openflow_names
from warren.inspect.explain.sentence import Explanation, explain
from warren.inspect.filter_flows import read_filter, strange_words
from warren.inspect.parse.dump import Dump, Flow, read_dump
from warren.inspect.parse.problem import Problem
from warren.inspect.parse.text import printable
from warren.inspect.show import duration, sections
from warren.inspect.snapshot.model import Bridge, Estate, Host
from warren.inspect.watch import Happening, events
from warren.sources.live import dump_flows
from warren.sources.names import ENVIRONMENT, names_from
from warren.sources.open import LOCAL

F = TypeVar("F", bound=Callable[..., object])

NAMED: Final = 12
"""Bridges that an error names where one was asked for that is not there."""
INTERRUPTED: Final = 128 + 2
"""What a shell says of a command that Ctrl-C ended."""
_COLOURS: Final = {
    Happening.WRITTEN: "green",
    Happening.REFRESHED: "cyan",
    Happening.CHANGED: "yellow",
    Happening.EXPIRED: "magenta",
    Happening.REMOVED: "red",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One bridge of one host, read."""

    host: str
    """Empty for a dump alone, which does not say where it is from."""
    bridge: str
    dump: Dump
    decoder: Decoder
    context: Context
    problems: tuple[Problem, ...] = ()
    """What of the host's other files was not read."""

    @property
    def title(self) -> str:
        return f"{self.host}  {self.bridge}" if self.host else self.bridge


@click.group("flows")
def command() -> None:
    """Show, explain, compare and watch flow tables, live or from a dump.

    SOURCE is a file that `ovs-ofctl dump-flows` wrote, `-` for standard input, a folder or archive of `warren capture`,
    `local` (the default), a lab's host as `lab://HOST`, or `ssh://user@host`.

    FILTER is like: table=20 and dl_dst=fa:16:3e:00:00:22 and n_packets>0

    Exit status: 0, 1 where a live host does not answer and where `diff` finds a difference or could not read all, 2 for
    bad usage and for a source that cannot be read. Lines that cannot be read are named on standard error, and the rest
    is still shown.
    """


def _shared(function: F) -> F:
    for option in (
        click.option("--json", "as_json", is_flag=True, help="A list of objects; of `watch`, one object a line."),
        click.option("--host", help="Only this host of the source."),
        click.option("--bridge", help="Only this bridge."),
        click.option(
            "--cloud",
            help=f"Ask this cloud for names: of clouds.yaml (by openstacksdk), or `{ENVIRONMENT}` for OS_* variables.",
        ),
        click.option("--names", type=click.Path(dir_okay=False), help="A saved answer of the API: networks, ports, …"),
    ):
        function = option(function)
    return function


@command.command("show")
@click.argument("source_and_filter", nargs=-1, metavar="[SOURCE] [FILTER]")
@_shared
def show(source_and_filter: tuple[str, ...], **options: Any) -> None:
    """Print the tables: names, counters, ages, what is left of each timeout.

    Where the terminal is too narrow for both, actions stand below the match; a file or pipe has a line for each flow.
    """
    source, wanted = _source_and_filter(source_and_filter)
    test = read_filter(wanted)
    views = _views(source, options)
    if options["as_json"]:
        _print_json(_objects(views, lambda view, flow: test(flow, view.decoder)))
        _print_problems(views, with_flows=False)
        return
    _print_taken(views, wanted, _shown)
    _print_problems(views)


@command.command("explain")
@click.argument("source_and_filter", nargs=-1, metavar="[SOURCE] [FLOW or FILTER]")
@_shared
def explain_flows(source_and_filter: tuple[str, ...], **options: Any) -> None:
    """Say in one sentence what each flow does, why, and for how long.

    FLOW is the text of one flow; all that SOURCE tells is used to explain it.
    """
    source, wanted = _source_and_filter(source_and_filter)
    is_flow = "actions=" in wanted
    test = read_filter("" if is_flow else wanted)
    views = _views(source, options) if source is not None or not is_flow else [_alone(wanted)]
    if is_flow:
        views = [_with_flow(views, wanted)]
    if options["as_json"]:
        _print_json(_objects(views, lambda view, flow: test(flow, view.decoder)))
        _print_problems(views, with_flows=False)
        return
    _print_taken(views, "" if is_flow else wanted, _explained)
    _print_problems(views)


@command.command("diff")
@click.argument("before")
@click.argument("after")
@click.option("--cookies", is_flag=True, help="Different cookies are a difference.")
@_shared
def diff(before: str, after: str, *, cookies: bool, **options: Any) -> None:
    """Compare two sources by what their flows mean.

    Spelling, OpenFlow version and counters are no difference.

    Exit status: 0 where there is none and all was read, 1 otherwise and where a live host does not answer, 2 for bad
    usage.
    """
    pairs = _paired(_views(before, options), _views(after, options))
    found = [(old, new, difference(_side(old), _side(new), with_cookies=cookies)) for old, new in pairs]
    _print_problems(view for pair in pairs for view in pair)
    if options["as_json"]:
        click.echo(json.dumps([_difference_object(old, new, each) for old, new, each in found], indent=2))
    else:
        for old, new, each in found:
            _print_lines(_compared(old, new, each))
    is_unread = any(view.problems or view.dump.problems for pair in pairs for view in pair)
    sys.exit(1 if is_unread or any(each for _, _, each in found) else 0)


@command.command("watch")
@click.argument("source", default=LOCAL)
@click.option("--interval", "interval_s", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True)
@click.option("--looks", type=click.IntRange(1), help="End after this many looks.")
@_shared
def watch(source: str, *, interval_s: float, looks: int | None, **options: Any) -> None:
    """Print what happens to the flows of a live host: written, refreshed, changed, expired, removed.

    Ends with Ctrl-C, after --looks, or with status 1 where the host does not answer any more.
    """
    if not is_live(source):
        raise Invalid("NotLive", f"{printable(source)} is no live host: name local, lab://HOST or ssh://user@host")
    try:
        views = _views(source, options)
        seen, done = time.monotonic(), 0
        while looks is None or done < looks:
            time.sleep(interval_s)
            now = time.monotonic()
            views = [_looked_at_again(view, source, now - seen, as_json=options["as_json"]) for view in views]
            seen, done = now, done + 1
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _looked_at_again(view: View, source: str, elapsed_s: float, *, as_json: bool) -> View:
    """Print what happened on a bridge since the last look, and return how it is now."""
    there = reach(source)
    dump = read_dump(dump_flows(view.bridge, there.prefix, there.environ), view.dump.file)
    happened = list(events(_side(view), Side(dump.flows, view.decoder), elapsed_s))
    told = explain([event.flow for event in happened], view.context, view.decoder, dump.file)
    for event, told_of in zip(happened, told, strict=True):
        if as_json:
            click.echo(json.dumps({"event": event.happening.value, **_object(view, told_of)}))
        else:
            label = click.style(f"{event.happening.value:9}", fg=_COLOURS[event.happening])
            click.echo(
                f"{time.strftime('%H:%M:%S')} {label} {view.bridge} table {event.flow.table}: {told_of.sentence}"
            )
    return replace(view, dump=dump)


def _source_and_filter(words: tuple[str, ...]) -> tuple[str | None, str]:
    """`[SOURCE] [FILTER]`: what names a source, and the rest as one filter."""
    if not words:
        return None, ""
    first = words[0]
    is_source = first == "-" or is_live(first) or "://" in first or Path(first).exists()
    if is_source:
        return first, " ".join(words[1:])
    if len(words) == 1 and not any(sign in first for sign in "=<>~ "):
        raise NotFound("NoSuchSource", f"there is no {printable(first)}, and it is no filter like table=20")
    return None, " ".join(words)


def _views(source: str | None, options: dict[str, Any]) -> list[View]:
    """Every bridge of the source that has flows, as far as it is asked for."""
    names = names_from(options["names"], options["cloud"])
    estate = open_estate([source] if source else [], names)
    there = [(host, bridge) for host in estate.hosts for bridge in host.bridges if bridge.flows is not None]
    found = [
        _view(estate, host, bridge)
        for host, bridge in there
        if options["host"] in (None, host.name) and options["bridge"] in (None, bridge.name)
    ]
    if not found:
        known = ", ".join(f"{host.name} {bridge.name}" for host, bridge in there[:NAMED])
        why = (
            f"of such a host and bridge; there are {known}{' …' if len(there) > NAMED else ''}"
            if known
            else "to read: no dump of them is there, or Open vSwitch does not run or answers root alone"
        )
        raise NotFound("NoFlows", f"{printable(source or LOCAL)} has no flows {why}")
    return found


def _view(estate: Estate, host: Host, bridge: Bridge) -> View:
    printout = bridge.flows
    dump = read_dump(printout.text, printout.file) if printout else Dump(file="-", flows=())
    decoder = Decoder(names=openflow_names(bridge))
    context = context_of(estate, host, bridge, dump.flows, decoder)
    name = "" if host.name == dump.file else host.name
    return View(host=name, bridge=bridge.name, dump=dump, decoder=decoder, context=context, problems=host.problems)


def _alone(text: str) -> View:
    """A flow given on the command line, with nothing around it."""
    dump = read_dump(text, "the flow")
    decoder = Decoder()
    return View(host="", bridge="", dump=dump, decoder=decoder, context=alone("", dump.flows, decoder))


def _with_flow(views: list[View], text: str) -> View:
    """The one view that can explain a flow given on the command line."""
    if len(views) > 1:
        raise Invalid("WhichBridge", "the source has several bridges: name one with --bridge, and its --host")
    return replace(views[0], dump=read_dump(text, "the flow"))


def _side(view: View) -> Side:
    return Side(view.dump.flows, view.decoder)


def _paired(before: list[View], after: list[View]) -> list[tuple[View, View]]:
    """Bridges that belong together: by host and name, or by name alone where each side is one host.

    A bridge of one side only is compared with an empty one.
    """
    by_host = len({view.host for view in before}) > 1 or len({view.host for view in after}) > 1
    if len(before) == len(after) == 1:
        return [(before[0], after[0])]

    def key(view: View) -> tuple[str, str]:
        return (view.host if by_host else "", view.bridge)

    old, new = {key(view): view for view in before}, {key(view): view for view in after}
    return [
        (old.get(each) or _emptied(new[each]), new.get(each) or _emptied(old[each]))
        for each in dict.fromkeys([*old, *new])
    ]


def _emptied(view: View) -> View:
    return replace(view, dump=replace(view.dump, flows=()))


def _shown(view: View, flows: Iterable[Flow]) -> Iterator[str]:
    found = list(sections(flows, view.context))
    total = sum(len(section.rows) for section in found)
    yield click.style(f"{view.title}  ({total} flow{'' if total == 1 else 's'})", bold=True)
    yield from table_lines(found, terminal_width())


def _explained(view: View, flows: Iterable[Flow]) -> Iterator[str]:
    known = view.context.pipeline
    yield click.style(f"{view.title}{f'  ({known.name})' if known else ''}", bold=True)
    ordered = sorted(flows, key=table_order)
    told = explain(ordered, view.context, view.decoder, view.dump.file)
    for table, group in groupby(told, key=lambda each: each.flow.table):
        note = known.table(table) if known else None
        yield heading_of(table, note.name if note else "", note.purpose if note else "")
        for each in group:
            sentence = each.sentence if each.understood else click.style(each.sentence, fg="red")
            yield f"  {click.style(str(each.flow.priority), fg='yellow')}  {sentence}"


def _compared(old: View, new: View, found: Difference) -> Iterator[str]:
    yield click.style(
        f"{new.title}  same {len(found.same)}, added {len(found.added)}, removed {len(found.removed)}, "
        f"changed {len(found.changed)}",
        bold=True,
    )
    for sign, colour, view, flows in (("-", "red", old, found.removed), ("+", "green", new, found.added)):
        for told in explain(flows, view.context, view.decoder, view.dump.file):
            yield click.style(f"{sign} {told.flow}{_counted(told.flow)}", fg=colour)
            yield f"    {told.sentence}"
    for was, now in found.changed:
        yield click.style(f"- {was}{_counted(was)}", fg="red")
        yield click.style(f"+ {now}{_counted(now)}", fg="green")


def _counted(flow: Flow) -> str:
    """Counters beside a flow; they are shown, not compared."""
    if flow.n_packets is None:
        return ""
    age = f" in {duration(flow.duration_s)}" if flow.duration_s is not None else ""
    return f"  [{flow.n_packets} packets{age}]"


def _objects(views: Iterable[View], test: Callable[[View, Flow], bool]) -> Iterator[dict[str, object]]:
    for view in views:
        taken = [flow for flow in view.dump.flows if test(view, flow)]
        for told in explain(taken, view.context, view.decoder, view.dump.file):
            yield _object(view, told)
        for problem in view.dump.problems:
            yield {
                "host": view.host,
                "bridge": view.bridge,
                "table": None,
                "flow": "",
                "explanation": f"Not understood: {problem.message}.",
                "understood": False,
                "problem": str(problem),
            }


def _object(view: View, told: Explanation) -> dict[str, object]:
    flow = told.flow
    note = view.context.pipeline.table(flow.table) if view.context.pipeline else None
    return {
        "host": view.host,
        "bridge": view.bridge,
        "table": flow.table,
        "table_name": note.name if note else None,
        "priority": flow.priority,
        "flow": str(flow),
        "match": flow.match_text,
        "actions": flow.actions_text,
        "explanation": told.sentence,
        "understood": told.understood,
        "cookie": f"{flow.cookie:#x}",
        "n_packets": flow.n_packets,
        "n_bytes": flow.n_bytes,
        "duration_s": flow.duration_s,
        "idle_timeout_s": flow.idle_timeout_s,
        "hard_timeout_s": flow.hard_timeout_s,
        "remaining_s": flow.remaining_s,
        **({"problem": str(told.problem)} if told.problem else {}),
    }


def _difference_object(old: View, new: View, found: Difference) -> dict[str, object]:
    return {
        "host": new.host or old.host,
        "bridge": new.bridge,
        "same": len(found.same),
        "added": [str(flow) for flow in found.added],
        "removed": [str(flow) for flow in found.removed],
        "changed": [{"before": str(was), "after": str(now)} for was, now in found.changed],
    }


def _print_json(objects: Iterable[dict[str, object]]) -> None:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    click.echo("[" + ",\n ".join(map(encode, objects)) + "]")


def _print_taken(views: Iterable[View], wanted: str, told: Callable[[View, list[Flow]], Iterable[str]]) -> None:
    """Every bridge; with a filter, those that have a flow that passes, and only these flows."""
    test = read_filter(wanted)
    is_empty = True
    for view in views:
        taken = [flow for flow in view.dump.flows if test(flow, view.decoder)]
        if taken or not wanted:
            is_empty = False
            _print_lines(told(view, taken))
    if is_empty:
        click.echo("; ".join(["no flow is like that", *map(_is_strange, strange_words(wanted))]), err=True)


def _is_strange(word: str) -> str:
    word = printable(word, 40)
    return f"'{word}' alone is a protocol or an action: write in_port={word} for a port's name, match~{word} for a text"


def _print_lines(lines: Iterable[str]) -> None:
    click.echo("\n".join(lines))


def _print_problems(views: Iterable[View], *, with_flows: bool = True) -> None:
    """JSON has those of the flows among its objects."""
    found = [(*view.problems, *(view.dump.problems if with_flows else ())) for view in views]
    print_unread(problem for problems in found for problem in problems)
