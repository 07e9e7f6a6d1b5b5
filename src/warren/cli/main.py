"""Entry point: a group that imports a subcommand's module only when it is asked for, so that each starts fast."""

import errno
import os
import sys
from importlib import import_module
from typing import Final

import click

from warren import __version__
from warren.core.errors import Refused, Unmet, WarrenError
from warren.inspect.parse.text import printable

COMMANDS: Final = {
    "server": "Run the API server.",
    "agent": "Make this host what the server says, and keep it so.",
    "lab": "Several hosts on this machine, and six experiments.",
    "flows": "Show, explain, compare and watch flow tables.",
    "trace": "Follow a packet and its answer, hop by hop.",
    "verify": "Say what is wrong on hosts, worst first.",
    "capture": "Take one host into one archive.",
}
"""Subcommand, which is the `command` of the module `warren.cli.<name>` -> what `warren --help` says of it."""
READER_GONE: Final = 128 + 13
"""What a shell says of a command that SIGPIPE ended."""


class LazyGroup(click.Group):
    """Subcommands by name; their modules are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(f"warren.cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the subcommands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand; one whose reader went away (`| head`) ends as if SIGPIPE had ended it."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            _write_no_more()
            ctx.exit(READER_GONE)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="warren")
def warren() -> None:
    """Tenant networks across hosts, through VXLAN and GRE tunnels on Open vSwitch."""


def main() -> None:
    """Run `warren`; an expected error is one sentence on standard error and a status, never a traceback."""
    try:
        warren.main(prog_name="warren", color=False if os.environ.get("NO_COLOR") else None)
    except WarrenError as error:
        click.echo(f"warren: {error}", err=True)
        sys.exit(2 if isinstance(error, Refused | Unmet) else 1)
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        _write_no_more()
        place = "standard output" if error.filename is None else printable(str(error.filename))
        click.echo(f"warren: {place}: {error.strerror}", err=True)
        sys.exit(2)


def _write_no_more() -> None:
    """What is still buffered would be written at exit, and fail once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    main()
