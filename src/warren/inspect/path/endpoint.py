"""Names that a person gives -> where in the estate packets begin and end."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_interface

from warren.core.errors import Conflict, NotFound
from warren.core.names import ID_CHARS_IN_NAME
from warren.inspect.parse.text import printable
from warren.inspect.path.routing import LIMITED_BROADCAST, is_broadcast, is_multicast, route
from warren.inspect.path.topology import Interface, SwitchPort, Topology
from warren.inspect.snapshot.model import HOST_NAMESPACE, Address, Estate, Host, Namespace


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where packets begin or end: an instance's port, a namespace, or an address outside (neither)."""

    name: str
    ips: tuple[str, ...] = ()
    mac: str = ""
    port: SwitchPort | None = None
    """The instance's port of br-int."""
    host: Host | None = None
    namespace: Namespace | None = None
    """Where its own interfaces were captured."""
    device: str = ""
    """Its interface in the namespace."""

    @property
    def is_outside(self) -> bool:
        return self.port is None and self.namespace is None

    def ip(self, *, is_ipv6: bool = False) -> str:
        return next((ip for ip in self.ips if (":" in ip) is is_ipv6), "")


def find(word: str, topology: Topology) -> Endpoint:
    """The endpoint that a name, id, MAC address or IP address means; `HOST/` before it says on which host.

    Raises:
        NotFound: nothing in the estate is called so.
        Conflict: several are.
    """
    where, _, what = word.rpartition("/")
    host = topology.estate.host(where)
    if host:
        word = what
    candidates = [each for each in _candidates(topology) if host in (None, each.host)]
    found = [endpoint for endpoint in candidates if word.lower() in _words(endpoint, topology.estate)]
    if not found and len(word) >= 4:
        found = [e for e in candidates if e.port and e.port.port.port_id.startswith(word.lower())]
    if not found and is_address(word):
        return _by_address(word, topology, (host,) if host else topology.estate.hosts)
    if not found:
        known = ", ".join(sorted({endpoint.name for endpoint in candidates})[:12]) or "no endpoints"
        there = f" of {host.name}" if host else ""
        nobody = f"nothing captured{there} is called {printable(word) or repr(word)}; there are {known}"
        raise NotFound("NoSuchEndpoint", nobody if host else unplugged(word, topology) or nobody)
    distinct = {(e.host.name if e.host else "", e.name, e.device) for e in found}
    if len(distinct) > 1:
        known = ", ".join(f"{host}/{name}" for host, name, _ in sorted(distinct))
        raise Conflict("AmbiguousEndpoint", f"{word} is each of {known}; name one so, or a port by its id")
    return replace(found[0], name=f"{word} of {found[0].name}", ips=(word,)) if is_address(word) else found[0]


def unplugged(word: str, topology: Topology) -> str:
    """What there is to say of a port that only the API has, by its name, id, or an address of it; else nothing."""
    if not word:
        return ""
    for port in topology.estate.names.ports.values():
        if word.lower() in {port.id, port.name.lower(), port.mac, port.device_id, *port.ips}:
            where = f" is to be on {port.host} and" if port.host else ""
            name = port.name or port.id
            return f"port {name} of the API ({', '.join(port.ips)}){where} is plugged into no host that was captured"
    return ""


def is_address(word: str) -> bool:
    try:
        ip_address(word)
    except ValueError:
        return False
    return True


def _by_address(ip: str, topology: Topology, hosts: Iterable[Host]) -> Endpoint:
    """A floating IP, an address of a namespace with several, or one outside; a loopback address is everybody's own."""
    if ip_address(ip).is_loopback:
        return Endpoint(name=ip, ips=(ip,))
    floating = next((f for f in topology.estate.names.floating_ips.values() if f.address == ip), None)
    name = f"floating IP {ip}" if floating else ip
    for host in hosts:
        for namespace in host.namespaces:
            link = namespace.holder_of(ip)
            if link and not floating:
                where = namespace.name or host.name
                return Endpoint(name=where, ips=(ip,), mac=link.mac, host=host, namespace=namespace, device=link.name)
    return Endpoint(name=name, ips=(ip,))


def _words(endpoint: Endpoint, estate: Estate) -> set[str]:
    words = {endpoint.name.lower(), endpoint.mac, *endpoint.ips}
    if endpoint.port:
        port = endpoint.port.port
        named = estate.names.ports.get(port.port_id)
        words |= {port.name.lower(), port.port_id, port.external_ids.get("vm-uuid", "").lower()}
        words |= {"tap" + port.port_id[:ID_CHARS_IN_NAME], "qvo" + port.port_id[:ID_CHARS_IN_NAME]}
        words |= {named.name.lower(), named.device_id} if named else set()
    return words - {""}


def _candidates(topology: Topology) -> Iterator[Endpoint]:
    """Every instance's port, then every namespace by its name."""
    taken: set[tuple[str, str]] = set()
    for port in topology.instance_ports():
        endpoint = instance(port, topology)
        if endpoint.namespace:
            taken.add((port.host.name, endpoint.namespace.name))
        yield endpoint
    for host in topology.estate.hosts:
        for namespace in host.namespaces:
            if namespace.is_complete and (host.name, namespace.name) not in taken:
                addresses = [a.ip for link in namespace.links for a in link.addresses if a.scope in ("global", "")]
                name = namespace.name if namespace.name != HOST_NAMESPACE else host.name
                yield Endpoint(name=name, ips=tuple(addresses), host=host, namespace=namespace)


def instance(port: SwitchPort, topology: Topology) -> Endpoint:
    """The instance behind a port of br-int; its namespace where it is one that was captured."""
    mac = port.port.attached_mac
    named = topology.estate.names.ports.get(port.port.port_id)
    inside = _inside(port, mac)
    if inside:
        namespace, device = inside.namespace, inside.link.name
        ips = tuple(a.ip for a in inside.link.addresses if a.scope != "link")
        name = (named.name if named else "") or namespace.name
        return Endpoint(
            name=name,
            ips=ips or topology.leases.get(mac, ()),
            mac=mac,
            port=port,
            host=port.host,
            namespace=namespace,
            device=device,
        )
    ips = named.ips if named and named.ips else topology.leases.get(mac, ())
    name = (named.name if named else "") or port.port.external_ids.get("vm-uuid", "") or port.port.name
    return Endpoint(name=name, ips=ips, mac=mac, port=port, host=port.host)


def _inside(port: SwitchPort, mac: str) -> Interface | None:
    for namespace in port.host.namespaces:
        for link in namespace.links:
            if namespace.name != HOST_NAMESPACE and link.mac == mac and mac:
                return Interface(port.host, namespace, link)
    return None


def address_near(target: Endpoint, source: Endpoint, *, is_ipv6: bool) -> str:
    """Of several addresses of a namespace the one on the source's prefix, else its first."""
    mine = [ip_address(ip) for ip in source.ips]
    for link in target.namespace.links if target.namespace else ():
        for a in link.addresses:
            is_near = a.ip in target.ips and (":" in a.ip) is is_ipv6
            if is_near and any(ip in ip_interface(f"{a.ip}/{a.prefix_length}").network for ip in mine):
                return a.ip
    return target.ip(is_ipv6=is_ipv6)


def address_towards(source: Endpoint, ip: str) -> str:
    """The address that a source sends from: of several the one that its route to the destination says."""
    routed = route(source.namespace, ip) if source.namespace and len(source.ips) > 1 else None
    if routed and routed.kind == "local" and ip in source.ips:
        return ip
    return routed.source if routed and routed.source in source.ips else source.ip(is_ipv6=":" in ip)


def behind_floating(ip: str, topology: Topology) -> Endpoint | None:
    """The instance that a floating IP stands for, where the API told and it was captured."""
    floating = next((f for f in topology.estate.names.floating_ips.values() if f.address == ip), None)
    if floating is None or not floating.port_id:
        return None
    ports = (port for port in topology.instance_ports() if port.port.port_id == floating.port_id)
    return next((instance(port, topology) for port in ports), None)


def on_link(endpoint: Endpoint, ip: str, topology: Topology) -> bool | None:
    """Whether an instance whose routes were not captured reaches an address directly; `None` where nothing tells."""
    mine = _own_prefixes(endpoint, topology, is_ipv6=":" in ip)
    return any(ip_address(ip) in network for network in mine) if mine else None


def is_to_many(endpoint: Endpoint, ip: str, topology: Topology) -> bool:
    """Whether what an endpoint sends to an address goes to all on its link, or to a group of them."""
    if is_multicast(ip) or ip == LIMITED_BROADCAST:
        return True
    if endpoint.namespace:
        return is_broadcast(endpoint.namespace, ip)
    return any(str(network.broadcast_address) == ip for network in _own_prefixes(endpoint, topology, is_ipv6=":" in ip))


def _own_prefixes(endpoint: Endpoint, topology: Topology, *, is_ipv6: bool) -> list[IPv4Network | IPv6Network]:
    """The prefixes of an instance: those of the routers and DHCP servers that have an address in the same one."""
    own = endpoint.ip(is_ipv6=is_ipv6)
    prefixes = {
        ip_interface(f"{a.ip}/{a.prefix_length}").network
        for _, a in _services(endpoint, topology)
        if a.prefix_length not in (32, 128)
    }
    return [network for network in prefixes if own and ip_address(own) in network]


def gateway(endpoint: Endpoint, topology: Topology) -> str:
    """The router's address in an instance's prefix."""
    own = endpoint.ip()
    routers = (
        a.ip
        for name, a in _services(endpoint, topology)
        if name.startswith("qr-") and ":" not in a.ip and own
        and ip_address(own) in ip_interface(f"{a.ip}/{a.prefix_length}").network
    )  # fmt: skip
    return next(routers, "")


def _services(endpoint: Endpoint, topology: Topology) -> Iterator[tuple[str, Address]]:
    """Interfaces and addresses of routers and DHCP servers, but for those that are known to be on another network."""
    names = topology.estate.names
    own = endpoint.port.port.network(names) if endpoint.port else ""
    for host in topology.estate.hosts:
        for link in (link for namespace in host.namespaces for link in namespace.links):
            if link.name.startswith(("qr-", "tap", "sg-")):
                port = topology.switch_ports.get((host.name, link.name))
                if not own or port is None or port.port.network(names) in ("", own):
                    yield from ((link.name, address) for address in link.addresses)
