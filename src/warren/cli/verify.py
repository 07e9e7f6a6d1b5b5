"""`warren verify`: what is wrong, worst first."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import click

from warren.cli.live import open_estate
from warren.inspect.snapshot.model import Estate
from warren.inspect.verify.finding import Finding, Severity
from warren.inspect.verify.verify import Report, verify
from warren.sources.intent import intents
from warren.sources.names import ENVIRONMENT, names_from

_COLOURS: Final = {Severity.LEAK: "red", Severity.OUTAGE: "red", Severity.RISK: "yellow", Severity.UNTIDY: "blue"}
EVIDENCE_SHOWN: Final = 5


@click.command()
@click.argument("source", nargs=-1)
@click.option("--names", type=click.Path(dir_okay=False), help="A saved answer of the API: networks, ports, routers.")
@click.option(
    "--cloud",
    help=f"Ask this cloud what should be: of clouds.yaml (needs openstacksdk), or `{ENVIRONMENT}` for OS_* variables.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def command(source: tuple[str, ...], names: str | None, cloud: str | None, *, as_json: bool) -> None:
    """Say what is wrong on hosts, worst first, each with the evidence and the mend.

    SOURCE is a folder or archive of one or many hosts, a sosreport's folder, `local` (the default), a lab's host as
    `lab://HOST`, all of a lab's as `lab://LAB/`, `ssh://user@host`, or `-`.

    Exit status: 0 only where nothing is wrong and all was read, 1 otherwise, 2 for bad usage and for a source that
    cannot be read.
    """
    report = judged(open_estate(source, names_from(names, cloud)))
    if as_json:
        click.echo(json.dumps(as_object(report), indent=2))
    else:
        for line in _lines(report):
            click.echo(line)
    sys.exit(1 if report.findings or report.problems else 0)


def judged(estate: Estate) -> Report:
    """The report of an estate, against the intent that its captures have."""
    wanted, problems = intents(estate)
    report = verify(estate, wanted)
    return replace(report, problems=(*report.problems, *problems))


def as_object(report: Report) -> dict[str, object]:
    """The report as JSON: `hosts`, `findings` (worst first), `problems`."""
    return {
        "hosts": list(report.hosts),
        "findings": [
            {
                "kind": found.kind,
                "severity": found.severity.name.lower(),
                "host": found.host,
                "object": found.object,
                "what": found.what,
                "evidence": list(found.evidence),
                "mend": found.mend,
            }
            for found in report.findings
        ],
        "problems": [str(problem) for problem in report.problems],
    }


def _lines(report: Report) -> Iterator[str]:
    for found in report.findings:
        yield from _finding(found)
    for problem in report.problems:
        yield f"not read: {problem}"
    counted = Counter(found.severity for found in report.findings)
    said = ", ".join(
        f"{counted[severity]} untidy"
        if severity is Severity.UNTIDY
        else _plural(counted[severity], severity.name.lower())
        for severity in sorted(counted, reverse=True)
    )
    unread = len(report.problems)
    if unread:
        said = f"{said or 'nothing is wrong in what was read'}; {_plural(unread, 'place')} could not be read"
    yield f"{_plural(len(report.hosts), 'host')}: {said or 'nothing is wrong'}"


def _plural(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _finding(found: Finding) -> Iterator[str]:
    severity = click.style(f"{found.severity.name.lower():6}", fg=_COLOURS[found.severity], bold=True)
    yield f"{severity} {found.kind}  {found.host}: {found.object}"
    yield f"       {found.what}"
    for evidence in found.evidence[:EVIDENCE_SHOWN]:
        yield f"       seen: {evidence}"
    if len(found.evidence) > EVIDENCE_SHOWN:
        yield f"       seen: and {len(found.evidence) - EVIDENCE_SHOWN} more"
    yield f"       mend: {found.mend}"
