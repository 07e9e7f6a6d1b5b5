"""Plugging and unplugging inside a host: `python -m warren.lab.instances.wires plug|unplug VIF`, VIF being JSON."""

import sys

import msgspec

from warren.core.errors import Rejected, WarrenError
from warren.core.ids import MacAddress, PortId
from warren.core.state import Plug
from warren.lab.host import Place
from warren.lab.instances.instance import Instance, Kind
from warren.lab.machine import datapath_type
from warren.plug.vif import Vif, plug, unplug

VERBS = {"plug": plug, "unplug": unplug}


def run(place: Place, verb: str, instance: Instance, plugged: Plug) -> None:
    """Do it on a host of the lab, in a process of its own: this one is not in that host's namespaces.

    Raises:
        Rejected: the kernel or Open vSwitch refused; with what it said.
    """
    vif = Vif(
        port_id=PortId(instance.port_id),
        mac_address=MacAddress(instance.mac_address),
        mtu_bytes=instance.mtu,
        plug=plugged,
        instance_id=instance.name,
        namespace=instance.name if instance.kind is Kind.NETNS else None,
        finishes_frames=datapath_type() == "netdev",
    )
    done = place.run(sys.executable, "-m", __name__, verb, msgspec.json.encode(vif).decode())
    if done.returncode:
        raise Rejected(f"'{instance.name}' could not be {verb}ged on {place.name}: {done.stderr.strip()}")


def main(verb: str, vif: str) -> None:
    """Do it here."""
    try:
        VERBS[verb](msgspec.json.decode(vif, type=Vif))
    except WarrenError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main(*sys.argv[1:])
