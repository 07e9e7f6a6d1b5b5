"""What happens to the switch is noticed at once: rows, flows, and ovs-vswitchd itself going and coming."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from warren.agent.drivers.flow_monitor import FlowMonitor
from warren.agent.drivers.ovsdb_monitor import OvsdbMonitor
from warren.pipeline import LEARNED
from warren.testing.ovs import PrivateOvs, private_ovs

PATIENCE_S = 20.0


class Heard:
    """What a monitor said, in order."""

    def __init__(self) -> None:
        self.events: list[object] = []
        self._more = threading.Condition()

    def __call__(self, event: object) -> None:
        with self._more:
            self.events.append(event)
            self._more.notify_all()

    def until(self, condition: Callable[[list[object]], bool]) -> None:
        with self._more:
            assert self._more.wait_for(lambda: condition(self.events), PATIENCE_S), self.events

    def forget(self) -> None:
        with self._more:
            self.events.clear()


@pytest.fixture
def ovs() -> Iterator[PrivateOvs]:
    with private_ovs() as running:
        running.vsctl("add-br", "br-int", "--", "set", "Bridge", "br-int", "fail_mode=secure")
        yield running


@contextmanager
def following(monitor: OvsdbMonitor | FlowMonitor) -> Iterator[None]:
    monitor.start()
    try:
        yield
    finally:
        monitor.stop()
        assert not monitor.is_alive()


def test_a_changed_row_is_told_by_its_name(ovs: PrivateOvs) -> None:
    heard = Heard()
    with following(OvsdbMonitor(ovs.db, heard)):
        heard.until(lambda events: events == [frozenset()])
        ovs.vsctl("add-port", "br-int", "vif1")
        heard.until(lambda events: any("vif1" in str(event) for event in events))
        heard.forget()
        ovs.vsctl("set", "Port", "vif1", "tag=5")
        heard.until(lambda events: set(events) == {frozenset({"vif1"})})
        heard.forget()
        ovs.vsctl("del-port", "vif1")
        heard.until(lambda events: any("vif1" in str(event) for event in events))


def test_a_changed_flow_is_told_and_a_learned_one_is_not(ovs: PrivateOvs) -> None:
    heard = Heard()
    with following(FlowMonitor("br-int", ovs.directory, heard, heard)):
        heard.until(lambda events: len(events) == 1)
        heard.forget()
        ovs.ofctl("add-flow", "br-int", f"cookie={LEARNED:#x},table=20,priority=1,actions=drop")
        ovs.ofctl("add-flow", "br-int", "cookie=0x77,table=1,priority=1,actions=drop")
        heard.until(lambda events: events == ["br-int: a flow with cookie 0x77 changed"])
        heard.forget()
        ovs.ofctl("-O", "OpenFlow14", "mod-flows", "br-int", "table=1,actions=NORMAL")
        ovs.ofctl("del-flows", "br-int", "table=1")
        heard.until(lambda events: events == ["br-int: a flow with cookie 0x77 changed"] * 2)


def test_a_port_that_is_kept_from_something_is_told_and_one_that_is_freed_is_not(ovs: PrivateOvs) -> None:
    heard, kept = Heard(), Heard()
    with following(FlowMonitor("br-int", ovs.directory, heard, kept)):
        heard.until(lambda events: len(events) == 1)
        ovs.vsctl("add-port", "br-int", "vif1")
        for word, free in (("no-forward", "forward"), ("down", "up")):
            ovs.ofctl("mod-port", "br-int", "vif1", word)
            kept.until(lambda events: set(events) == {"br-int: port vif1 is kept from something"})
            heard.forget()
            ovs.ofctl("add-flow", "br-int", "cookie=0x77,table=1,priority=1,actions=drop")
            heard.until(lambda events: len(events) == 1)
            kept.forget()
            ovs.ofctl("mod-port", "br-int", "vif1", free)
        ovs.vsctl("del-port", "vif1")
        heard.forget()
        ovs.ofctl("add-flow", "br-int", "cookie=0x77,table=1,priority=1,actions=drop")
        heard.until(lambda events: len(events) == 1)
        assert not kept.events


def test_a_killed_ovs_vswitchd_is_noticed_and_its_return_too(ovs: PrivateOvs) -> None:
    heard = Heard()
    with following(FlowMonitor("br-int", ovs.directory, heard, heard)):
        heard.until(lambda events: events == ["br-int: ovs-vswitchd is there"])
        ovs.stop_vswitchd()
        heard.until(lambda events: events[-1] == "br-int: ovs-vswitchd is gone")
        ovs.start_vswitchd()
        heard.until(lambda events: events[-1] == "br-int: ovs-vswitchd is there")
        heard.forget()
        ovs.ofctl("add-flow", "br-int", "cookie=0x77,table=1,priority=1,actions=drop")
        heard.until(lambda events: events == ["br-int: a flow with cookie 0x77 changed"])


def test_after_a_restart_of_ovsdb_server_rows_are_told_again(ovs: PrivateOvs) -> None:
    heard = Heard()
    with following(OvsdbMonitor(ovs.db, heard)):
        heard.until(lambda events: events == [frozenset()])
        heard.forget()
        ovs.stop_ovsdb()
        ovs.start_ovsdb()
        heard.until(lambda events: frozenset() in events)
        ovs.vsctl("add-port", "br-int", "vif2")
        heard.until(lambda events: any("vif2" in str(event) for event in events))


def test_monitors_of_nothing_stop_when_told(ovs: PrivateOvs) -> None:
    heard = Heard()
    with (
        following(FlowMonitor("br-none", ovs.directory, heard, heard)),
        following(OvsdbMonitor(f"unix:{ovs.directory}/none.sock", heard)),
    ):
        assert heard.events == []
