"""The rules of a router's namespace: what is translated, and what may not pass untranslated.

The chains are laid out as Neutron's l3 agent does, under Warren's prefix.
"""

from collections.abc import Mapping

from warren.core.state import FloatingIp, Router
from warren.namespaces.rules import commented, rules

FROM_OUTSIDE = "0x2/0xffff"
"""Mark of packets that came in by qg-: their sender must see its own address answer, not the router's."""


def chains(router: Router, gateway: str | None, gateway_ip: str | None) -> Mapping[str, str]:
    """Every chain of a router's namespace: `<table>/<chain>` -> rules.

    Args:
        router: whose namespace it is.
        gateway: the name of its qg- interface; None without a gateway.
        gateway_ip: the address of that interface that tenants' traffic leaves with.
    """
    floating = sorted(router.floating_ips, key=lambda fip: fip.floating_ip_address) if gateway else []
    inwards = rules(*(_to_fixed(fip) for fip in floating))
    return {
        "mangle/PREROUTING": "-j warren-l3-mark",
        "mangle/warren-l3-mark": rules(f"-i {gateway} -j MARK --set-xmark {FROM_OUTSIDE}") if gateway else "",
        "nat/PREROUTING": "-j warren-l3-PREROUTING",
        "nat/OUTPUT": "-j warren-l3-OUTPUT",
        "nat/POSTROUTING": "-j warren-l3-POSTROUTING",
        "nat/warren-l3-PREROUTING": inwards,
        "nat/warren-l3-OUTPUT": inwards,
        "nat/warren-l3-POSTROUTING": _outwards(gateway),
        "nat/warren-l3-float-snat": rules(*(_from_fixed(fip) for fip in floating)),
        "nat/warren-l3-snat": _snat(router, gateway, gateway_ip),
        "filter/FORWARD": "-j warren-l3-FORWARD",
        "filter/warren-l3-FORWARD": _forward(router, gateway, gateway_ip),
    }


def _to_fixed(fip: FloatingIp) -> str:
    return commented(
        f"-d {fip.floating_ip_address}/32", f"DNAT --to-destination {fip.fixed_ip_address}", f"floating IP {fip.id}"
    )


def _from_fixed(fip: FloatingIp) -> str:
    return commented(
        f"-s {fip.fixed_ip_address}/32",
        f"SNAT --to-source {fip.floating_ip_address} --random-fully",
        f"floating IP {fip.id}",
    )


def _outwards(gateway: str | None) -> str:
    """Between tenants' networks nothing is translated; only what leaves by qg-, or came by a floating IP, goes on."""
    if gateway is None:
        return ""
    return rules(f"! -o {gateway} -m conntrack ! --ctstate DNAT -j ACCEPT", "-j warren-l3-snat")


def _snat(router: Router, gateway: str | None, gateway_ip: str | None) -> str:
    """Fixed addresses with a floating one first, then everybody else by the gateway's address.

    The last rule is for an instance that reaches its neighbour by a floating IP: both directions must pass here.
    """
    if gateway is None:
        return ""
    floating = "-j warren-l3-float-snat"
    if gateway_ip is None:
        return rules(floating)
    source = f"SNAT --to-source {gateway_ip} --random-fully"
    hairpin = commented(
        f"-m mark ! --mark {FROM_OUTSIDE} -m conntrack --ctstate DNAT", source, f"router {router.id} hairpin"
    )
    if not router.enable_snat:
        return rules(floating, hairpin)
    return rules(floating, commented(f"-o {gateway}", source, f"router {router.id} gateway"), hairpin)


def _forward(router: Router, gateway: str | None, gateway_ip: str | None) -> str:
    """With SNAT on, tenants' addresses exist only inside.

    What conntrack calls invalid is not translated and would leave with its tenant's address; and a neighbour on the
    external network that routes a tenant's prefix to qg- would come in without a floating IP.
    """
    if gateway is None or gateway_ip is None or not router.enable_snat:
        return ""
    return rules(
        commented(f"-o {gateway} -m conntrack --ctstate INVALID", "DROP", "not translated"),
        commented(f"-i {gateway} -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT", "DROP", "no floating IP"),
    )
