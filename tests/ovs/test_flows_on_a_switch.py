"""Laws of rendering, comparing and applying flows, on a real switch that keeps the example before."""

from hypothesis import HealthCheck, given, settings

from warren.testing.bench import Bench
from warren.testing.states import Scene, scenes

on_a_switch = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@on_a_switch
@given(scene=scenes())
def test_after_one_apply_nothing_is_left_to_do(bench: Bench, scene: Scene) -> None:
    bench.apply(scene)
    for name, flows in bench.desired(scene).items():
        installed = bench.bridge(name).installed()
        assert installed == flows.desired
        assert not flows.plan(installed)
