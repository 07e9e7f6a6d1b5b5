"""The commands on a live switch: what is shown is what is there, and watching tells what happens while it happens."""

import json
import os
import re
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from warren.cli.flows import INTERRUPTED
from warren.testing.ovs import PrivateOvs, private_ovs

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module")
def ovs() -> Iterator[PrivateOvs]:
    with private_ovs() as switch:
        switch.vsctl("add-br", "br-tun", "--", "set", "bridge", "br-tun", "fail_mode=secure")
        for number in (1, 2):
            name = f"port{number}"
            switch.vsctl("add-port", "br-tun", name, "--", "set", "interface", name, f"ofport_request={number}")
        switch.ofctl("add-flow", "br-tun", "table=0,priority=1,in_port=1,actions=resubmit(,10)")
        switch.ofctl(
            "add-flow",
            "br-tun",
            "table=10,priority=1,actions=learn(table=20,hard_timeout=60,priority=1,cookie=0x5,NXM_OF_ETH_DST[]=NXM_OF_ETH_SRC[],"
            "output:NXM_OF_IN_PORT[]),output:2",
        )
        yield switch


def warren(ovs: PrivateOvs, *words: str) -> "subprocess.Popen[str]":
    environment = {**ovs.environment, "PYTHONPATH": str(SOURCE), "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
    return subprocess.Popen(
        [sys.executable, "-m", "warren", "flows", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_live_switch_is_explained_with_the_names_of_its_ports(ovs: PrivateOvs) -> None:
    process = warren(ovs, "explain", "local", "table=0", "--json")
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    (flow,) = json.loads(output)
    assert flow["explanation"] == "Frames from port1 go on to table 10 (LEARN_FROM_TUN)."


def test_watching_tells_of_learned_entries_their_refreshment_and_their_end(ovs: PrivateOvs) -> None:
    process = warren(ovs, "watch", "local", "--interval", "0.2", "--json")
    numbers = count(1)

    def teach(number: int) -> None:
        frame = f"in_port=1,dl_src=fa:16:3e:00:00:{number:02x},dl_dst=fa:16:3e:ff:ff:ff,dl_type=0x1234"
        ovs.appctl("ofproto/trace", "br-tun", frame, "-generate")

    try:
        told = until_told(process, "written", lambda: teach(next(numbers)))
        assert re.search(r"go to port1; learned \d s ago from a frame of fa:16:3e:00:00:..,", str(told["explanation"]))
        until_told(process, "refreshed", lambda: teach(1))
        until_told(process, "removed", lambda: ovs.ofctl("del-flows", "br-tun", "table=20"))
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=10)
        assert (process.returncode, complaint) == (INTERRUPTED, "")
    finally:
        process.kill()
        process.communicate(timeout=10)


def until_told(process: "subprocess.Popen[str]", event: str, cause: Callable[[], object]) -> dict[str, object]:
    """Cause something, again and again, until the watching process tells of it."""
    assert process.stdout is not None
    deadline, pending = time.monotonic() + 30, b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while time.monotonic() < deadline:
            cause()
            while selector.select(timeout=0.5):
                chunk = os.read(process.stdout.fileno(), 65536)
                assert chunk, "the watching process ended"
                *lines, pending = (pending + chunk).split(b"\n")
                told = [each for each in map(json.loads, lines) if each["event"] == event]
                if told:
                    found: dict[str, object] = told[0]
                    return found
    raise AssertionError(f"nothing was told of {event}")
