"""What `warren` says of itself, and of a command line that is wrong."""

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from warren.cli.main import COMMANDS, warren

GROUPS = [[], ["lab"], ["server"]]


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
