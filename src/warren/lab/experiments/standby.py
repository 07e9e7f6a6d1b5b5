"""Of several network hosts the experiments use the first; the others stand by, drained by the API, while they run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from warren.lab.experiments.scene import Scene

SCHEDULED: Final = ("neutron-l3-agent", "neutron-dhcp-agent")
"""Binaries, as the API names them, of the agents that are given routers and DHCP servers."""


@contextmanager
def others_standing_by(scene: Scene) -> Iterator[None]:
    """The first network host gets every router and DHCP server; afterwards all network hosts are in service.

    Raises:
        Refused: the API would not take an agent out of service or put it back.
    """
    _serve(scene, {scene.network_host})
    try:
        yield
    finally:
        _serve(scene, {planned.name for planned in scene.lab.plan.hosts if planned.is_network})


def _serve(scene: Scene, hosts: set[str]) -> None:
    """Have these hosts' agents in service, and no others."""
    for agent in scene.client.agents():
        if agent.binary in SCHEDULED and agent.admin_state_up != (agent.host in hosts):
            scene.client.set_agent(agent, is_in_service=agent.host in hosts)
