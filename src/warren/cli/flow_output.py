"""What `warren flows` prints of bridges: lines for a person, or objects for JSON."""

import time
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

import click

from warren.cli.columns import heading_of, table_lines, terminal_width
from warren.cli.flow_views import View
from warren.inspect.diff import Difference, table_order
from warren.inspect.explain.sentence import Explanation, explain
from warren.inspect.filter_flows import Test
from warren.inspect.parse.dump import Flow
from warren.inspect.show import duration, sections
from warren.inspect.watch import Happening

_COLOURS: Final = {
    Happening.WRITTEN: "green",
    Happening.REFRESHED: "cyan",
    Happening.CHANGED: "yellow",
    Happening.EXPIRED: "magenta",
    Happening.REMOVED: "red",
}


def shown(view: View, flows: Iterable[Flow]) -> Iterator[str]:
    """A bridge's flows in columns."""
    found = list(sections(flows, view.context))
    total = sum(len(section.rows) for section in found)
    yield click.style(f"{view.title}  ({total} flow{'' if total == 1 else 's'})", bold=True)
    yield from table_lines(found, terminal_width())


def explained(view: View, flows: Iterable[Flow]) -> Iterator[str]:
    """A bridge's flows in a sentence each."""
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


def compared(old: View, new: View, found: Difference) -> Iterator[str]:
    """What is different between two bridges."""
    yield click.style(
        f"{new.title}  same {len(found.same)}, added {len(found.added)}, removed {len(found.removed)}, "
        f"changed {len(found.changed)}",
        bold=True,
    )
    for sign, colour, view, flows in (("-", "red", old, found.removed), ("+", "green", new, found.added)):
        for told in explain(flows, view.context, view.decoder, view.dump.file):
            yield click.style(f"{sign} {told.flow}{_traffic(told.flow)}", fg=colour)
            yield f"    {told.sentence}"
    for was, now in found.changed:
        yield click.style(f"- {was}{_traffic(was)}", fg="red")
        yield click.style(f"+ {now}{_traffic(now)}", fg="green")


def _traffic(flow: Flow) -> str:
    """Counters beside a flow; they are shown, not compared."""
    if flow.n_packets is None:
        return ""
    age = f" in {duration(flow.duration_s)}" if flow.duration_s is not None else ""
    return f"  [{flow.n_packets} packets{age}]"


def happening_line(view: View, happening: Happening, told: Explanation) -> str:
    """What happened to a flow just now."""
    label = click.style(f"{happening.value:9}", fg=_COLOURS[happening])
    return f"{time.strftime('%H:%M:%S')} {label} {view.bridge} table {told.flow.table}: {told.sentence}"


def as_objects(views: Iterable[View], test: Test) -> Iterator[dict[str, object]]:
    """The flows that pass a test, and the lines that could not be read."""
    for view in views:
        taken = [flow for flow in view.dump.flows if test(flow, view.decoder)]
        for told in explain(taken, view.context, view.decoder, view.dump.file):
            yield as_object(view, told)
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


def as_object(view: View, told: Explanation) -> dict[str, object]:
    """One flow with its explanation."""
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


def difference_object(old: View, new: View, found: Difference) -> dict[str, object]:
    return {
        "host": new.host or old.host,
        "bridge": new.bridge,
        "same": len(found.same),
        "added": [str(flow) for flow in found.added],
        "removed": [str(flow) for flow in found.removed],
        "changed": [{"before": str(was), "after": str(now)} for was, now in found.changed],
    }
