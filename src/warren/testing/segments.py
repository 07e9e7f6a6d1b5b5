"""Layer-2 segments made of Linux bridges, and machines on them: a router's surroundings without any Open vSwitch."""

import subprocess
import uuid
from dataclasses import dataclass

from warren.agent.drivers import netns
from warren.agent.drivers.command import run
from warren.core.ids import MacAddress
from warren.core.state import HostState, Network, Port
from warren.namespaces import Kind, render


def bridge_of(network: Network) -> str:
    """Name of the bridge that is a network's segment."""
    return f"lan{network.id[:11]}"


def lay(state: HostState) -> None:
    """Make a segment per network of a state, and every interface of its namespaces on the host, plugged into it.

    This is what the OVSDB stage does with internal ports of br-int.
    """
    for network in state.of(Network):
        run(["ip", "link", "add", bridge_of(network), "type", "bridge"])
        run(["ip", "link", "set", bridge_of(network), "up"])
    networks = {port.key: state.network(port.network_id) for port in state.of(Port)}
    for key, setting in render(state).items():
        segment = networks.get(setting.owner)
        if key.kind is Kind.LINK and segment is not None:
            plug_in(key.name, segment)


def plug_in(interface: str, network: Network) -> None:
    """Make an interface whose other end is a port of a network's segment."""
    far = f"x{interface[1:]}"
    run(["ip", "link", "add", interface, "type", "veth", "peer", "name", far])
    run(["ip", "link", "set", far, "master", bridge_of(network), "up"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Somebody on a segment: a network namespace with one interface, eth0."""

    namespace: str

    def ask(self, *command: str, timeout_s: float = 10) -> str:
        """Run a command there; its output."""
        with netns.entered(self.namespace):
            return run(command, timeout_s=timeout_s)

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """Start a command there and let it run."""
        with netns.entered(self.namespace):
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def reaches(self, address: str) -> bool:
        """Whether one of five pings is answered, the first at once if all is well."""
        with netns.entered(self.namespace):
            ping = ["ping", "-n", "-c", "1", "-w", "3", "-i", "0.2", address]
            return subprocess.run(ping, capture_output=True, check=False).returncode == 0


def machine(network: Network, *addresses: str, gateway: str = "", mac_address: MacAddress | None = None) -> Machine:
    """Put a machine on a segment, with addresses as `10.1.0.7/24` and a default route."""
    name = f"wt-m-{uuid.uuid4().hex[:8]}"
    netns.create(name)
    interface = f"e{uuid.uuid4().hex[:10]}"
    plug_in(interface, network)
    run(["ip", "link", "set", interface, "netns", name, "name", "eth0"])
    made = Machine(namespace=name)
    made.ask("ip", "link", "set", "eth0", *(["address", mac_address] if mac_address else []), "mtu", "1450", "up")
    for address in addresses:
        made.ask("ip", "address", "add", address, "dev", "eth0")
    if gateway:
        made.ask("ip", "route", "add", "default", "via", gateway)
    return made
