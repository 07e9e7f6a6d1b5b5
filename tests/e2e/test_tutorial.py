"""The tutorial is true: a person who types it gets no error."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

ROOT = Path(__file__).resolve().parents[2]


def test_every_command_of_the_tutorial_works_on_a_live_lab() -> None:
    script = str(ROOT / "scripts" / "tutorial.py")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
