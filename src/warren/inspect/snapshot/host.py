"""One host's files -> a `Host`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from warren.inspect.parse.problem import Problem
from warren.inspect.snapshot import dnsmasq, iproute, ovs
from warren.inspect.snapshot.layout import Place, Role, classify
from warren.inspect.snapshot.model import (
    NOTHING,
    Bridge,
    BridgePort,
    DhcpTable,
    Host,
    Link,
    Namespace,
    Printout,
)
from warren.inspect.snapshot.text import Page, harmless, mac_of

_SECTION: Final = {
    "# ip addr": Role.ADDRESSES,
    "# ip route": Role.ROUTES,
    "# ip rule": Role.RULES,
    "# ip neigh": Role.NEIGHBOURS,
}


@dataclass(slots=True)
class _Files:
    """Texts by role and place while a host is read, and the problems met on the way."""

    texts: dict[Role, dict[str, tuple[str, str]]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def page(self, role: Role, of: str = "") -> Page:
        file, text = self.texts.get(role, {}).get(of, ("", ""))
        return Page(file=file, text=text)

    def dump(self, role: Role, of: str = "") -> Printout | None:
        found = self.texts.get(role, {}).get(of)
        return Printout(file=found[0], text=found[1]) if found else None

    def read(self, page: Page) -> None:
        """Keep what a finished page complained about."""
        self.problems.extend(page.problems)


def read_host(name: str, files: Mapping[str, str]) -> Host:
    """A host from its files: path inside its folder -> text. Files of other names are left alone.

    `name` is used where the files do not have the host's own name.
    """
    found = _Files()
    for place, path, text in sorted(_classified(files), key=lambda item: (item[0].preference, item[1])):
        found.texts.setdefault(place.role, {})[place.of] = (path, harmless(text))
    own_name = found.page(Role.HOSTNAME).text.strip()
    for of in list(found.texts.get(Role.NAMESPACE, {})):
        _split_sections(found, of)
    bridges = tuple(_bridges(found))
    namespaces = tuple(_namespaces(found))
    dhcp = tuple(_dhcp(found))
    page = found.page(Role.TUNNEL_NEIGHBOURS)
    tunnel_neighbours = ovs.read_tunnel_neighbours(page)
    found.read(page)
    notes = found.page(Role.NOTES)
    for number, line in notes.lines():
        notes.complain(number, 1, line)
    found.read(notes)
    return Host(
        name=own_name if own_name and len(own_name) < 256 and " " not in own_name and "\n" not in own_name else name,
        bridges=bridges,
        namespaces=namespaces,
        dhcp=dhcp,
        tunnel_neighbours=tunnel_neighbours,
        intent=found.dump(Role.INTENT),
        problems=tuple(replace(problem, file=f"{name}/{problem.file}") for problem in found.problems),
    )


def _classified(files: Mapping[str, str]) -> Iterable[tuple[Place, str, str]]:
    for path, text in files.items():
        if place := classify(path):
            yield place, path, text


def _split_sections(found: _Files, of: str) -> None:
    """A file with `# ip addr`, `# ip route` … sections, as if each were a file; line numbers stay the file's."""
    page = found.page(Role.NAMESPACE, of)
    role: Role | None = None
    lines: dict[Role, list[str]] = {}
    for number, line in enumerate(page.text.split("\n")):
        heading = _SECTION.get(line.strip())
        if heading:
            role = heading
            lines[role] = [""] * (number + 1)
        elif role:
            lines[role].append(line)
    for section, text in lines.items():
        found.texts.setdefault(section, {}).setdefault(of, (page.file, "\n".join(text)))


def _bridges(found: _Files) -> Iterable[Bridge]:
    page = found.page(Role.OVS_SHOW)
    shown = {bridge.name: bridge for bridge in ovs.read_show(page)}
    found.read(page)
    rows = {role: _rows_by_name(found, role) for role in (Role.INTERFACES, Role.PORTS, Role.BRIDGES)}
    per_bridge = (Role.FLOWS, Role.OFCTL_SHOW, Role.FDB, Role.GROUPS)
    names = dict.fromkeys([*shown, *(name for role in per_bridge for name in found.texts.get(role, {}))])
    for name in names:
        page = found.page(Role.OFCTL_SHOW, name)
        openflow = {port.name: port for port in ovs.read_ofctl_show(page)}
        found.read(page)
        bridge = shown.get(name, ovs.ShownBridge(name=name))
        row = rows[Role.BRIDGES].get(name, {})
        page = found.page(Role.FDB, name)
        fdb = ovs.read_fdb(page)
        found.read(page)
        yield Bridge(
            name=name,
            ports=tuple(
                _port(port, bridge.interfaces.get(port, {}), rows, openflow.get(port))
                for port in dict.fromkeys([*bridge.interfaces, *openflow])
            ),
            fail_mode=bridge.columns.get("fail_mode") or ovs.text_of(row, "fail_mode"),
            datapath_type=bridge.columns.get("datapath_type") or ovs.text_of(row, "datapath_type"),
            flows=found.dump(Role.FLOWS, name),
            groups=found.dump(Role.GROUPS, name),
            fdb=fdb,
        )


def _rows_by_name(found: _Files, role: Role) -> Mapping[str, ovs.Row]:
    page = found.page(role)
    rows = {ovs.text_of(row, "name"): row for row in ovs.read_rows(page)} if page.text else {}
    found.read(page)
    return rows


def _port(
    name: str, shown: ovs.Row, rows: Mapping[Role, Mapping[str, ovs.Row]], openflow: ovs.ShownPort | None
) -> BridgePort:
    """Everything that the files say of one interface of a bridge."""
    interface = rows[Role.INTERFACES].get(name, {})
    port_name = ovs.text_of(shown, "port") or name
    port = rows[Role.PORTS].get(port_name, {})
    ofport = openflow.ofport if openflow else ovs.number_of(interface, "ofport")
    tag = ovs.number_of(port, "tag")
    return BridgePort(
        name=name,
        port=port_name,
        ofport=ofport,
        type=ovs.text_of(interface, "type") or ovs.text_of(shown, "type"),
        tag=tag if tag is not None else ovs.number_of(shown, "tag"),
        vlan_mode=ovs.text_of(port, "vlan_mode") or ovs.text_of(shown, "vlan_mode"),
        trunks=ovs.numbers_of(port, "trunks") or ovs.numbers_of(shown, "trunks"),
        mac=mac_of(ovs.text_of(interface, "mac_in_use")) or (openflow.mac if openflow else ""),
        mtu=ovs.number_of(interface, "mtu"),
        options=ovs.map_of(interface, "options") or ovs.map_of(shown, "options"),
        external_ids=ovs.map_of(interface, "external_ids"),
        other_config=ovs.map_of(port, "other_config"),
        config=openflow.config if openflow else frozenset(),
        error=ovs.text_of(interface, "error") or ovs.text_of(shown, "error"),
    )


def _namespaces(found: _Files) -> Iterable[Namespace]:
    roles = (Role.ADDRESSES, Role.ROUTES, Role.IPTABLES, Role.SYSCTLS)
    listed = [line.split()[0] for _, line in found.page(Role.NAMESPACES).lines()]
    for name in dict.fromkeys([*listed, *(of for role in roles for of in found.texts.get(role, {}))]):
        addresses = found.page(Role.ADDRESSES, name)
        routes = found.page(Role.ROUTES, name)
        routes6 = found.page(Role.ROUTES6, name)
        rules = found.page(Role.RULES, name)
        rules6 = found.page(Role.RULES6, name)
        neighbours = found.page(Role.NEIGHBOURS, name)
        bridge_fdb = found.page(Role.BRIDGE_FDB, name)
        named = found.page(Role.NAMESPACE_IDS, name)
        ids = iproute.read_namespace_ids(named) if named.text else {}
        yield Namespace(
            name=name,
            links=tuple(_peer_named(link, ids) for link in iproute.read_links(addresses)),
            routes=(*iproute.read_routes(routes), *iproute.read_routes(routes6)),
            rules=iproute.read_rules(rules),
            rules6=iproute.read_rules(rules6),
            neighbours=iproute.read_neighbours(neighbours),
            bridge_fdb=iproute.read_bridge_fdb(bridge_fdb),
            sysctls=_sysctls(found.page(Role.SYSCTLS, name)),
            iptables=found.dump(Role.IPTABLES, name),
            ip6tables=found.dump(Role.IP6TABLES, name),
            sets=found.dump(Role.SETS, name),
            is_complete=bool(addresses.text),
        )
        for page in (addresses, routes, routes6, rules, rules6, neighbours, bridge_fdb, named):
            found.read(page)


def _peer_named(link: Link, names: Mapping[int, str]) -> Link:
    """A link with the name of the namespace that its other end is in, where only the number stands with it."""
    known = names.get(link.peer_namespace_id, "") if link.peer_namespace_id is not None else ""
    return replace(link, peer_namespace=known) if known and not link.peer_namespace else link


def _sysctls(page: Page) -> Mapping[str, str]:
    pairs = (line.partition("=") for _, line in page.lines())
    return MappingProxyType({key.strip(): value.strip() for key, equals, value in pairs if equals}) or NOTHING


def _dhcp(found: _Files) -> Iterable[DhcpTable]:
    for network in sorted(found.texts.get(Role.DHCP_HOSTS, {})):
        page = found.page(Role.DHCP_HOSTS, network)
        yield DhcpTable(network_id=network, entries=dnsmasq.read_hosts(page))
        found.read(page)
