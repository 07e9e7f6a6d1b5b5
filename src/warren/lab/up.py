"""Bringing a lab up: namespaces, cables, switches, server, agents; all of it, or nothing and the reason."""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from warren.core.names import UNDERLAY_BRIDGE
from warren.lab import control, fabric, host, machine, switch
from warren.lab.directory import LabDirectory, claim
from warren.lab.down import take_down
from warren.lab.host import Place
from warren.lab.plan import UNDERLAY, WORLD, LabPlan

T = TypeVar("T")
R = TypeVar("R")
Say = Callable[[str], None]
"""Told what is being done now, in a few words."""


def bring_up(plan: LabPlan, say: Say) -> LabDirectory:
    """Make a lab; when this returns, every agent has reported.

    Raises:
        Unmet: this machine lacks something; nothing was changed.
        Conflict: a lab of that name is there already; nothing was changed.
        WarrenError: something else went wrong; what had been made is removed again.
    """
    machine.check(plan.plug)
    lab = claim(plan)
    try:
        places = make_hosts(lab, say)
        start_warren(lab, places, say)
    except BaseException:
        say("taking down again what was made")
        take_down(plan.name)
        raise
    return lab


def make_hosts(lab: LabDirectory, say: Say) -> dict[str, Place]:
    """Hosts with their cables and Open vSwitch, without Warren itself; by name.

    Raises:
        Rejected: a command failed.
    """
    say("hosts: network, mount and UTS namespaces")
    names = [UNDERLAY, WORLD, *(planned.name for planned in lab.plan.hosts)]
    places = dict(zip(names, _together(lambda name: host.hold(lab, name), names), strict=True))
    say("cables: the underlay and the external LAN")
    fabric.connect(lab, places)
    say("Open vSwitch on every host")
    _together(lambda planned: switch.start(lab, places[planned.name]), lab.plan.hosts)
    return places


def start_warren(lab: LabDirectory, places: Mapping[str, Place], say: Say) -> None:
    """The server, and an agent on every host; every agent has reported when this returns.

    Raises:
        Rejected: one of them ended; with the end of its log.
        Unreachable: one did not answer in time.
    """
    say("server and agents")
    control.start_server(lab)
    for planned in lab.plan.hosts:
        control.start_agent(lab, places[planned.name], planned)
    client = control.wait_for_server(lab)
    control.wait_for_agents(lab, client)
    say("tunnel addresses reach each other")
    for planned in lab.plan.hosts:
        _reach_peers(lab, places[planned.name])


def _reach_peers(lab: LabDirectory, place: Place) -> None:
    """A first frame to a tunnel address that is not resolved yet is lost; so resolve them all.

    The switch in userspace hears answers to ARP requests only. So each host asks for itself, one after the other, and
    forgets before what it overheard while others asked.
    """
    nic = UNDERLAY_BRIDGE if machine.datapath_type() == "netdev" else fabric.UNDERLAY_NIC
    pings = [f"ping -q -c 1 -W 5 {peer.vtep_ip} & " for peer in lab.plan.hosts if peer.name != place.name]
    place.must("sh", "-c", f"ip neigh flush dev {nic}; {''.join(pings)} wait")


def _together(work: Callable[[T], R], items: Iterable[T]) -> list[R]:
    """Do it for each at the same time; the first error counts when all have ended."""
    with ThreadPoolExecutor(max_workers=8) as pool:
        return [future.result() for future in [pool.submit(work, item) for item in items]]
