"""Entry point: a group that imports a subcommand's module only when it is asked for, so that each starts fast."""

import sys
from importlib import import_module
from typing import Final

import click

from warren import __version__
from warren.core.errors import Refused, Unmet, WarrenError
from warren.inspect.parse.text import printable

COMMANDS: Final = {
    "server": "warren.cli.server",
    "agent": "warren.cli.agent",
    "lab": "warren.cli.lab",
    "flows": "warren.cli.flows",
    "trace": "warren.cli.trace",
    "verify": "warren.cli.verify",
    "capture": "warren.cli.capture",
}
"""Subcommand -> the module whose `command` it is."""


class LazyGroup(click.Group):
    """Subcommands by name; their modules are imported on use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = import_module(COMMANDS[cmd_name]).command
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="warren")
def warren() -> None:
    """Tenant networks across hosts, through VXLAN and GRE tunnels on Open vSwitch."""


def main() -> None:
    """Run `warren`; an expected error is one sentence on standard error and a status, never a traceback."""
    try:
        warren.main(prog_name="warren")
    except WarrenError as error:
        click.echo(f"warren: {error}", err=True)
        sys.exit(2 if isinstance(error, Refused | Unmet) else 1)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except OSError as error:
        if error.filename is None:
            raise
        click.echo(f"warren: {printable(str(error.filename))}: {error.strerror}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
