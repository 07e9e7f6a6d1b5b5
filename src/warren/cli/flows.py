"""`warren flows`: the tables shown, explained, compared and watched."""

import json
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import Final

import click

from warren.cli.flow_output import as_object, as_objects, compared, difference_object, explained, happening_line, shown
from warren.cli.flow_views import Asked, View, paired, view_of_flow, views_of, with_flow
from warren.cli.live import is_live, print_unread, reach
from warren.core.errors import Invalid, NotFound
from warren.inspect.diff import Side, difference
from warren.inspect.explain.sentence import explain
from warren.inspect.filter_flows import read_filter, strange_words
from warren.inspect.parse.dump import Flow, read_dump
from warren.inspect.parse.text import printable
from warren.inspect.watch import events
from warren.sources.live import dump_flows
from warren.sources.names import ENVIRONMENT
from warren.sources.open import LOCAL

INTERRUPTED: Final = 128 + 2
"""What a shell says of a command that Ctrl-C ended."""


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


def _shared(function: Callable[..., None]) -> Callable[..., None]:
    """The options that all have, given to a command as one `Asked`."""

    @wraps(function)
    def with_asked(
        *, host: str | None, bridge: str | None, names: str | None, cloud: str | None, as_json: bool, **own: object
    ) -> None:
        function(asked=Asked(host=host, bridge=bridge, names=names, cloud=cloud, as_json=as_json), **own)

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
        with_asked = option(with_asked)
    return with_asked


@command.command("show")
@click.argument("source_and_filter", nargs=-1, metavar="[SOURCE] [FILTER]")
@_shared
def show(source_and_filter: tuple[str, ...], asked: Asked) -> None:
    """Print the tables: names, counters, ages, time left.

    Where the terminal is too narrow for both, actions stand below the match; a file or pipe has a line for each flow.
    """
    source, wanted = _source_and_filter(source_and_filter)
    read_filter(wanted)  # Refused before anything is read.
    _print_flows(views_of(source, asked), wanted, asked, shown)


@command.command("explain")
@click.argument("source_and_filter", nargs=-1, metavar="[SOURCE] [FLOW or FILTER]")
@_shared
def explain_flows(source_and_filter: tuple[str, ...], asked: Asked) -> None:
    """Say in one sentence what each flow does, why, and for how long.

    FLOW is the text of one flow; all that SOURCE tells is used to explain it.
    """
    source, wanted = _source_and_filter(source_and_filter)
    if "actions=" in wanted:
        views = [view_of_flow(wanted) if source is None else with_flow(views_of(source, asked), wanted)]
        wanted = ""
    else:
        read_filter(wanted)  # Refused before anything is read.
        views = views_of(source, asked)
    _print_flows(views, wanted, asked, explained)


@command.command("diff")
@click.argument("before")
@click.argument("after")
@click.option("--cookies", is_flag=True, help="Different cookies are a difference.")
@_shared
def diff(before: str, after: str, asked: Asked, *, cookies: bool) -> None:
    """Compare two sources by what their flows mean.

    Spelling, OpenFlow version and counters are no difference.

    Exit status: 0 where there is none and all was read, 1 otherwise and where a live host does not answer, 2 for bad
    usage.
    """
    pairs = paired(views_of(before, asked), views_of(after, asked))
    found = [(old, new, difference(old.side, new.side, with_cookies=cookies)) for old, new in pairs]
    _print_problems(view for pair in pairs for view in pair)
    if asked.as_json:
        click.echo(json.dumps([difference_object(old, new, each) for old, new, each in found], indent=2))
    else:
        for old, new, each in found:
            _print_lines(compared(old, new, each))
    is_unread = any(view.problems or view.dump.problems for pair in pairs for view in pair)
    sys.exit(1 if is_unread or any(each for _, _, each in found) else 0)


@command.command("watch")
@click.argument("source", default=LOCAL)
@click.option("--interval", "interval_s", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True)
@click.option("--looks", type=click.IntRange(1), help="End after this many looks.")
@_shared
def watch(source: str, asked: Asked, *, interval_s: float, looks: int | None) -> None:
    """Print what happens to each flow of a live host.

    It is written, refreshed, changed, expired or removed. Ends with Ctrl-C, after --looks, or with status 1 where the
    host does not answer any more.
    """
    if not is_live(source):
        raise Invalid("NotLive", f"{printable(source)} is no live host: name local, lab://HOST or ssh://user@host")
    try:
        views = views_of(source, asked)
        seen, done = time.monotonic(), 0
        while looks is None or done < looks:
            time.sleep(interval_s)
            now = time.monotonic()
            views = [_looked_at_again(view, source, now - seen, as_json=asked.as_json) for view in views]
            seen, done = now, done + 1
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _looked_at_again(view: View, source: str, elapsed_s: float, *, as_json: bool) -> View:
    """Print what happened on a bridge since the last look, and return how it is now."""
    there = reach(source)
    dump = read_dump(dump_flows(view.bridge, there.prefix, there.environ), view.dump.file)
    happened = list(events(view.side, Side(dump.flows, view.decoder), elapsed_s))
    told = explain([event.flow for event in happened], view.context, view.decoder, dump.file)
    for event, told_of in zip(happened, told, strict=True):
        if as_json:
            click.echo(json.dumps({"event": event.happening.value, **as_object(view, told_of)}))
        else:
            click.echo(happening_line(view, event.happening, told_of))
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


def _print_json(objects: Iterable[dict[str, object]]) -> None:
    encode = json.JSONEncoder(ensure_ascii=False).encode
    click.echo("[" + ",\n ".join(map(encode, objects)) + "]")


def _print_flows(
    views: Iterable[View], wanted: str, asked: Asked, lines: Callable[[View, list[Flow]], Iterable[str]]
) -> None:
    """Every bridge; with a filter, those that have a flow that passes, and only these flows."""
    test = read_filter(wanted)
    if asked.as_json:
        _print_json(as_objects(views, test))
        _print_problems(views, with_flows=False)
        return
    is_empty = True
    for view in views:
        taken = [flow for flow in view.dump.flows if test(flow, view.decoder)]
        if taken or not wanted:
            is_empty = False
            _print_lines(lines(view, taken))
    if is_empty:
        click.echo("; ".join(["no flow is like that", *map(_is_strange, strange_words(wanted))]), err=True)
    _print_problems(views)


def _is_strange(word: str) -> str:
    word = printable(word, 40)
    return f"'{word}' alone is a protocol or an action: write in_port={word} for a port's name, match~{word} for a text"


def _print_lines(lines: Iterable[str]) -> None:
    click.echo("\n".join(lines))


def _print_problems(views: Iterable[View], *, with_flows: bool = True) -> None:
    """JSON has those of the flows among its objects."""
    found = [(*view.problems, *(view.dump.problems if with_flows else ())) for view in views]
    print_unread(problem for problems in found for problem in problems)
