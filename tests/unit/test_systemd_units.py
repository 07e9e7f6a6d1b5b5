"""The units for systemd."""

from configparser import ConfigParser
from pathlib import Path

import pytest

UNITS = sorted((Path(__file__).resolve().parents[2] / "packaging" / "systemd").glob("*.service"))


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_what_cannot_start_yet_is_started_again_for_ever(path: Path) -> None:
    """By default systemd gives up after five starts within ten seconds, and a restart each second is more than that."""
    unit = ConfigParser(interpolation=None, strict=False)
    unit.read(path)
    assert (unit["Service"]["Restart"], unit["Unit"]["StartLimitIntervalSec"]) == ("always", "0")


def test_there_is_a_unit_for_each_process() -> None:
    assert [path.stem for path in UNITS] == ["warren-agent", "warren-server"]
