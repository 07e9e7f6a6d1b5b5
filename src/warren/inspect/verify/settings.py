"""Against intent: what Warren's own renderers want of routers, DHCP servers and security groups, against what is there.

A captured host is read into the same keys and values that the agent's drivers read it into. What a capture does not
have (no iptables-save, an interface list that is missing) is not compared.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from warren.core.names import DHCP_NAMESPACE_PREFIX, ROUTER_NAMESPACE_PREFIX
from warren.core.state import HostState
from warren.inspect.filter.packet import PROTOCOLS
from warren.inspect.filter.read import read_sets
from warren.inspect.snapshot.model import HOST_NAMESPACE, Host, KernelRoute, Namespace, Printout
from warren.inspect.snapshot.text import Page
from warren.inspect.verify.finding import Finding, Severity
from warren.namespaces import Key, Kind, Setting, filters, owner_of, render
from warren.namespaces.groups import CHAIN_OF
from warren.namespaces.members import PREFIX as SET_PREFIX
from warren.namespaces.rules import read as read_chains
from warren.reconcile.plan import plan

_OURS: Final = (ROUTER_NAMESPACE_PREFIX, DHCP_NAMESPACE_PREFIX)
_INTERFACES: Final = ("qr-", "qg-", "tap")
_UNKNOWN_PROTOCOL: Final = 255
EVIDENCE_LIMIT: Final = 20


def setting_findings(host: Host, state: HostState) -> Iterator[Finding]:
    """Settings of one host that are missing, that are other than asked for, or that nobody asked for."""
    installed = settings_of(host)
    desired = {**render(state), **filters(state, installed)}
    compared = {key: want for key, want in desired.items() if _is_captured(host, key)}
    # A sysctl that is not asked for is at whatever the kernel gave it.
    there = {
        key: had
        for key, had in installed.items()
        if _is_captured(host, key) and (key.kind is not Kind.SYSCTL or key in compared)
    }
    changes = plan(compared, there)
    differences = [
        *(("missing-setting", key, want, f"wants {_shown(want)}") for key, want in changes.add.items()),
        *(
            ("changed-setting", key, want, f"wants {_shown(want)}, is {_shown(had)}")
            for key, (had, want) in changes.change.items()
        ),
        *(("unasked-setting", key, had, f"is {_shown(had)}") for key, had in changes.remove.items()),
    ]
    grouped: dict[tuple[str, str, str], list[str]] = {}
    for kind, key, setting, said in differences:
        owner = setting.owner or owner_of(key.namespace) or "the host"
        grouped.setdefault((kind, key.namespace, owner), []).append(f"{key.kind.value} {key.name}: {said}")
    for (kind, namespace, owner), lines in grouped.items():
        yield _finding(host, kind, namespace, owner, lines)


_WHAT: Final = {
    "missing-setting": (Severity.OUTAGE, "{count} that {owner} needs {are} missing"),
    "changed-setting": (Severity.OUTAGE, "{count} {are} not as {owner} needs"),
    "unasked-setting": (Severity.RISK, "{count} {are} there that nobody asked for"),
}


def _finding(host: Host, kind: str, namespace: str, owner: str, lines: list[str]) -> Finding:
    severity, what = _WHAT[kind]
    count = "a setting" if len(lines) == 1 else f"{len(lines)} settings"
    return Finding(
        kind=kind,
        severity=severity,
        host=host.name,
        object=f"{namespace or 'the host itself'}: {owner}",
        what=what.format(count=count, owner=owner, are="is" if len(lines) == 1 else "are"),
        mend="its agent puts it right: is it running?",
        evidence=tuple(sorted(lines)[:EVIDENCE_LIMIT]),
    )


def _shown(setting: Setting) -> str:
    return setting.value.replace("\n", " | ") or "there"


def _is_captured(host: Host, key: Key) -> bool:
    """Whether the capture would show a setting if it were there."""
    namespace = host.namespace(key.namespace)
    if key.kind is Kind.NAMESPACE or namespace is None:
        return any(ns.name == HOST_NAMESPACE and ns.is_complete for ns in host.namespaces)
    return {
        Kind.CHAIN: namespace.iptables is not None,
        Kind.CHAIN6: namespace.ip6tables is not None,
        Kind.SET: namespace.sets is not None,
        Kind.SYSCTL: key.name.replace("/", ".") in namespace.sysctls,
        Kind.LOOKUP: False,  # of every estate, with or without intent, `routing` says what is wrong with its rules
    }.get(key.kind, namespace.is_complete)


def settings_of(host: Host) -> dict[Key, Setting]:
    """Everything that Warren would call its own on a captured host, as its drivers read it back."""
    found: dict[Key, Setting] = {}
    for namespace in host.namespaces:
        if namespace.name.startswith(_OURS):
            found |= dict(_of_namespace(namespace))
        elif namespace.name == HOST_NAMESPACE:
            found |= dict(_of_host(namespace))
    return found


def _of_namespace(namespace: Namespace) -> Iterator[tuple[Key, Setting]]:
    name = namespace.name
    yield Key(name, Kind.NAMESPACE, name), Setting()
    for path, number in _sysctls(namespace):
        yield Key(name, Kind.SYSCTL, path), Setting(value=number)
    for chain, lines in _chains(namespace.iptables).items():
        yield Key(name, Kind.CHAIN, chain), Setting(value=lines)
    for link in namespace.links:
        if link.name.startswith(_INTERFACES):
            direction = "up" if link.is_up else "down"
            yield Key(name, Kind.LINK, link.name), Setting(value=f"{link.mac} mtu {link.mtu} {direction}")
            for address in link.addresses:
                if not (":" in address.ip and address.scope == "link"):
                    yield Key(name, Kind.ADDRESS, f"{link.name} {address.ip}/{address.prefix_length}"), Setting()
    for route in namespace.routes:
        is_set = route.table == "main" and route.type == "unicast" and route.protocol != "kernel"
        if is_set and route.device.startswith(_INTERFACES):
            yield Key(name, Kind.ROUTE, _destination(route)), Setting(value=_by(route))


def _destination(route: KernelRoute) -> str:
    return "default" if route.destination == "0.0.0.0/0" else route.destination


def _by(route: KernelRoute) -> str:
    return f"via {route.via}" if route.via else f"dev {route.device}"


def _of_host(namespace: Namespace) -> Iterator[tuple[Key, Setting]]:
    for version, kind in CHAIN_OF.items():
        for chain, lines in _chains(namespace.iptables if version == 4 else namespace.ip6tables).items():
            yield Key(HOST_NAMESPACE, kind, chain), Setting(value=lines)
    if namespace.sets is not None:
        for name, found in read_sets(Page(file=namespace.sets.file, text=namespace.sets.text)).items():
            if name.startswith(SET_PREFIX):
                value = "\n".join([found.family, *sorted(found.members)])
                yield Key(HOST_NAMESPACE, Kind.SET, name), Setting(value=value)
    for path, number in _sysctls(namespace):
        yield Key(HOST_NAMESPACE, Kind.SYSCTL, path), Setting(value=number)


def _sysctls(namespace: Namespace) -> Iterator[tuple[str, str]]:
    return ((name.replace(".", "/"), value) for name, value in namespace.sysctls.items())


def _chains(saved: Printout | None) -> Mapping[str, str]:
    """Warren's chains; lines that iptables-save does not print are left to the packet filter's own reader."""
    if saved is None:
        return {}
    lines = (line for line in saved.text.splitlines() if line.startswith(("-A ", ":", "*")))
    return read_chains("\n".join(lines), lambda name: PROTOCOLS.get(name, _UNKNOWN_PROTOCOL))
