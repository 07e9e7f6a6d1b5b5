"""`warren capture`: one host into one archive."""

import sys
from contextlib import suppress
from pathlib import Path

import click

from warren.cli.live import reach
from warren.core.errors import Invalid, NotFound
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
    path = None if out in (None, "-") else Path(str(out))
    if path is not None and not path.parent.is_dir():
        raise NotFound("NoSuchFolder", f"{path} cannot be written: there is no folder {path.parent}")
    there = reach(source)
    content = capture(there.prefix, source, there.environ)
    if path is None:
        sys.stdout.buffer.write(content)
        return
    _write(path, content)
    click.echo(f"{path}: {len(content)} bytes", err=True)


def _write(path: Path, content: bytes) -> None:
    """All of a file or nothing of it; an error names the file."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError as error:
        with suppress(OSError):
            partial.unlink()
        raise OSError(error.errno, error.strerror, str(path)) from error
