"""A restarted ovs-vswitchd has no flows: nothing passes, and one pass brings everything back."""

from warren.core.state import TunnelMode
from warren.testing.bench import bench_of
from warren.testing.ovs import private_ovs
from warren.testing.states import full_scene, mac, plugged_as

BROADCAST = f"in_port={plugged_as(1)},dl_src={mac(1)},dl_dst=ff:ff:ff:ff:ff:ff,dl_type=0x0800"


def test_a_restarted_switch_passes_nothing_until_one_pass_brings_all_back() -> None:
    scene = full_scene(TunnelMode.LEARNING)
    with private_ovs() as ovs:
        before = bench_of(ovs)
        before.apply(scene)
        reached = before.trace("br-int", BROADCAST).interfaces
        assert reached
        ovs.stop_vswitchd()
        ovs.start_vswitchd()
        after = bench_of(ovs)
        assert not after.trace("br-int", BROADCAST).interfaces
        assert all(not after.bridge(name).installed() for name in ("br-int", "br-tun", "br-ex"))
        after.apply(scene)
        assert after.trace("br-int", BROADCAST).interfaces == reached
