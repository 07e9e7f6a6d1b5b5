"""Everything outside that wakes the loop: Open vSwitch's database, its bridges, the kernel; each in its own thread."""

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from warren.agent.config import AgentConfig
from warren.agent.drivers import netns
from warren.agent.drivers.flow_monitor import FlowMonitor
from warren.agent.drivers.kernel_monitor import Event, KernelMonitor, Kind
from warren.agent.drivers.ovsdb_monitor import OvsdbMonitor
from warren.agent.loop import Reason, Source
from warren.agent.preflight import run_directory
from warren.agent.wake import Wake
from warren.core.names import DHCP_NAMESPACE_PREFIX, INTEGRATION_BRIDGE, ROUTER_NAMESPACE_PREFIX, TUNNEL_BRIDGE

KERNEL_SOURCES: Final[Mapping[Kind, Source]] = {
    Kind.LINKS: Source.LINKS,
    Kind.RULES: Source.RULES,
    Kind.NAMES: Source.NAMES,
    Kind.EXIT: Source.EXIT,
}


class Watch:
    """The monitors of one host; they end with the process."""

    def __init__(self, config: AgentConfig, wake: Wake) -> None:
        """Start them all."""
        self._wake = wake
        OvsdbMonitor(config.ovs.db, lambda _: wake.because(Reason(Source.OVSDB))).start()
        for bridge in sorted({INTEGRATION_BRIDGE, TUNNEL_BRIDGE, *config.bridge_mappings.values()}):
            FlowMonitor(bridge, run_directory(config), self._flows_changed(bridge), self._ports_changed).start()
        self._kernel = KernelMonitor(self._kernel_changed)
        self._kernel.start()

    def namespaces(self) -> None:
        """Listen in every namespace of ours that there is now, and in none that has gone."""
        ours = (ROUTER_NAMESPACE_PREFIX, DHCP_NAMESPACE_PREFIX)
        self._kernel.watch_namespaces(name for name in netns.names() if name.startswith(ours))

    def processes(self, pids: Iterable[int]) -> None:
        """Hear of the end of exactly these."""
        self._kernel.watch_processes(pids)

    def _flows_changed(self, bridge: str) -> Callable[[str], None]:
        return lambda _: self._wake.because(Reason(Source.FLOWS, bridge))

    def _ports_changed(self, _: str) -> None:
        self._wake.because(Reason(Source.PORTS))

    def _kernel_changed(self, event: Event) -> None:
        self._wake.because(Reason(KERNEL_SOURCES[event.kind], event.name))
