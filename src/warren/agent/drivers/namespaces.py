"""Routers' and DHCP servers' network namespaces: reads them back whole, applies the difference.

Order is the point of this module. A packet that is tracked before its translation rule exists is never translated
afterwards, so a path is taken away before rules change and laid only when they stand: withdraw, then sysctls and
rules, then links, addresses and routes.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_interface
from typing import Final

from warren.agent.drivers import arp, conntrack, iptables, netlink, netns, policy, sysctl
from warren.agent.drivers.command import run
from warren.core.errors import DriverError, Rejected
from warren.core.names import DHCP_NAMESPACE_PREFIX, ROUTER_NAMESPACE_PREFIX
from warren.namespaces import Key, Kind, Setting
from warren.namespaces.links import LOOKUPS, SYSCTLS, own_sysctls
from warren.reconcile.plan import Plan, plan

INTERFACES: Final = ("qr-", "qg-", "tap")
NOBODYS: Final = ("lo", "")
"""Where routes lead that lead nowhere; in a namespace of ours only a slip of the hand makes them."""
ALONE: Final = "without its loopback"
"""Value of a namespace, as read, whose `lo` is down."""
CUT_OFF: Final = "without its routes"
"""Value of an address, as read, of whose routes, which the kernel made with it, one is missing."""
OURS: Final = (ROUTER_NAMESPACE_PREFIX, DHCP_NAMESPACE_PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """An address that appeared on an interface and that its neighbours must hear of, once frames can leave."""

    namespace: str
    interface: str
    mac_address: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of applying a plan.

    `failed`: what kept a thing from its setting, by key; the rest was applied. `announcements`: to be sent by
    `announce` when the interfaces forward.
    """

    failed: dict[Key, str]
    announcements: tuple[Announcement, ...]


class Namespaces:
    """The namespaces of one host whose names begin with `qrouter-` and `qdhcp-`."""

    def installed(self, only: Iterable[str] | None = None) -> dict[Key, Setting]:
        """Read back every setting of the namespaces, or of those named (an absent one has none).

        An interface that is on the host as well is dead where it was left: ovs-vswitchd made it anew when it was
        started again. It counts as absent, with all that hangs on it.
        """
        wanted = None if only is None else frozenset(only)
        present = sorted(name for name in netns.names() if name.startswith(OURS) and (wanted is None or name in wanted))
        anew = frozenset(netlink.read_links()) if present else frozenset()
        return {key: setting for name in present for key, setting in _read(name, anew)}

    def apply(self, changes: Plan[Key, Setting]) -> Outcome:
        """Apply a plan, namespace by namespace; what fails in one stops nothing in another."""
        failed: dict[Key, str] = {}
        announcements: list[Announcement] = []
        for name in sorted({key.namespace for part in (changes.add, changes.change, changes.remove) for key in part}):
            each = _Change(name, changes, failed)
            try:
                each.apply()
            except DriverError as error:
                failed[Key(name, Kind.NAMESPACE, name)] = str(error)
            announcements += each.announcements
        return Outcome(failed=failed, announcements=tuple(announcements))


def announce(announcements: Iterable[Announcement]) -> list[str]:
    """Tell the neighbours of every address; what could not be told, a sentence each.

    Neighbours that were sought while no frame could leave are asked for again: the kernel would wait a second.
    """
    complaints = []
    for each in announcements:
        try:
            with netns.entered(each.namespace):
                arp.announce(each.interface, each.mac_address, each.address)
                arp.ask(each.interface, each.mac_address, each.address, netlink.read_unresolved(each.interface))
        except DriverError as error:
            complaints.append(str(error))
    return complaints


def _read(name: str, anew: frozenset[str]) -> Iterator[tuple[Key, Setting]]:
    try:
        with netns.entered(name):
            tables = netlink.read()
            chains = iptables.installed() if name.startswith(ROUTER_NAMESPACE_PREFIX) else {}
            sysctls = {path: sysctl.read(path) for path in SYSCTLS}
            lookups = {family: policy.installed(family) for family in LOOKUPS}
            strays = {link.name: _strays(name, link) for link in tables.links if link.name.startswith(INTERFACES)}
    except Rejected:
        return  # a file of that name that is no namespace (any more): as good as absent, and made anew
    is_alone = not any(link.is_up for link in tables.links if link.name == "lo")
    yield Key(name, Kind.NAMESPACE, name), Setting(value=ALONE if is_alone else "")
    for path, number in sysctls.items():
        yield Key(name, Kind.SYSCTL, path), Setting(value=number)
    for family, rules in lookups.items():
        yield Key(name, Kind.LOOKUP, family), Setting(value=LOOKUPS[family] if rules is None else rules)
    for chain, lines in chains.items():
        yield Key(name, Kind.CHAIN, chain), Setting(value=lines)
    yield from _of_interfaces(name, tables, strays, anew)


def _of_interfaces(
    name: str, tables: netlink.Tables, strays: Mapping[str, str], anew: frozenset[str]
) -> Iterator[tuple[Key, Setting]]:
    ours = {link.name for link in tables.links if link.name.startswith(INTERFACES)} - anew
    for link in tables.links:
        if link.name in ours:
            direction = "up" if link.is_up else "down"
            value = f"{link.mac_address} mtu {link.mtu_bytes} {direction}{strays[link.name]}"
            yield Key(name, Kind.LINK, link.name), Setting(value=value)
    for each in tables.addresses:
        if each.interface in ours:
            value = CUT_OFF if _is_cut_off(each, tables) else ""
            yield Key(name, Kind.ADDRESS, f"{each.interface} {each.address}"), Setting(value=value)
    for route in tables.routes:
        if not route.is_connected and route.interface in {*ours, *NOBODYS}:
            yield Key(name, Kind.ROUTE, route.destination), Setting(value=route.by)


def _strays(namespace: str, link: netlink.Link) -> str:
    """What somebody set otherwise of one interface alone, ` rp_filter=1` for instance."""
    interface = link.name
    installed = {path: sysctl.read(path) for path in _own_sysctls(namespace, interface)}
    set_by_hand = f"{'' if link.asks_arp else ' arp=off'}{' master=another' if link.master else ''}"
    return set_by_hand + "".join(
        f" {path.rpartition('/')[2]}={installed[path]}"
        for path, usual in _own_sysctls(namespace, interface).items()
        if installed[path] not in (usual, sysctl.ABSENT)
    )


def _own_sysctls(namespace: str, interface: str) -> dict[str, str]:
    return own_sysctls(interface, forwards=namespace.startswith(ROUTER_NAMESPACE_PREFIX))


def _is_cut_off(address: netlink.InterfaceAddress, tables: netlink.Tables) -> bool:
    """Whether a route is missing that the kernel makes with an address, and never again if somebody removes it."""
    own = ip_interface(address.address)
    is_up = any(link.is_up for link in tables.links if link.name == address.interface)
    wanted = [str(own.network)] if own.network.num_addresses > 1 else []
    wanted += [f"{own.ip}/32 table local"] if own.version == 4 else []
    connected = [each for each in tables.routes if each.is_connected and each.interface == address.interface]
    return is_up and not {route.destination for route in connected}.issuperset(wanted)


class _Change:
    """One namespace's part of a plan, applied in the order that this module promises."""

    def __init__(self, name: str, changes: Plan[Key, Setting], failed: dict[Key, str]) -> None:
        self.name = name
        self.failed = failed
        self.announcements: list[Announcement] = []
        self._added = {key: setting for key, setting in changes.add.items() if key.namespace == name}
        self._changed = {key: pair for key, pair in changes.change.items() if key.namespace == name}
        self._removed = {key: setting for key, setting in changes.remove.items() if key.namespace == name}

    def apply(self) -> None:
        whole = Key(self.name, Kind.NAMESPACE, self.name)
        if whole in self._removed:
            netns.delete(self.name)
            return
        if whole in self._added:
            if self.name in netns.names():
                netns.delete(self.name)
            netns.create(self.name)
        self._take_in()
        with netns.entered(self.name):
            self._each([(whole, "")] if whole in self._changed else [], _raise_loopback)
            self._withdraw()
            self._each(self._wanted(Kind.SYSCTL), _write_sysctl)
            self._each(self._wanted(Kind.LOOKUP), _write_lookups)
            self._write_rules()
            self._each(self._wanted(Kind.LINK), _set_link)
            self._each(self._wanted(Kind.ADDRESS), _add_address)
            self._each(self._cut_off(), _connect)
            self._each(self._wanted(Kind.ROUTE), _set_route)
            self._note_announcements()

    def _wanted(self, kind: Kind) -> list[tuple[Key, str]]:
        both = [*self._added.items(), *((key, new) for key, (_, new) in self._changed.items())]
        return [(key, setting.value) for key, setting in both if key.kind is kind]

    def _cut_off(self) -> list[tuple[Key, str]]:
        return [(key, old.value) for key, (old, _) in self._changed.items() if old.value == CUT_OFF]

    def _each(self, settings: Iterable[tuple[Key, str]], act: Callable[[Key, str], None]) -> None:
        for key, value in settings:
            if key in self.failed:
                continue
            try:
                act(key, value)
            except DriverError as error:
                self.failed[key] = str(error)

    def _take_in(self) -> None:
        """Move interfaces that are on the host into the namespace; they arrive down and without addresses."""
        missing = [key for key in self._added if key.kind is Kind.LINK]
        if not missing:
            return
        outside = netlink.read_links()
        with netns.entered(self.name):
            dead = outside.keys() & netlink.read_links().keys() & {key.name for key in missing}
            self._each([(Key(self.name, Kind.LINK, name), "") for name in sorted(dead)], _bury)
        for key in missing:
            if key.name not in outside:
                self.failed[key] = f"interface {key.name} does not exist yet"
                continue
            try:
                run(["ip", "link", "set", key.name, "netns", self.name])
            except DriverError as error:
                self.failed[key] = str(error)

    def _withdraw(self) -> None:
        self._each(self._unwanted(Kind.ROUTE), _delete_route)
        self._each(self._unwanted(Kind.ADDRESS), _delete_address)
        self._each(self._unwanted(Kind.LINK), _silence_link)

    def _unwanted(self, kind: Kind) -> list[tuple[Key, str]]:
        return [(key, setting.value) for key, setting in self._removed.items() if key.kind is kind]

    def _write_rules(self) -> None:
        """Rules at once; then forget connections that were translated as they now are not, or not yet.

        Raises:
            DriverError: they were refused. Nothing of the path may follow.
        """
        desired = {key.name: value for key, value in self._wanted(Kind.CHAIN)}
        before = {key.name: old.value for key, (old, _) in self._changed.items() if key.kind is Kind.CHAIN}
        before |= {key.name: setting.value for key, setting in self._removed.items() if key.kind is Kind.CHAIN}
        if not desired and not before:
            return
        iptables.apply(plan(desired, before))
        had, has = iptables.translations(before), iptables.translations(desired)
        gone = {address for address, _ in had - has}
        conntrack.forget_stale(gone, unanswered=bool(before and has - had))

    def _note_announcements(self) -> None:
        links = netlink.read_links() if any(self._wanted(Kind.ADDRESS)) else {}
        for key, _ in self._wanted(Kind.ADDRESS):
            interface, _, cidr = key.name.partition(" ")
            link = links.get(interface)
            if link is not None and link.is_up and ":" not in cidr and key not in self.failed:
                address = cidr.partition("/")[0]
                self.announcements.append(
                    Announcement(
                        namespace=self.name, interface=interface, mac_address=link.mac_address, address=address
                    )
                )


def _write_sysctl(key: Key, value: str) -> None:
    sysctl.write(key.name, value)


def _write_lookups(key: Key, value: str) -> None:
    policy.apply(key.name, value)


def _raise_loopback(_: Key, __: str) -> None:
    run(["ip", "link", "set", "dev", "lo", "up"])


def _set_link(key: Key, value: str) -> None:
    mac, _, mtu, direction = value.split()
    run(["ip", "link", "set", "dev", key.name, "address", mac, "mtu", mtu, "arp", "on", "nomaster"])
    for path, number in _own_sysctls(key.namespace, key.name).items():
        sysctl.write(path, number)
    run(["ip", "link", "set", "dev", key.name, direction])


def _add_address(key: Key, _: str) -> None:
    interface, _, cidr = key.name.partition(" ")
    flags = ["nodad"] if ":" in cidr else []
    run(["ip", "address", "replace", cidr, "dev", interface, *flags])


def _connect(key: Key, _: str) -> None:
    """Make the routes of an address, to itself and to its subnet, as the kernel made them with it."""
    interface, _, cidr = key.name.partition(" ")
    own = ip_interface(cidr)
    replace = ["ip", *_family(key), "route", "replace"]
    by = ["dev", interface, "proto", "kernel"]
    if own.version == 4:
        run([*replace, "local", str(own.ip), *by, "table", "local", "scope", "host", "src", str(own.ip)])
    if own.network.num_addresses > 1:
        how = ["metric", "256"] if own.version == 6 else ["scope", "link", "src", str(own.ip)]
        run([*replace, str(own.network), *by, *how])


def _set_route(key: Key, value: str) -> None:
    run(["ip", *_family(key), "route", "replace", key.name, *value.split()])


def _delete_route(key: Key, value: str) -> None:
    """Exactly this one: another of the same prefix, a subnet's own route for instance, stays."""
    destination = key.name.split()
    if value in netlink.LEADS_NOWHERE.values():
        run(["ip", *_family(key), "route", "delete", value, *destination])
    else:
        by = [] if value == "nexthops" else value.split()
        run(["ip", *_family(key), "route", "delete", *destination, *by])


def _delete_address(key: Key, _: str) -> None:
    interface, _, cidr = key.name.partition(" ")
    run(["ip", "address", "delete", cidr, "dev", interface])


def _bury(key: Key, _: str) -> None:
    """Delete an interface whose process is gone, so that its successor fits under the same name."""
    run(["ip", "link", "delete", "dev", key.name])


def _silence_link(key: Key, _: str) -> None:
    """Silence an interface that should not be there; Open vSwitch takes it away with its port."""
    run(["ip", "link", "set", "dev", key.name, "down"])


def _family(key: Key) -> list[str]:
    return ["-6"] if ":" in key.name else ["-4"]
