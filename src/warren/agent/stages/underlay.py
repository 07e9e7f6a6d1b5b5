"""Stage `underlay`: with the userspace datapath the tunnel endpoint's address is on br-phy, beside the NIC.

Userspace tunnelling routes through an OVS bridge; with the kernel's datapath the host's own routing serves and this
stage only looks whether the host has the address.
"""

from ipaddress import IPv4Interface
from typing import Final

from warren.agent.decisions import Wording, say
from warren.agent.drivers import netlink, sysctl
from warren.agent.drivers.command import run
from warren.agent.loop import Outcome, Pass, Source
from warren.agent.settle import settle
from warren.core.errors import DriverError
from warren.core.names import UNDERLAY_BRIDGE
from warren.reconcile.plan import Plan, plan

OWN_ADDRESSES_ONLY: Final = "1"
"""Value of `arp_ignore`: answer only for addresses of the interface that was asked."""


class Underlay:
    """The address and the two interfaces of the tunnel endpoint.

    Compared as `<interface>` -> `up`, `<interface> <address>` -> empty and `<sysctl>` -> its value, of our address and
    our two interfaces only.

    The kernel sees the NIC's frames as well as the switch does. It must not answer ARP for br-phy's address there:
    peers would hear two answers with two MAC addresses. Source: ip-sysctl.rst, arp_ignore=1; for addresses of its own
    the NIC still answers.
    """

    name = "underlay"
    needs: frozenset[str] = frozenset({"bridges"})

    def __init__(self, interface: str | None, address: IPv4Interface) -> None:
        self._interface = interface
        self._address = str(address)
        self._is_settled = False

    def run(self, now: Pass) -> Outcome:
        """Settle, if there is a tunnel endpoint to look after and something happened to it."""
        interface = self._interface
        if interface is None:
            return Outcome(stage=self.name, failure=self._missing())
        if self._is_settled and not self._is_touched(now, interface):
            return Outcome(stage=self.name)
        desired = {
            UNDERLAY_BRIDGE: "up",
            interface: "up",
            f"{UNDERLAY_BRIDGE} {self._address}": "",
            arp_ignore(interface): OWN_ADDRESSES_ONLY,
        }
        known = desired if self._is_settled else None
        settled = settle(
            lambda: plan(desired, self._present(interface)),
            _apply,
            lambda changes: say(changes, WORDING, known, now),
            is_dry=now.is_dry,
        )
        self._is_settled = not settled.left
        why = "; ".join(settled.failed.values())
        return Outcome(stage=self.name, changes=settled.changes, wrong={"": why} if why else {})

    def _missing(self) -> str:
        """What is wrong with an address that is not ours to give."""
        if netlink.is_local(self._address):
            return ""
        address, _, _ = self._address.partition("/")
        return f"no tunnel can end here: no interface has {address}, the local_ip of [tunnel]; add it to one"

    def _is_touched(self, now: Pass, interface: str) -> bool:
        """A host with many ports has events all the time, so two interfaces are asked before everything is read."""
        if now.looks_everywhere:
            return True
        return "" in now.named(Source.LINKS) and not (
            netlink.is_up(interface) and netlink.is_up(UNDERLAY_BRIDGE) and netlink.has(UNDERLAY_BRIDGE, self._address)
        )

    def _present(self, interface: str) -> dict[str, str]:
        """The NIC's copy of our address counts as present, and so is removed: the kernel would answer beside OVS."""
        tables = netlink.read()
        ours = (UNDERLAY_BRIDGE, interface)
        links = {link.name: "up" if link.is_up else "down" for link in tables.links if link.name in ours}
        addresses = {
            f"{each.interface} {each.address}": ""
            for each in tables.addresses
            if each.interface in ours and each.address == self._address
        }
        parameter = arp_ignore(interface)
        return links | addresses | {parameter: sysctl.read(parameter)}


def arp_ignore(interface: str) -> str:
    """The sysctl that says for which addresses an interface answers ARP."""
    return f"net/ipv4/conf/{interface}/arp_ignore"


def _apply(changes: Plan[str, str]) -> dict[str, str]:
    failed: dict[str, str] = {}
    for key in (*changes.remove, *changes.add, *changes.change):
        interface, _, address = key.partition(" ")
        try:
            if key.startswith("net/"):
                sysctl.write(key, OWN_ADDRESSES_ONLY)
            elif not address:
                run(["ip", "link", "set", "dev", interface, "up"])
            else:
                run(["ip", "address", "delete" if key in changes.remove else "replace", address, "dev", interface])
        except DriverError as error:
            failed[key] = str(error)
    return failed


WORDING: Final[Wording[str, str]] = Wording(
    event="underlay",
    where=lambda key, _: {"name": key},
    text=lambda value: value or "there",
    because=lambda _: "tunnels of the userspace datapath leave through it",
)
