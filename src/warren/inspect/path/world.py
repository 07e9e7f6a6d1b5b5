"""What a trace changes while it goes on: connections, learned addresses and flows, neighbours. Nothing is global."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

from warren.inspect.evaluate.hosts import model_of
from warren.inspect.filter.conntrack import Tracker
from warren.inspect.filter.hooks import Netfilter
from warren.inspect.filter.match import Known
from warren.inspect.filter.read import read_rules, read_sets
from warren.inspect.parse.problem import Problem
from warren.inspect.path.holders import Holders, holders_of
from warren.inspect.path.switch import Switch
from warren.inspect.path.topology import Interface, SwitchPort, Topology
from warren.inspect.snapshot.model import Estate, Host, Namespace, Printout
from warren.inspect.snapshot.text import Page

_USABLE_STATES = frozenset({"REACHABLE", "STALE", "DELAY", "PROBE", "PERMANENT", "NOARP", ""})


@dataclass(kw_only=True)
class World:
    """An estate and its state during one trace."""

    estate: Estate
    topology: Topology
    netfilters: dict[tuple[str, str, bool], Netfilter] = field(default_factory=dict)
    switches: dict[tuple[str, str], Switch] = field(default_factory=dict)
    datapath_trackers: dict[str, Tracker] = field(default_factory=dict)
    neighbours: dict[tuple[str, str, str, str], str] = field(default_factory=dict)
    """(host, namespace, device, address) -> MAC address, learned in this trace."""
    instance_neighbours: dict[str, dict[str, str]] = field(default_factory=dict)
    """MAC address of an instance whose inside was not captured -> address -> MAC address."""
    bridge_addresses: dict[tuple[str, str, str], str] = field(default_factory=dict)
    """(host, Linux bridge, MAC address) -> port."""
    problems: list[Problem] = field(default_factory=list)
    """What of the tables and rules that were needed could not be read."""

    @cached_property
    def holders(self) -> Holders:
        """Who has which address."""
        return holders_of(self.topology)

    def netfilter(self, host: Host, namespace: Namespace, *, is_ipv6: bool) -> Netfilter:
        """The packet filter of a namespace, read when it is first needed."""
        key = (host.name, namespace.name, is_ipv6)
        if key not in self.netfilters:
            saved = (namespace.ip6tables if is_ipv6 else namespace.iptables) or Printout(file="", text="")
            page = Page(file=saved.file, text=saved.text)
            rules = read_rules(page)
            self._complain(host, page.problems)
            sets = read_sets(Page(file=namespace.sets.file, text=namespace.sets.text)) if namespace.sets else {}
            own = frozenset(address.ip for link in namespace.links for address in link.addresses)
            self.netfilters[key] = Netfilter(rules=rules, known=Known(sets=sets, addresses=own))
        return self.netfilters[key]

    def switch(self, port: SwitchPort) -> Switch:
        """The bridge of a port, with its flows read when first needed."""
        key = (port.host.name, port.bridge.name)
        if key not in self.switches:
            tracker = self.datapath_trackers.setdefault(port.host.name, Tracker())
            model = model_of(port.bridge)
            self.switches[key] = Switch(bridge=port.bridge, model=model, tracker=tracker, names=self.estate.names)
            self._complain(port.host, model.problems)
        return self.switches[key]

    def _complain(self, host: Host, problems: Iterable[Problem]) -> None:
        self.problems += [replace(problem, file=f"{host.name}/{problem.file}") for problem in problems]

    def neighbour(self, interface: Interface, ip: str) -> str:
        """The MAC address that a namespace already knows for an address; empty where it must ask."""
        found = self.neighbours.get((interface.host.name, interface.namespace.name, interface.link.name, ip))
        if found:
            return found
        for entry in interface.namespace.neighbours:
            if (entry.ip, entry.device) == (ip, interface.link.name) and entry.mac and entry.state in _USABLE_STATES:
                return entry.mac
        return ""

    def meet(self, interface: Interface, ip: str, mac: str) -> None:
        """Remember who has an address."""
        self.neighbours[interface.host.name, interface.namespace.name, interface.link.name, ip] = mac


def world_of(estate: Estate) -> World:
    """An estate as it was captured, with the addresses that its Linux bridges had learned."""
    known = {
        (host.name, entry.bridge, entry.mac): entry.port
        for host in estate.hosts
        for namespace in host.namespaces
        for entry in namespace.bridge_fdb
        if entry.bridge
    }
    return World(estate=estate, topology=Topology(estate=estate), bridge_addresses=known)
