"""`warren capture`: one host into one archive."""

import sys
from pathlib import Path

import click

from warren.cli.live import reach
from warren.core.errors import Invalid
from warren.sources.capture import capture, script


@click.command()
@click.argument("source", default="local")
@click.option("--out", type=click.Path(dir_okay=False), help="The archive's file; `-` is standard output.")
@click.option("--print-script", is_flag=True, help="Print a shell script that takes a host without Warren.")
def command(source: str, out: str | None, *, print_script: bool) -> None:
    """Take one host into one archive: read-only, bounded in time and size, without secrets.

    SOURCE is `local` (the default), `lab://HOST`, `lab://LAB/HOST` or `ssh://user@host`. What it lacks is left out.

    Exit status: 0 for an archive, 1 where the host does not answer or refuses, 2 for bad usage.
    """
    if print_script:
        click.echo(script(), nl=False)
        return
    if out is None and sys.stdout.isatty():
        raise Invalid("NoOutput", "the archive would go to the terminal; give --out FILE")
    there = reach(source)
    content = capture(there.prefix, source, there.environ)
    if out in (None, "-"):
        sys.stdout.buffer.write(content)
        return
    path = Path(str(out))
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
    click.echo(f"{path}: {len(content)} bytes", err=True)
