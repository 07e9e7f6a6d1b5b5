"""The directory that a run of the experiments writes to: what in it is the run's, and what is not."""

from pathlib import Path

import pytest

from warren.core.errors import Unmet
from warren.lab.experiments import output


@pytest.fixture(name="out")
def _out(tmp_path: Path) -> Path:
    """A directory with a run's files, and with files that are none."""
    host = tmp_path / "2d-router" / "network"
    host.mkdir(parents=True)
    for path in (host / "dump-flows_br-tun", tmp_path / "results.json", tmp_path / "report.html"):
        path.write_text("of the run")
    for path in (tmp_path / "letters" / "mine", tmp_path / "2b-or-not" / "mine"):
        path.parent.mkdir()
        path.write_text("nobody's business")
    return tmp_path


def test_an_earlier_run_is_removed_and_nothing_else(out: Path) -> None:
    output.prepare(out)
    assert sorted(path.name for path in out.rglob("*")) == ["2b-or-not", "letters", "mine", "mine"]


def test_a_link_that_is_called_as_a_stage_is_left_alone(out: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (out / "2d-router").rename(elsewhere / "2d-router")
    (out / "2d-router").symlink_to(elsewhere / "2d-router")
    output.prepare(out)
    assert (elsewhere / "2d-router" / "network" / "dump-flows_br-tun").exists()


def test_a_file_where_the_directory_should_be_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").touch()
    with pytest.raises(Unmet, match="give another directory with --out"):
        output.prepare(tmp_path / "out")


def test_who_called_sudo_gets_the_run_and_nothing_else(out: Path) -> None:
    (out / "2d-router" / "network" / "ip_netns").symlink_to(out / "letters" / "mine")
    assert {path.relative_to(out) for path in output.written(out)} == {
        Path("results.json"),
        Path("report.html"),
        Path("2d-router"),
        Path("2d-router/network"),
        Path("2d-router/network/dump-flows_br-tun"),
        Path("2d-router/network/ip_netns"),
    }
