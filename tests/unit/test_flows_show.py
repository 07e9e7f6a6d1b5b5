"""`warren flows show` on paper, on terminals of any width, and before readers that go away."""

import os
import pty
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from warren.cli.columns import table_lines
from warren.cli.flows import command
from warren.inspect.decode import Decoder
from warren.inspect.explain.context import alone
from warren.inspect.parse.dump import read_dump
from warren.inspect.show import sections

NEUTRON = Path(__file__).parent.parent / "fixtures" / "neutron"
LAST = str(NEUTRON / "6c-vm1-vm2-ping")
WARREN = (sys.executable, "-m", "warren")
LONG = "ct_state=+new-est,ct_mark=0,tcp,reg5=0x5,nw_src=192.168.0.0/16,tp_dst=0x1000/0xf000"
DUMP = f"""
 cookie=0x1, duration=10s, table=20, n_packets=17, hard_timeout=300, priority=1,{LONG} actions=load:0->NXM_OF_VLAN_TCI[],output:2
 cookie=0x1, duration=10s, table=20, n_packets=1234567, priority=0 actions=drop
 cookie=0x1, duration=3700s, table=22, n_packets=3, priority=1000,dl_vlan=1 actions=output:3
"""  # noqa: E501


def lines(width: int | None, dump: str = DUMP) -> list[str]:
    flows = read_dump(dump).flows
    shown = table_lines(sections(flows, alone("br-tun", flows, Decoder())), width)
    return [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in shown]


def test_columns_have_headings_and_begin_in_the_same_place_however_long_a_match_is() -> None:
    heading, *others = lines(None)
    assert heading.split() == ["prio", "packets", "age", "left", "match", "actions"]
    rows = [line for line in others if not line.startswith("table ")]
    assert [line[heading.index("match") :].partition("  ")[0] for line in rows] == [LONG, "any", "dl_vlan=1"]
    for name in ("prio", "packets", "age"):
        end = heading.index(name) + len(name)
        assert all(line[end - 1] != " " and line[end] == " " for line in rows)
    assert rows[0].index("load:0") == rows[1].index("drop")


def test_a_column_that_no_flow_has_is_left_out() -> None:
    assert lines(None, "table=0,priority=3 actions=drop")[0].split() == ["prio", "match", "actions"]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_on_a_terminal_lines_are_broken_at_commas_only_and_say_the_same(width: int) -> None:
    wide, narrow = lines(None), lines(width)
    assert re.sub(r"\s", "", "".join(narrow)) == re.sub(r"\s", "", "".join(wide))
    table = [line for line in narrow[1:] if not line.startswith("table ")]
    assert all(len(line) <= width for line in table)
    assert lines(1000) == wide


def test_what_is_shown_names_ports_and_has_no_escapes() -> None:
    names = ["--names", str(NEUTRON / "api.json")]
    result = CliRunner().invoke(command, ["show", LAST, "table=20", "--host", "compute1", *names])
    assert "{'vm2'}" in result.output
    assert "4m55s" in result.output
    assert "\x1b" not in result.output


def on_a_terminal(environ: Mapping[str, str]) -> bytes:
    """All that `warren flows show` writes to a terminal."""
    terminal, side = pty.openpty()
    words = [*WARREN, "flows", "show", LAST, "table=20", "--host", "compute1"]
    with subprocess.Popen(words, stdout=side, env={**os.environ, **environ}):
        os.close(side)
        written = b""
        try:
            while some := os.read(terminal, 65536):
                written += some
        except OSError:  # Linux' way to say that nobody holds the other side any more
            pass
    os.close(terminal)
    return written


def test_colours_are_for_terminals_whose_reader_wants_them() -> None:
    coloured, plain = (
        on_a_terminal({"NO_COLOR": "", "COLUMNS": "80"}),
        on_a_terminal({"NO_COLOR": "1", "COLUMNS": "80"}),
    )
    assert b"\x1b[36m" in coloured
    assert b"\x1b" not in plain
    assert re.sub(rb"\x1b\[[0-9;]*m", b"", coloured) == plain


@pytest.mark.parametrize("words", [["flows", "show", LAST], ["flows", "show", LAST, "--json"], ["verify", LAST]])
def test_a_reader_that_goes_away_is_no_error_and_no_good_report(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as gone:
        done = subprocess.run([*WARREN, *words], stdout=gone, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (128 + 13, b"")


def test_a_full_disk_is_one_sentence() -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*WARREN, "flows", "show", LAST], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (done.returncode, done.stderr) == (2, "warren: standard output: No space left on device\n")
