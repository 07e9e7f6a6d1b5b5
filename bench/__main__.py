"""`./run bench [NAME…]`: measure figures, one after another, and print them beside what was promised.

A figure is found by being in `FIGURES` of a module of this folder. A figure that is not reached is shown, not an error:
timings depend on the machine. An error while measuring is one, and ends with status 1; a wrong command line with 2.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from rich.console import Console
from rich.table import Table

import bench
from bench.figure import Figure, Measured
from warren.core.errors import Invalid, Refused, Unmet, WarrenError


def figures() -> Iterator[Figure]:
    """Every figure of every module here, in the order of the modules' names."""
    for module in sorted(iter_modules(bench.__path__), key=lambda module: module.name):
        if module.name != "__main__":
            yield from getattr(import_module(f"bench.{module.name}"), "FIGURES", ())


def chosen(names: list[str], known: list[Figure]) -> list[Figure]:
    """The figures whose name is one of `names`, or starts with one and a dash; all, when none is given.

    Raises:
        Invalid: a name fits no figure.
    """
    unknown = [name for name in names if not any(f"{figure.name}-".startswith(f"{name}-") for figure in known)]
    if unknown:
        there = ", ".join(figure.name for figure in known)
        raise Invalid("NoSuchFigure", f"there is no figure {', '.join(unknown)}; there are: {there}.")
    return [figure for figure in known if not names or any(f"{figure.name}-".startswith(f"{name}-") for name in names)]


def measure(selected: list[Figure]) -> tuple[list[Measured], list[str]]:
    """What was measured, and a sentence for each figure that could not be."""
    results, failed = [], []
    for figure in selected:
        print(f"{figure.name} …", file=sys.stderr, flush=True)
        try:
            results.append(Measured(figure=figure, values=tuple(figure.measure())))
        except WarrenError as error:
            failed.append(f"{figure.name} could not be measured: {error}")
    return results, failed


def shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table_of(results: list[Measured]) -> Table:
    table = Table(title=f"{os.cpu_count()} CPUs, Linux {platform.release()}, Python {platform.python_version()}")
    for heading in ("figure", "what", "median", "runs (least - most)", "promised", "", "Neutron"):
        table.add_column(heading, justify="left" if heading in ("figure", "what", "Neutron") else "right")
    for result in results:
        figure = result.figure
        table.add_row(
            figure.name,
            figure.what,
            f"{shown(result.median)} {figure.unit}",
            f"{len(result.values)} ({shown(min(result.values))} - {shown(max(result.values))})",
            f"{'≥' if figure.more_is_better else '≤'} {shown(figure.reach)} {figure.unit}",
            "reached" if result.is_reached else "missed",
            figure.peer,
        )
    return table


def as_json(results: list[Measured]) -> str:
    rows = [
        {
            "name": result.figure.name,
            "what": result.figure.what,
            "unit": result.figure.unit,
            "median": result.median,
            "values": result.values,
            "reach": result.figure.reach,
            "reached": result.is_reached,
            "peer": result.figure.peer,
        }
        for result in results
    ]
    machine = {"cpus": os.cpu_count(), "kernel": platform.release(), "python": platform.python_version()}
    return json.dumps(
        {"machine": machine, "measured_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "figures": rows},
        indent=1,
    )


def main() -> int:
    """Do what the command line says; gives the exit status.

    Raises:
        Invalid: a name fits no figure.
        Unmet: a figure needs root.
    """
    parser = argparse.ArgumentParser(prog="./run bench", description="Measure what the documentation promises.")
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a figure, or the first words of several (default: all)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE")
    parser.add_argument("--list", action="store_true", help="say which figures there are, and measure nothing")
    wanted = parser.parse_args()
    selected = chosen(wanted.names, list(figures()))
    if wanted.list:
        print("\n".join(f"{figure.name:24} {figure.what}" for figure in selected))
        return 0
    for_root = [figure.name for figure in selected if figure.needs_root]
    if for_root and os.geteuid() != 0:
        raise Unmet(
            f"root is needed to measure {', '.join(for_root)}: sudo ./run bench {' '.join(wanted.names)}".rstrip()
        )
    results, failed = measure(selected)
    if results:
        Console(width=None if sys.stdout.isatty() else 180).print(table_of(results))
    print("\n".join(failed), end="\n" if failed else "")
    if wanted.json:
        wanted.json.parent.mkdir(parents=True, exist_ok=True)
        wanted.json.write_text(as_json(results) + "\n", encoding="utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Refused, Unmet) as error:
        print(f"bench: {error}", file=sys.stderr)
        sys.exit(2)
