"""`warren server`: run the API server, and what its administrator needs beside it."""

import getpass
import logging
import sys
from pathlib import Path

import click

from warren.core.errors import Unmet
from warren.core.roles import COMPUTE_ROLE, ROLES, is_host_name

CONFIG = click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("/etc/warren/server.toml"),
    show_default=True,
    help="The server's configuration.",
)


@click.group(invoke_without_command=True)
@CONFIG
@click.pass_context
def command(context: click.Context, config_path: Path) -> None:
    """Run the API server: networks, routers, floating IPs, and what every host is to be."""
    context.obj = config_path
    if context.invoked_subcommand is None:
        from warren.cli.logs import start_log  # noqa: PLC0415
        from warren.server.config import load  # noqa: PLC0415
        from warren.server.main import serve  # noqa: PLC0415

        logging.basicConfig(level=logging.WARNING, stream=sys.stderr)  # what libraries say
        start_log("text", "info")
        serve(load(config_path))


@command.command()
@click.argument("path", type=click.Path(path_type=Path), required=False)
@click.pass_obj
def init(config_path: Path, path: Path | None) -> None:
    """Write a configuration to start with.

    To PATH, by default that of --config. Prints the admin's password, once.
    """
    from warren.server.config import starting_text  # noqa: PLC0415
    from warren.server.identity.secrets import write_new  # noqa: PLC0415

    target = path or config_path
    text, password = starting_text()
    try:
        write_new(target, text.encode())
    except FileExistsError:
        raise Unmet(f"{target} is there already: name another file, or remove it first") from None
    except OSError as error:
        raise Unmet(f"{target} cannot be written: {error.strerror}") from error
    click.echo(f"wrote {target}\nuser admin, project admin, password: {password}")


@command.command("hash-password")
def hash_password_command() -> None:
    """Print the hash of a password.

    The password is asked for, or read from standard input; the hash is for `users.NAME.password_hash`.
    """
    from warren.server.identity.secrets import hash_password  # noqa: PLC0415

    password = getpass.getpass() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\n")
    if not password:
        raise Unmet("the password is empty")
    click.echo(hash_password(password))


@command.command("agent-token")
@click.argument("host")
@click.option(
    "--role",
    "roles",
    type=click.Choice(ROLES),
    multiple=True,
    default=[COMPUTE_ROLE],
    show_default=True,
    help="What the host may be for; may be given twice. Routers and DHCP servers run on hosts with the role network.",
)
@CONFIG
@click.pass_obj
def agent_token_command(outer_path: Path, host: str, roles: tuple[str, ...], config_path: Path) -> None:
    """Print the credential of HOST's agent. It reads that host's state and reports on that host's objects only."""
    from warren.server.config import load  # noqa: PLC0415
    from warren.server.identity.secrets import agent_token, server_secret  # noqa: PLC0415

    if not is_host_name(host):
        raise Unmet(f"{host!r} cannot be a host's name: it must be a name without spaces and slashes")
    given = click.get_current_context().get_parameter_source("config_path")
    path = outer_path if given is click.core.ParameterSource.DEFAULT else config_path
    click.echo(agent_token(server_secret(load(path).secret_file), host, roles))
