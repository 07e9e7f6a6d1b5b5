"""The whole page. Pure: a run in, HTML out. Nothing in it is fetched from anywhere."""

from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any, cast

from warren.lab.experiments.record import Experiment
from warren.lab.experiments.results import Run
from warren.lab.report.parts import experiment
from warren.lab.report.topology import DrawnHost, colours, draw


def render(run: Run) -> str:
    """The page of one run; its links lead to the raw files beside it."""
    style = resources.files("warren.lab.report").joinpath("style.css").read_text()
    hosts = cast("Sequence[Mapping[str, Any]]", run.lab["hosts"])
    colour = colours([host["name"] for host in hosts])
    return "".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>Warren: six experiments</title><style>{style}</style></head><body><main>",
            _head(run),
            _contents(run),
            f"<section><figure>{_picture(run, hosts, colour)}</figure></section>",
            *(experiment(found, colour) for found in run.experiments),
            f"<footer>Made by <code>warren lab</code> on {escape(run.started_at[:19].replace('T', ' '))} UTC ",
            "from real packets on real switches; every claim links to the output that shows it.</footer>",
            "</main></body></html>",
        ]
    )


def _head(run: Run) -> str:
    held = sum(claim.held for claim in run.claims)
    mark, word = ("good", "Every claim holds") if run.has_held else ("bad", "Not every claim holds")
    lab = run.lab
    facts = {
        "tunnels": lab["tunnel"],
        "mode": lab["mode"],
        "plug": lab["plug"],
        "ageing": f"{lab['ageing_s']} s",
        "instances": lab["instances"],
        "datapath": lab["datapath_type"],
        "took": f"{run.took_s:.0f} s",
    }
    listed = "".join(f"<li>{escape(name)} <b>{escape(str(value))}</b></li>" for name, value in facts.items())
    return (
        "<h1>How overlay networks work: six experiments</h1>"
        '<p class="lead">Hosts in network namespaces, each with its own Open vSwitch and its own agent, carry '
        "the traffic of tenant machines through tunnels. After each step every flow table is read again; what is "
        "said about them is checked against what was seen.</p>"
        f'<div class="verdict {mark}">{word}: {held} of {len(run.claims)}</div><ul class="facts">{listed}</ul>'
    )


def _contents(run: Run) -> str:
    return f"<nav>{''.join(_entry(found) for found in run.experiments)}</nav>"


def _entry(found: Experiment) -> str:
    held = sum(claim.held for claim in found.claims)
    return (
        f'<a href="#e{found.number}">{found.number}. {escape(found.title)}'
        f"<small>{held} of {len(found.claims)}, {found.took_s:.0f} s</small></a>"
    )


def _picture(run: Run, hosts: Sequence[Mapping[str, Any]], colour: Mapping[str, str]) -> str:
    """With what the experiments put on each host."""
    last = max((found.number for found in run.experiments), default=0)
    first = next((str(host["name"]) for host in hosts if host["role"] == "network"), "")
    guests = {
        first: ("qrouter", "qdhcp") if last >= 2 else (),
        "compute1": ("vm1",) if last >= 3 else (),
        "compute2": ("vm2",) if last >= 6 else (),
    }
    drawn = [
        DrawnHost(
            name=host["name"],
            vtep=host["vtep"],
            external_ip=host["external_ip"],
            colour=colour[host["name"]],
            guests=guests.get(host["name"], ()),
        )
        for host in hosts
    ]
    return draw(drawn, str(run.lab["tunnel"]).upper())
