"""Whom a flow serves: names for cookies and MAC addresses, from the API and from the hosts' own interfaces."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from warren.core.state import OWNER_DHCP, OWNER_ROUTER_GATEWAY, OWNER_ROUTER_INTERFACE
from warren.lab import api
from warren.lab.experiments.sight import Sight
from warren.lab.experiments.tables import Entry
from warren.pipeline.br_tun.tables import PIPELINE
from warren.pipeline.cookies import Concern, decode, object_digits

_INTERFACE: Final = re.compile(r"^\d+: ([^:@\s]+)[^\n]*\n +link/ether ([0-9a-f:]{17})", re.MULTILINE)
PURPOSES: Final[Mapping[int, str]] = {table.id: table.purpose for table in PIPELINE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Atlas:
    """Names of what flows speak of."""

    objects: Mapping[str, str]
    """12 digits of a cookie -> `network red`, `port vm1`, `host compute1`."""
    interfaces: Mapping[str, str]
    """MAC address -> `eth0 of vm1 on compute1`."""

    def owner(self, entry: Entry) -> str:
        """Whom a flow serves, in a few words."""
        if entry.is_learned:
            return f"learned: {self.interface(entry.mac)} is behind {', '.join(entry.outputs)}"
        meaning = decode(entry.cookie)
        if meaning is None:
            return "not Warren's"
        if meaning.concern is Concern.FRAME:
            return "the bridge itself"
        return self.objects.get(meaning.object_digits, f"object {meaning.object_digits}")

    def interface(self, mac: str) -> str:
        """The interface that has a MAC address."""
        return f"{mac} ({self.interfaces[mac]})" if mac in self.interfaces else f"{mac} (nobody's)"


def draw(networks: Iterable[api.Network], ports: Iterable[api.Port], vteps: Mapping[str, str], sight: Sight) -> Atlas:
    """An atlas of this moment. `vteps` is host -> tunnel address."""
    objects = {object_digits(address): f"host {host}" for host, address in vteps.items()}
    objects |= {object_digits(network.id): f"network {network.name}" for network in networks}
    interfaces: dict[str, str] = {}
    for host, seen in sight.hosts.items():
        for path in sorted(seen.folder.glob("ip_addr_*")):
            namespace = path.name.removeprefix("ip_addr_")
            where = f"on {host}" if namespace == "host" else f"of {namespace} on {host}"
            for name, mac in _INTERFACE.findall(path.read_text(errors="replace")):
                interfaces[mac] = f"{name} {where}"
    for port in ports:
        objects[object_digits(port.id)] = f"port {port.name or port.device_owner}"
        interfaces[port.mac_address] = _port_interface(port)
    return Atlas(objects=objects, interfaces=interfaces)


def _port_interface(port: api.Port) -> str:
    what = {OWNER_DHCP: "DHCP server", OWNER_ROUTER_INTERFACE: "router", OWNER_ROUTER_GATEWAY: "gateway"}
    return f"{what.get(port.device_owner, port.name)}'s port on {port.host or 'no host'}"
