"""The parts of an experiment on the page: its claims, its stages side by side, the packet's way. Pure; HTML text."""

from collections.abc import Iterator, Mapping
from html import escape

from warren.lab.experiments.record import Claim, Experiment, FlowChange, Hop, Stage, Way


def experiment(found: Experiment, colours: Mapping[str, str]) -> str:
    """One whole section."""
    held = sum(claim.held for claim in found.claims)
    mark = "good" if found.has_held else "bad"
    return "".join(
        [
            f'<section id="e{found.number}"><header><h2>{found.number}. {escape(found.title)}</h2>',
            f'<span class="count {mark}">{held} of {len(found.claims)} claims hold</span></header>',
            f'<p class="question">{escape(found.question)}</p>',
            "".join(_way(way, colours) for way in found.ways),
            "<h3>Claims</h3>",
            _claims(found.claims),
            "<h3>What changed in br-tun, stage by stage</h3>",
            "".join(_stage(stage, colours) for stage in found.stages),
            _steps(found.steps),
            "</section>",
        ]
    )


def _way(way: Way, colours: Mapping[str, str]) -> str:
    hops = '<span class="arrow">→</span>'.join(_hop(hop, colours) for hop in way.hops)
    return f'<h3>The packet\'s way: {escape(way.title)}</h3><div class="way">{hops}</div>'


def _hop(hop: Hop, colours: Mapping[str, str]) -> str:
    colour = colours.get(hop.host, "var(--world)")
    place = f'<a href="{escape(hop.evidence)}">{escape(hop.place)}</a>' if hop.evidence else escape(hop.place)
    return (
        f'<div class="hop" style="--host:{colour}"><em>{escape(hop.host)}</em><b>{place}</b>'
        f"<span>{escape(hop.detail)}</span></div>"
    )


def _claims(claims: list[Claim]) -> str:
    rows = "".join(_claim(claim) for claim in claims)
    return f"<table><tr><th></th><th>Claim</th><th>Expected</th><th>Seen</th></tr>{rows}</table>"


def _claim(claim: Claim) -> str:
    row = "" if claim.held else ' class="failed"'
    mark = '<td class="mark yes">✓</td>' if claim.held else '<td class="mark no">✗</td>'
    said = f'<td class="said">{escape(claim.claim)}</td><td>{_long(claim.expected)}</td>'
    seen = f'<td>{_long(claim.observed)}<a href="{escape(claim.evidence)}">evidence</a></td>'
    return f"<tr{row}>{mark}{said}{seen}</tr>"


def _long(text: str) -> str:
    """Flows and other long texts are folded away."""
    if len(text) <= 160:
        return f"<div>{escape(text)}</div>"
    lines = text.count("\n") + 1
    label = f"{lines} flows" if lines > 1 else f"{escape(text[:70])}…"
    return f'<details><summary>{label}</summary><div class="mono wide">{escape(text)}</div></details>'


def _stage(stage: Stage, colours: Mapping[str, str]) -> str:
    columns = "".join(_host(stage, host, colours.get(host, "var(--world)")) for host in stage.flows)
    return (
        f'<div class="stage"><h4>{escape(stage.title)} <code>{escape(stage.name)}</code></h4>'
        f'<div class="hosts" style="--n:{min(len(stage.flows), 3)}">{columns}</div></div>'
    )


def _host(stage: Stage, host: str, colour: str) -> str:
    unchanged = "unchanged" if stage.has_before else "as it was found"
    listed = "".join(_changes(stage.changes.get(host, ()))) or f'<p class="same">{unchanged}</p>'
    return (
        f'<div class="host" style="--host:{colour}"><h5>{escape(host)} '
        f'<a href="{escape(stage.name)}/{escape(host)}/dump-flows_br-tun">raw</a></h5>{listed}'
        f"{_folded('counted packets', stage.counted.get(host, ()))}"
        f"{_folded('in all, with packets', stage.flows[host])}</div>"
    )


def _folded(what: str, flows: tuple[str, ...]) -> str:
    if not flows:
        return ""
    lines = escape("\n".join(flows))
    return f"<details><summary>{len(flows)} flows {what}</summary><pre>{lines}</pre></details>"


def _changes(changes: tuple[FlowChange, ...]) -> Iterator[str]:
    for change in changes:
        sign = "+" if change.change == "added" else "&minus;"
        yield (
            f'<div class="change {change.change}"><code>{sign} {escape(change.flow)}</code>'
            f"<p>{escape(change.sentence)}</p><small>{escape(change.owner)}</small>"
            f"<small>table {change.table}: {escape(change.purpose)}</small></div>"
        )


def _steps(steps: list[str]) -> str:
    lines = escape("\n".join(steps))
    return f"<details><summary>what was done: {len(steps)} commands</summary><pre>{lines}</pre></details>"
