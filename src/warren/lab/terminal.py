"""A run of the experiments as it is told in the terminal: live, line by line, and summed up."""

from collections.abc import Mapping
from typing import Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from warren.lab.experiments.results import Run
from warren.lab.experiments.scene import LineKind

_FORMS: Final[Mapping[LineKind, str]] = {
    "experiment": "\n[bold]{}[/]",
    "step": "  [dim]$ {}[/]",
    "stage": "  [cyan]{}[/]",
    "added": "      [green]+ {}[/]",
    "removed": "      [red]- {}[/]",
    "held": "    [green]✓[/] {}",
    "failed": "    [bold red]✗ {}[/]",
}
"""Kind of line -> how it looks."""

_STEP_CHARACTERS: Final = 150


class Teller:
    """Prints what the experiments tell."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def __call__(self, kind: LineKind, text: str) -> None:
        """Print one line."""
        if kind == "step" and len(text) > _STEP_CHARACTERS:
            text = f"{text[:_STEP_CHARACTERS]}…"
        indented = escape(text).replace("\n", "\n      ")
        self._console.print(_FORMS[kind].format(indented), soft_wrap=True)


def sum_up(console: Console, run: Run) -> None:
    """The table at the end, and every claim that did not hold once more."""
    table = Table(box=None, pad_edge=False, show_edge=False)
    table.add_column("experiment")
    for number in ("claims", "held", "took"):
        table.add_column(number, justify="right")
    for experiment in run.experiments:
        held = sum(claim.held for claim in experiment.claims)
        colour = "green" if experiment.has_held else "red"
        table.add_row(
            f"{experiment.number}. {experiment.title}",
            str(len(experiment.claims)),
            f"[{colour}]{held}[/]",
            f"{experiment.took_s:.1f} s",
        )
    console.print()
    console.print(table)
    for claim in run.claims:
        if not claim.held:
            console.print(f"[red]✗ {claim.experiment}. {escape(claim.claim)}[/]", soft_wrap=True)
            console.print(f"    expected  {escape(claim.expected)}", soft_wrap=True)
            console.print(f"    seen      {escape(claim.observed)}", soft_wrap=True)
            console.print(f"    evidence  {escape(claim.evidence)}", soft_wrap=True)
    held = sum(claim.held for claim in run.claims)
    verdict = "[bold green]Every claim holds[/]" if run.has_held else "[bold red]Not every claim holds[/]"
    console.print(f"{verdict}: {held} of {len(run.claims)}, in {run.took_s:.0f} s.")
