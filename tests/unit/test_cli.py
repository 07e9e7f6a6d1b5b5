"""What `warren` says of itself, and of a command line that is wrong."""

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from warren.cli.main import COMMANDS, warren

GROUPS = [[], ["flows"], ["lab"], ["server"]]


@pytest.mark.parametrize("words", GROUPS, ids=lambda words: " ".join(["warren", *words]))
def test_a_command_is_said_whole_in_the_list_of_commands(words: list[str]) -> None:
    shown = CliRunner().invoke(warren, [*words, "--help"], terminal_width=80).output
    listed = shown.partition("Commands:")[2]
    assert listed.strip()
    assert "..." not in listed, listed


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_that_is_listed_is_there(name: str) -> None:
    assert isinstance(warren.get_command(click.Context(warren), name), click.Command)


def test_the_list_of_commands_imports_none_of_them() -> None:
    code = (
        "import sys; from warren.cli.main import warren; warren(['--help'], standalone_mode=False); "
        "print([name for name in sys.modules if name.startswith('warren.cli.')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "['warren.cli.main']"


@pytest.mark.parametrize("words", [["agent"], ["server"]], ids=lambda words: words[0])
def test_a_configuration_that_is_not_there_is_said_with_the_mend(words: list[str], tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    command = [sys.executable, "-m", "warren", *words, "--config", str(missing)]  # it sets up its process's log
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.fullmatch(rf"warren: there is no configuration {re.escape(str(missing))}: .+\n", done.stderr)


@pytest.mark.parametrize("name", ["agent", "server"])
def test_the_configuration_is_looked_for_where_the_unit_for_systemd_has_it(name: str) -> None:
    unit = Path(__file__).parents[2] / "packaging" / "systemd" / f"warren-{name}.service"
    command = warren.get_command(click.Context(warren), name)
    assert command is not None
    (option,) = (found for found in command.params if found.name == "config_path")
    assert f" --config {option.default}\n" in unit.read_text()
