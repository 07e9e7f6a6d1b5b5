"""The tunnel endpoint's address: ours to give with a switch in userspace, the host's own with the kernel's datapath."""

from ipaddress import IPv4Interface

import pytest

from warren.agent.drivers.command import run
from warren.agent.loop import Outcome, Pass
from warren.agent.stages.underlay import Underlay
from warren.core.state import HostState

pytestmark = [pytest.mark.root, pytest.mark.usefixtures("host")]


def looked_for(address: str) -> Outcome:
    return Underlay(None, IPv4Interface(address)).run(Pass(state=HostState({})))


def test_an_address_that_no_interface_has_is_said() -> None:
    run(["ip", "link", "set", "lo", "up"])
    assert looked_for("10.9.0.1/24").failure == (
        "no tunnel can end here: no interface has 10.9.0.1, the local_ip of [tunnel]; add it to one"
    )
    run(["ip", "address", "add", "10.9.0.1/24", "dev", "lo"])
    assert looked_for("10.9.0.1/24") == Outcome(stage="underlay")
