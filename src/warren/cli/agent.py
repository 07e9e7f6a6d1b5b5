"""`warren agent`: the process that makes one host what it should be."""

from pathlib import Path

import click

from warren.agent.config import read_config
from warren.agent.main import Agent
from warren.cli.logs import FORMATS, LEVELS, start_log
from warren.core.errors import Unmet


@click.command(name="agent")
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    default=Path("/etc/warren/agent.toml"),
    show_default=True,
    help="The agent's configuration.",
)
@click.option("--dry-run", is_flag=True, help="Print what would change, and why; change nothing.")
@click.option("--once", is_flag=True, help="Run one pass over everything and end; status 1 if something is left.")
@click.option("--log-format", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
@click.pass_context
def command(
    ctx: click.Context, config_path: Path, *, dry_run: bool, once: bool, log_format: str, log_level: str
) -> None:
    """Make this host what the server says it should be, and keep it so.

    SIGTERM ends the agent at once and leaves the host as it is.
    """
    if not config_path.exists():
        raise Unmet(
            f"there is no configuration {config_path}: write it as docs/how-to/deploy.md shows, or give --config"
        )
    start_log(log_format, log_level)
    agent = Agent(read_config(config_path))
    if not (dry_run or once):
        agent.run()
    outcomes = agent.run_once(is_dry=dry_run)
    complaints = [outcome.failure for outcome in outcomes if outcome.failure]
    if not dry_run:
        complaints += [why for outcome in outcomes for why in outcome.wrong.values()]
    for complaint in complaints:
        click.echo(f"warren: {complaint}", err=True)
    ctx.exit(1 if complaints else 0)
