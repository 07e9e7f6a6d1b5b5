"""br-tun changes its mode under traffic: every frame to a far port leaves by that port's tunnel, before and after."""

import re
import threading

from warren.core.state import TunnelMode
from warren.testing.bench import Bench
from warren.testing.ovs import wait_until
from warren.testing.states import full_scene, mac, plugged_as

FLIPS = 8
FAR = mac(0x80)
"""Known in l2pop (neighbour of peer1 on the first network), learned or flooded in learning."""


def test_no_frame_is_lost_while_the_mode_changes(bench: Bench) -> None:
    bench.apply(full_scene(TunnelMode.LEARNING))
    counted = through(bench)
    done = threading.Event()
    sender = Sender(bench, done)
    sender.start()
    try:
        for flip in range(FLIPS):
            bench.apply(full_scene((TunnelMode.L2POP, TunnelMode.LEARNING)[flip % 2]))
    finally:
        done.set()
        sender.join()

    def all_left() -> bool:
        """The last frames may still be in the port's queue: those that came in and those that left agree at the end."""
        entered, left = (now - before for now, before in zip(through(bench), counted, strict=True))
        return left == entered > FLIPS

    wait_until(all_left, "every frame that came in leaves by the tunnel")


def through(bench: Bench) -> tuple[int, int]:
    """Frames that the port took in, and that left by the tunnel.

    What was taken in, not what was offered: the port's short queue overflows while ovs-vswitchd is busy.
    """
    return packets(bench, "br-int", plugged_as(1), "rx"), packets(bench, "br-tun", "vxlan-0a090002", "tx")


class Sender(threading.Thread):
    """Sends frames of the first port to the far one, one after another, until told to stop."""

    def __init__(self, bench: Bench, done: threading.Event) -> None:
        super().__init__()
        self._bench = bench
        self._done = done

    def run(self) -> None:
        frame = f"in_port(1),eth(src={mac(1)},dst={FAR}),eth_type(0x88b5)"
        while not self._done.is_set():
            self._bench.ovs.appctl("netdev-dummy/receive", plugged_as(1), frame)


def packets(bench: Bench, bridge: str, interface: str, direction: str) -> int:
    """What an interface counted, `rx` or `tx`."""
    counted = bench.ovs.ofctl("dump-ports", bridge, interface)
    found = re.search(rf"{direction} pkts=(\d+)", counted)
    assert found is not None, counted
    return int(found[1])
