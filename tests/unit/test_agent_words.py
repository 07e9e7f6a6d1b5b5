"""What the log says: one line per decision, a repair told from a change, a complaint said once and taken back once."""

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from warren.agent.account import Account
from warren.agent.decisions import REPAIRS_SAID, Wording, say
from warren.agent.loop import Outcome, Pass
from warren.core.ids import MacAddress, NetworkId, PortId
from warren.core.state import HostState, Plug, Port
from warren.reconcile.plan import plan

Lines = list[MutableMapping[str, Any]]
WORDS: Wording[str, int] = Wording(
    event="thing", where=lambda key, _: {"key": key}, text=str, because=lambda value: f"somebody wants {value}"
)


@pytest.fixture
def lines() -> Iterator[Lines]:
    structlog.reset_defaults()
    with capture_logs() as captured:
        yield captured


def now(*, is_dry: bool = False) -> Pass:
    return Pass(state=HostState(revision=5), is_dry=is_dry)


def test_what_nobody_asked_to_change_is_a_repair_with_before_after_and_reason(lines: Lines) -> None:
    say(plan({"a": 1, "b": 2}, {"a": 7, "c": 3}), WORDS, {"a": 1, "b": 2}, now())
    told = {line["key"]: line for line in lines}
    assert {line["event"] for line in lines} == {"thing.repair"}
    assert {line["log_level"] for line in lines} == {"warning"}
    assert (told["a"]["had"], told["a"]["want"], told["a"]["because"]) == ("7", "1", "somebody wants 1")
    assert (told["b"]["had"], told["b"]["want"], told["b"]["revision"]) == ("nothing", "2", 5)
    assert (told["c"]["had"], told["c"]["want"], told["c"]["because"]) == ("3", "nothing", "nothing asks for it")


def test_before_and_after_never_read_the_same(lines: Lines) -> None:
    terse: Wording[str, int] = Wording(
        event="thing", where=lambda key, _: {"key": key}, text=lambda _: "x", because=str
    )
    say(plan({"a": 1}, {"a": 7}), terse, {"a": 1}, now())
    say(plan({"a": 1}, {}), terse, {"a": 1}, now())
    assert [(line["had"], line["want"]) for line in lines] == [("7", "1"), ("nothing", "x")]


TEXTS: Wording[str, str] = Wording(event="text", where=lambda key, _: {"key": key}, text=str, because=str)


def said_of(had: str, want: str, lines: Lines) -> tuple[str, str]:
    say(plan({"a": want}, {"a": had}), TEXTS, {"a": want}, now())
    return lines[-1]["had"], lines[-1]["want"]


def test_of_two_texts_only_the_lines_that_differ_are_said(lines: Lines) -> None:
    hosts = [f"fa:16:3e:00:{number:04x},10.0.0.{number}" for number in range(1000)]
    want = "\n".join(hosts)
    assert said_of(want.replace(hosts[7], "x"), want, lines) == ("x", hosts[7])
    assert said_of(want + "\nx", want, lines) == ("x", "all but that")
    assert said_of("\n".join(hosts[1:]), want, lines) == ("all but that", hosts[0])
    had, missing = said_of("x\ny", want, lines)
    assert had == "x\ny"
    assert missing.splitlines()[-2:] == [hosts[9], "… and 990 lines more"]


def test_of_long_values_that_part_late_it_is_said_where(lines: Lines) -> None:
    for glue in (",", "\n"):
        ports = [f"output:{number}" for number in range(1000)]
        swapped = [*ports[:900], ports[901], ports[900], *ports[902:]]
        had, want = said_of(glue.join(swapped), glue.join(ports), lines)
        assert f"output:901{glue}output:900" in had
        assert f"output:900{glue}output:901" in want
        assert max(len(had), len(want)) < 2100
    assert said_of("nothing more", ",".join(ports), lines)[1].endswith("letters more")


def test_what_follows_from_a_new_state_or_is_seen_for_the_first_time_is_no_repair(lines: Lines) -> None:
    say(plan({"a": 2}, {"a": 1, "b": 1}), WORDS, {"a": 1, "b": 1}, now())
    say(plan({"a": 2}, {"a": 1}), WORDS, None, now())
    assert [(line["event"], line["log_level"]) for line in lines] == [("thing.change", "debug")] * 3


def test_a_dry_run_says_every_change_as_a_plan(lines: Lines) -> None:
    say(plan({"a": 2}, {"a": 1}), WORDS, {"a": 2}, now(is_dry=True))
    assert [(line["event"], line["log_level"]) for line in lines] == [("thing.plan", "info")]


def test_thousands_of_repairs_are_summed_up(lines: Lines) -> None:
    desired = {str(number): number for number in range(1000)}
    say(plan(desired, {}), WORDS, desired, now())
    assert len(lines) == REPAIRS_SAID + 1
    assert (lines[-1]["event"], lines[-1]["count"]) == ("repairs.total", 1000)


def test_a_complaint_is_said_once_and_its_end_once(lines: Lines) -> None:
    account = Account(None)
    bad = Outcome(stage="namespaces", wrong={"router/r": "no route"})
    for outcome in (bad, bad, Outcome(stage="namespaces")):
        account.of(now(), [outcome], took_s=0.01)
    complaints = [line for line in lines if line["event"].startswith("object.")]
    assert [(line["event"], line["object"]) for line in complaints] == [
        ("object.wrong", "router/r"),
        ("object.right", "router/r"),
    ]


def test_a_port_that_this_host_refuses_is_a_complaint_too(lines: Lines) -> None:
    port = Port(id=PortId("p"), network_id=NetworkId("n"), mac_address=MacAddress("fa:16:3e:00:00:01"), plug=Plug.OVS)
    account = Account(None)
    for state in (HostState({port.key: port}), HostState()):
        account.of(Pass(state=state), [Outcome(stage="flows")], took_s=0.01)
    complaints = [(line["event"], line["object"]) for line in lines if line["event"].startswith("object.")]
    assert complaints == [("object.wrong", "port/p"), ("object.right", "port/p")]
    assert "port security" in next(line["because"] for line in lines if line["event"] == "object.wrong")


def test_the_first_pass_is_told_and_a_later_one_only_when_it_changed_something(lines: Lines) -> None:
    account = Account(None)
    for changes in (0, 0, 3):
        account.of(now(), [Outcome(stage="flows", changes=changes)], took_s=0.01)
    assert [(line["event"], line["log_level"], line["changes"]) for line in lines] == [
        ("agent.ready", "info", 0),
        ("pass.done", "debug", 0),
        ("pass.done", "info", 3),
    ]
