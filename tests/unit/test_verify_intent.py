"""What a captured host tells about its agent's configuration."""

from warren.core.state import HostState
from warren.inspect.snapshot.model import Bridge, BridgePort, Host
from warren.inspect.verify.intent import layout_of


def test_a_physical_bridge_is_known_before_any_network_is_on_it() -> None:
    br_int = Bridge(name="br-int", ports=(BridgePort(name="int-br-ex", type="patch", options={"peer": "phy-br-ex"}),))
    br_ex = Bridge(name="br-ex", ports=(BridgePort(name="phy-br-ex", type="patch", options={"peer": "int-br-ex"}),))
    layout = layout_of(Host(name="network", bridges=(br_int, br_ex)), HostState({}))
    assert [network.bridge for network in layout.physical_networks.values()] == ["br-ex"]
