"""Routes and routing rules of routers and DHCP servers that take packets nowhere."""

from collections.abc import Iterator
from typing import Final

from warren.inspect.snapshot.model import REFUSING_TYPES, KernelRoute, Namespace, RoutingRule
from warren.inspect.verify.facts import HostFacts
from warren.inspect.verify.finding import Finding, Severity

_MAIN: Final = "main"
_LOCAL_PREFERENCE: Final = 0
_MAIN_PREFERENCE: Final = 32766
"""A distributed router's own rules come after it (FIP_PR_START in neutron/agent/l3/dvr_fip_ns.py is 32768)."""
_VPN_TABLE: Final = "220"
"""strongSwan's, of VPN as a service: its rule is at 220 as well."""
_WHOLE_TABLE_METRIC: Final = 0xFFFFFFFF
"""Of the `unreachable default` that the kernel itself keeps at the end of IPv6's tables."""


def routing_findings(facts: HostFacts) -> Iterator[Finding]:
    """Of one host. Neutron and Warren make no route and no rule that refuses."""
    for namespace in facts.services:
        yield from _routes(facts, namespace)
        yield from _rules(facts, namespace, namespace.rules, "ip")
        yield from _rules(facts, namespace, namespace.rules6, "ip -6")


def _routes(facts: HostFacts, namespace: Namespace) -> Iterator[Finding]:
    links = {link.name for link in namespace.links}
    looked_at = {_MAIN, *(rule.table for rule in (*namespace.rules, *namespace.rules6))}
    for route in namespace.routes:
        if route.device and route.device not in links:
            yield Finding(
                kind="route-to-nowhere", severity=Severity.OUTAGE, host=facts.name,
                object=f"{route.destination} in {namespace.name}",
                what=f"the route leads to {route.device}, which is not there", mend="remove or renew the route",
            )  # fmt: skip
        elif route.type in REFUSING_TYPES and route.table in looked_at and not _is_the_kernels(route):
            refused = f"{route.type} {route.destination}" + ("" if route.table == _MAIN else f" table {route.table}")
            yield Finding(
                kind="route-refuses", severity=Severity.OUTAGE, host=facts.name,
                object=f"{route.destination} in {namespace.name}",
                what=f"its route to {route.destination} is of type {route.type}: what goes there is dropped",
                mend=f"ip -n {namespace.name} route del {refused}",
                evidence=(f"ip route in {namespace.name}: {refused}",),
            )  # fmt: skip


def _is_the_kernels(route: KernelRoute) -> bool:
    return route.protocol == "kernel" or route.metric == _WHOLE_TABLE_METRIC


def _rules(facts: HostFacts, namespace: Namespace, rules: tuple[RoutingRule, ...], command: str) -> Iterator[Finding]:
    for rule in rules:
        who = f"from {rule.source} {rule.selector.replace('action ', '')}".rstrip()
        shown = f"{rule.preference}: {who}"
        removed = f"{command} -n {namespace.name} rule del pref {rule.preference}"
        if rule.refusal:
            yield Finding(
                kind="routing-rule-refuses", severity=Severity.OUTAGE, host=facts.name,
                object=f"{rule.source} in {namespace.name}",
                what=f"a routing rule drops packets, whatever the routes are: {who}",
                mend=removed, evidence=(f"{command} rule in {namespace.name}: {shown}",),
            )  # fmt: skip
        elif _LOCAL_PREFERENCE < rule.preference < _MAIN_PREFERENCE and rule.table != _VPN_TABLE:
            yield Finding(
                kind="unasked-routing-rule", severity=Severity.RISK, host=facts.name,
                object=f"{rule.source} in {namespace.name}",
                what=f"a routing rule that nobody asked for leads past the router's own routes: {who}, by table "
                f"{rule.table}",
                mend=removed, evidence=(f"{command} rule in {namespace.name}: {shown} lookup {rule.table}",),
            )  # fmt: skip
    if rules and not any(rule.table == _MAIN for rule in rules):
        yield Finding(
            kind="routes-not-looked-at", severity=Severity.OUTAGE, host=facts.name, object=namespace.name,
            what=f"no rule of `{command} rule` leads to the table main, where its routes are: it reaches nobody",
            mend=f"{command} -n {namespace.name} rule add pref {_MAIN_PREFERENCE} table {_MAIN}",
        )  # fmt: skip
