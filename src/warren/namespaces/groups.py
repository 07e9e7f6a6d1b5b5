"""Security groups of hybrid-plugged ports: iptables on the Linux bridge `qbr` between an instance and br-int.

Stateful, refused unless allowed, each port with a conntrack zone of its own. A port's chains are named as people know
them: `warren-i…` into the instance, `warren-o…` out of it, `warren-s…` its addresses. What a group allows is in a
chain of the group (`warren-gi…`, `warren-go…`) that its ports share, so that a changed rule is one changed chain.

Dispatch is by the first character of the port's id: a packet compares one in sixteen of a host's ports, not all.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from warren.core import names
from warren.core.ids import GroupId, PortId
from warren.core.state import Group, GroupRule, HostState, Plug, Port
from warren.namespaces import allowed, members, zones
from warren.namespaces.rules import commented, rules
from warren.namespaces.settings import Key, Kind, Setting

HOST: Final = ""
"""`Key.namespace` of what is in the host's own namespace."""
CHAIN_OF: Final = {4: Kind.CHAIN, 6: Kind.CHAIN6}
TO_HOST: Final = ("net/bridge/bridge-nf-call-iptables", "net/bridge/bridge-nf-call-ip6tables")
"""br_netfilter shows bridged frames to iptables only with these."""
FALLBACK: Final = "warren-sg-fallback"
PORT_CHAIN: Final = re.compile(rf"filter/warren-[ios].{{{names.ID_CHARS_IN_NAME}}}")
TRACKED: Final = "-m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT"
INVALID: Final = "-m conntrack --ctstate INVALID -j DROP"


def filters(state: HostState, installed: Mapping[Key, Setting]) -> dict[Key, Setting]:
    """Every setting of the host's own namespace that security groups need.

    Args:
        state: what the host should be.
        installed: what was read back; ports keep the conntrack zones that they have there.
    """
    ports = filtered_ports(state)
    if not ports:
        return {}
    found = {
        Key(HOST, Kind.SYSCTL, path): Setting(value="1", reason="iptables must see bridged frames") for path in TO_HOST
    }
    assigned = zones.assign((port.id for port in ports), zones.remembered(installed))
    groups = used_groups(state, ports)
    for version, kind in CHAIN_OF.items():
        found |= {Key(HOST, kind, name): setting for name, setting in _shared(ports, assigned, version)}
        for group in groups:
            found |= {Key(HOST, kind, name): setting for name, setting in _group(state, group, version)}
        for port in ports:
            if port.port_security_enabled:
                found |= {Key(HOST, kind, name): setting for name, setting in _port(state, port, version)}
    return found | dict(members.sets(state, groups))


def filtered_ports(state: HostState) -> list[Port]:
    """Ports of this host whose frames pass a Linux bridge, in the order of their ids."""
    return [port for port in state.of(Port) if port.plug is Plug.HYBRID and not port.is_service]


def closed(chain: str) -> str | None:
    """What a chain whose rules a host refuses is to hold instead, so that nothing more is allowed than was asked for.

    None for chains that ports share, without which no port is protected.
    """
    if chain.startswith(("filter/warren-gi", "filter/warren-go")):
        return ""
    return "-j DROP" if PORT_CHAIN.fullmatch(chain) else None


def severed(
    state: HostState, installed: Mapping[Key, Setting], connections: Iterable[allowed.Connection]
) -> list[allowed.Connection]:
    """Connections in the zones of this host's ports that no rule allows any more."""
    zone_of = zones.remembered(installed)
    by_zone = {zone_of[bridge]: port for port in filtered_ports(state) if (bridge := names.qbr(port.id)) in zone_of}
    return [
        each
        for each in connections
        if (port := by_zone.get(each.zone)) and port.port_security_enabled and not allowed.admits(state, port, each)
    ]


def used_groups(state: HostState, ports: Iterable[Port]) -> list[Group]:
    """Groups that some of the ports have."""
    used = sorted({group_id for port in ports if port.port_security_enabled for group_id in port.security_groups})
    return [group for group_id in used if (group := state.group(group_id))]


def group_chain(group_id: GroupId, direction: str) -> str:
    """Chain of what a group allows; iptables takes names of up to 28 characters."""
    letter = "i" if direction == "ingress" else "o"
    return f"warren-g{letter}{group_id[:18]}"


def _shared(ports: Iterable[Port], assigned: Mapping[PortId, int], version: int) -> Iterator[tuple[str, Setting]]:
    """Built-in chains -> Warren's -> one per first character -> the port's."""
    forward: dict[str, list[str]] = {}
    local: dict[str, list[str]] = {}
    zone: dict[str, list[str]] = {}
    for port in ports:
        first = port.id[0]
        forward.setdefault(first, []).extend(_dispatch(port))
        local.setdefault(first, []).append(f"-i {names.qbr(port.id)} -j DROP")
        zone.setdefault(first, []).append(f"-i {names.qbr(port.id)} -j CT --zone {assigned[port.id]}")
    reason = "ports of this host have security groups"
    for table, hook, prefix, lines in (
        ("filter", "FORWARD", "warren-sg-", forward),
        ("filter", "INPUT", "warren-in-", local),
        ("raw", "PREROUTING", "warren-ct-", zone),
    ):
        yield f"{table}/{hook}", Setting(value=f"-j warren-{hook}", reason=reason)
        jumps = rules(*(f"-i qbr{first}+ -j {prefix}{first}" for first in sorted(lines)))
        yield f"{table}/warren-{hook}", Setting(value=jumps, reason=reason)
        for first, each in lines.items():
            yield f"{table}/{prefix}{first}", Setting(value=rules(*each), reason=reason)
    for name, by_version in allowed.LINK.items():
        yield (
            f"filter/warren-link-{name}",
            Setting(value=rules(*by_version[version]), reason="what a link itself needs"),
        )
    yield f"filter/{FALLBACK}", Setting(value=rules(commented("", "DROP", "no rule allows it")), reason=reason)


def _dispatch(port: Port) -> Iterator[str]:
    """To the port's chains; what is neither into nor out of the instance has no business on its bridge."""
    tap = names.tap(port.id)
    into, out = (_chain("i", port), _chain("o", port)) if port.port_security_enabled else ("ACCEPT", "ACCEPT")
    yield f"-m physdev --physdev-out {tap} --physdev-is-bridged -j {into}"
    yield f"-m physdev --physdev-in {tap} --physdev-is-bridged -j {out}"
    yield f"-i {names.qbr(port.id)} -j DROP"


def _chain(letter: str, port: Port) -> str:
    return f"warren-{letter}{port.id[: names.ID_CHARS_IN_NAME]}"


def _group(state: HostState, group: Group, version: int) -> Iterator[tuple[str, Setting]]:
    for direction in ("ingress", "egress"):
        lines = [
            line
            for rule in sorted(group.rules, key=lambda rule: rule.id)
            if rule.direction == direction and (line := _rule(state, rule, version)) is not None
        ]
        value = rules(*lines)
        yield (
            f"filter/{group_chain(group.id, direction)}",
            Setting(value=value, owner=group.key, reason=f"{direction} rules of {group.key}"),
        )


def _rule(state: HostState, rule: GroupRule, version: int) -> str | None:
    """A rule of the API as iptables-save prints it; None when it is about the other family, nobody or nonsense."""
    if allowed.version_of(rule) != version:
        return None
    if rule.remote_group_id is not None and state.group(rule.remote_group_id) is None:
        return None
    try:
        match = allowed.match(rule, members.set_name(rule.remote_group_id, version) if rule.remote_group_id else None)
    except ValueError:
        return None
    return commented(match, "ACCEPT", f"rule {rule.id}")


def _port(state: HostState, port: Port, version: int) -> Iterator[tuple[str, Setting]]:
    """A port's own chains; what is the same for all ports is one jump away.

    A packet of an established connection passes them by three rules: most of what filtering costs is how many rules
    are asked. That an instance never answers as a DHCP server does not hang on the order: br-int sees to it as well.
    """
    groups = [group_id for group_id in port.security_groups if state.group(group_id)]
    into = [f"-j {group_chain(group_id, 'ingress')}" for group_id in groups]
    out = [f"-j {group_chain(group_id, 'egress')}" for group_id in groups]
    end = [INVALID, f"-j {FALLBACK}"]
    lines = {
        "i": [TRACKED, "-j warren-link-into", *into, *end],
        "o": [f"-j {_chain('s', port)}", TRACKED, "-j warren-link-out", *out, *end],
        "s": [
            *_own_addresses(port, version),
            "-j warren-link-first",
            commented("", "DROP", "not an address of the port"),
        ],
    }
    for letter, each in lines.items():
        yield (
            f"filter/{_chain(letter, port)}",
            Setting(value=rules(*each), owner=port.key, reason=f"groups of {port.key}"),
        )


def _own_addresses(port: Port, version: int) -> Iterator[str]:
    for mac, prefix in allowed.sources(port, version):
        source = f"-s {prefix} " if prefix.prefixlen else ""
        yield f"{source}-m mac --mac-source {mac} -j RETURN"
