"""The command that puts a router's rule of source NAT back."""

from collections.abc import Mapping

from warren.inspect.filter.model import Chain


def source_nat_rule(namespace: str, chains: Mapping[str, Chain], gateway: str, address: str) -> str:
    """iptables(8) for it: into the chain that the router's agent keeps for such rules, where there is one."""
    own = (name for name in chains if name.endswith("-snat") and not name.endswith("-float-snat"))
    where = f"ip netns exec {namespace} iptables -t nat -A {next(own, 'POSTROUTING')}"
    return f"{where} -o {gateway} -j SNAT --to-source {address}"
