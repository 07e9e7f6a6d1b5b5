"""One pass: its order, what a failure stops, what is reported, and when there is a next one."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from warren.agent.decisions import changes_of
from warren.agent.loop import AUDIT, RETRY, Outcome, Pass, Reason, Source, Stage, run_pass
from warren.agent.report import Picture
from warren.agent.settle import Settlement, apply_apart, seen_right, settle
from warren.agent.status import picture
from warren.agent.wake import Wake
from warren.core.errors import Rejected, Unreachable
from warren.core.ids import LocalVlan, MacAddress, NetworkId, OfPort, PortId, RouterId, SegmentationId
from warren.core.state import HostState, Network, NetworkType, Plug, Port, Router, StateObject
from warren.pipeline.switch import Bridge, Switch, SwitchPort
from warren.reconcile.plan import Plan, plan
from warren.sync.messages import ObjectStatus

NETWORK = NetworkId("aaaaaaaa-0000-4000-8000-000000000001")


def state_of(*objects: StateObject) -> HostState:
    return HostState(objects={obj.key: obj for obj in objects}, revision=7)


@dataclass(slots=True)
class Part:
    """A stage that does what a test says."""

    name: str
    needs: frozenset[str] = frozenset()
    act: Callable[[Pass], Outcome] = field(default=lambda _: Outcome(stage=""))
    runs: int = 0

    def run(self, now: Pass) -> Outcome:
        self.runs += 1
        return self.act(now)


def unreachable(_: Pass) -> Outcome:
    raise Unreachable("ovsdb-server does not answer")


def test_a_failure_stops_what_depends_on_it_and_nothing_else() -> None:
    bridges, flows = Part("bridges", act=unreachable), Part("flows", frozenset({"bridges"}))
    replug, namespaces = Part("replug", frozenset({"flows"})), Part("namespaces")
    stages: list[Stage] = [bridges, flows, replug, namespaces]
    outcomes = run_pass(Pass(state=state_of()), stages)
    assert [outcome.failure for outcome in outcomes] == [
        "ovsdb-server does not answer",
        "flows waits for bridges",
        "replug waits for flows",
        "",
    ]
    assert (flows.runs, namespaces.runs) == (0, 1)


def test_what_a_stage_found_wrong_is_no_failure_of_the_stage() -> None:
    bridges = Part("bridges", act=lambda _: Outcome(stage="bridges", wrong={"port/p": "no"}))
    flows = Part("flows", frozenset({"bridges"}))
    run_pass(Pass(state=state_of()), [bridges, flows])
    assert flows.runs == 1


def test_a_pass_looks_everywhere_at_audits_and_retries_only() -> None:
    assert Pass(state=state_of(), reasons=frozenset({AUDIT})).looks_everywhere
    assert Pass(state=state_of(), reasons=frozenset({RETRY})).looks_everywhere
    event = Pass(state=state_of(), reasons=frozenset({Reason(Source.RULES, "qrouter-x"), Reason(Source.OVSDB)}))
    assert not event.looks_everywhere
    assert event.named(Source.RULES) == {"qrouter-x"}


def test_reasons_from_many_threads_cause_one_wake_up() -> None:
    wake = Wake()
    threads = [threading.Thread(target=wake.because, args=(Reason(Source.LINKS, str(n)),)) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wake.wait(5) == {Reason(Source.LINKS, str(n)) for n in range(20)}
    assert wake.wait(0) == frozenset()


def test_a_reason_that_is_being_looked_into_is_forgotten_and_a_later_one_counts() -> None:
    wake = Wake()
    wake.because(Reason(Source.FLOWS, "br-int"), Reason(Source.OVSDB))
    wake.forget(Reason(Source.FLOWS, "br-int"))
    assert wake.wait(0) == {Reason(Source.OVSDB)}
    wake.because(Reason(Source.FLOWS, "br-int"))
    assert wake.wait(0) == {Reason(Source.FLOWS, "br-int")}


Things = dict[str, int]
things = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3))


def carry_out(changes: Plan[str, int], host: Things) -> None:
    for key in changes.remove:
        del host[key]
    host.update(changes.add)
    host.update({key: new for key, (_, new) in changes.change.items()})


@given(things, things, st.sets(st.sampled_from("abcdefgh")))
def test_apart_from_what_is_refused_everything_becomes_as_desired(
    desired: Things, host: Things, refused: set[str]
) -> None:
    """What is refused takes everything of one transaction with it, as a bundle or a table of iptables does."""
    before = dict(host)

    def apply(changes: Plan[str, int]) -> None:
        if refused & (changes.add.keys() | changes.change.keys()):
            raise Rejected("no")
        carry_out(changes, host)

    settled = settle(
        lambda: plan(desired, host),
        lambda changes: apply_apart(changes, apply, lambda key, _: key),
        lambda _: None,
        is_dry=False,
    )
    wrong = {key for key in refused & desired.keys() if before.get(key) != desired[key]}
    assert settled.failed.keys() == wrong
    assert settled.left.add.keys() | settled.left.change.keys() == wrong
    assert all(host[key] == value for key, value in desired.items() if key not in wrong)
    assert host.keys() <= desired.keys()


@given(things, things, st.sets(st.sampled_from("abcdefgh")))
def test_what_was_seen_right_is_known_and_what_was_not_is_no_repair_when_it_is_tried_again(
    desired: Things, host: Things, stuck: set[str]
) -> None:
    as_asked = {key: value for key, value in desired.items() if key not in stuck}
    as_before = {key: value for key, value in host.items() if key in stuck}
    planned, left = plan(desired, host), plan(desired, as_asked | as_before)
    known = seen_right(desired, Settlement(planned=planned, left=left, failed={}).stuck)
    assert all(known[key] == value for key, value in desired.items() if key not in left.add and key not in left.change)
    assert not [change for change in changes_of(left) if known.get(change.key) == change.want]


@given(things, things)
def test_what_somebody_changes_while_a_pass_settles_is_a_repair_of_the_next(desired: Things, host: Things) -> None:
    meanwhile = Settlement(planned=plan(desired, desired), left=plan(desired, host), failed={})
    known = seen_right(desired, meanwhile.stuck)
    assert all(known.get(change.key) == change.want for change in changes_of(meanwhile.left))


@given(things, things)
def test_a_dry_run_changes_nothing_and_says_everything(desired: Things, host: Things) -> None:
    before, said = dict(host), list[Plan[str, int]]()

    def apply(_: Plan[str, int]) -> dict[str, str]:
        raise AssertionError("a dry run applies nothing")

    settled = settle(lambda: plan(desired, host), apply, said.append, is_dry=True)
    assert host == before
    assert settled.left == plan(desired, host)
    assert bool(said) == (desired != host)


def network() -> Network:
    return Network(id=NETWORK, network_type=NetworkType.VXLAN, mtu=1450, segmentation_id=SegmentationId(7))


def port(number: int, *, plug: Plug = Plug.HYBRID, is_up: bool = True) -> Port:
    return Port(
        id=PortId(f"{number:08x}-0000-4000-8000-000000000000"),
        network_id=NETWORK,
        mac_address=MacAddress(f"fa:16:3e:00:00:{number:02x}"),
        plug=plug,
        admin_state_up=is_up,
    )


def switch_with(*ports: Port) -> Switch:
    plugged = {
        f"qvo{each.id[:11]}": SwitchPort(
            name=f"qvo{each.id[:11]}",
            bridge="br-int",
            ofport=OfPort(number),
            tag=LocalVlan(1),
            interface_ids={"iface-id": each.id},
        )
        for number, each in enumerate(ports, start=1)
    }
    return Switch(bridges={"br-int": Bridge(name="br-int")}, ports=plugged)


def reported(now: Pass, *outcomes: Outcome, before: Picture | None = None) -> dict[str, ObjectStatus]:
    return dict(picture(now, outcomes, before or Picture()).objects)


def test_a_port_is_wired_when_it_is_plugged_and_nothing_of_it_is_wrong() -> None:
    one, two, three = port(1), port(2), port(3, is_up=False)
    now = Pass(state=state_of(network(), one, two, three), switch=switch_with(one, three))
    assert reported(now) == {
        one.key: ObjectStatus(status="wired"),
        two.key: ObjectStatus(status="absent"),
        three.key: ObjectStatus(status="absent"),
    }


def test_a_port_that_is_held_back_or_has_a_wrong_flow_is_in_error_with_its_reason() -> None:
    one, two, three = port(1), port(2), port(3)
    now = Pass(
        state=state_of(network(), one, two, three), switch=switch_with(one, two, three), held_back={one.key: "no rules"}
    )
    said = reported(now, Outcome(stage="flows", wrong={two.key: "no flow"}))
    assert said[one.key] == ObjectStatus(status="error", reason="no rules")
    assert said[two.key] == ObjectStatus(status="error", reason="no flow")
    assert said[three.key] == ObjectStatus(status="wired")


def test_a_port_that_this_host_must_refuse_is_in_error_plugged_or_not() -> None:
    one, two = port(1, plug=Plug.OVS), port(2, plug=Plug.OVS)
    shown = picture(Pass(state=state_of(network(), one, two), switch=switch_with(one)), (), Picture())
    assert {status.status for status in shown.objects.values()} == {"error"}
    assert "does not enforce" in shown.objects[one.key].reason
    assert shown.errors == (shown.objects[one.key].reason, shown.objects[two.key].reason)


def test_a_port_of_an_unknown_network_is_in_error() -> None:
    one = port(1)
    said = reported(Pass(state=state_of(one), switch=switch_with(one)))
    assert said[one.key].status == "error"


def test_what_could_not_be_looked_at_keeps_its_last_status_and_gets_no_first_one() -> None:
    one, two = port(1), port(2)
    router = Router(id=RouterId("r"))
    now = Pass(state=state_of(network(), one, two, router), switch=switch_with(one, two))
    before = Picture(objects={one.key: ObjectStatus(status="wired"), "port/gone": ObjectStatus(status="wired")})
    shown = picture(now, [Outcome(stage="filters", failure="iptables does not answer")], before)
    assert shown.objects == {one.key: ObjectStatus(status="wired"), router.key: ObjectStatus(status="wired")}
    assert shown.errors == ("iptables does not answer",)


def test_a_router_with_something_wrong_in_its_namespace_is_in_error_and_no_other() -> None:
    one, two = Router(id=RouterId("r1")), Router(id=RouterId("r2"))
    now = Pass(state=state_of(one, two), switch=Switch())
    said = reported(now, Outcome(stage="namespaces", wrong={one.key: "no route"}))
    assert said == {one.key: ObjectStatus(status="error", reason="no route"), two.key: ObjectStatus(status="wired")}
