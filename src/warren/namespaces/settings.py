"""What one thing on a host is set to: the keys and values that namespaces are compared by.

Everything that a host's namespaces hold (a link, an address, a route, a chain, a file of dnsmasq) is one `Setting`
under one `Key`, so that one `plan()` serves them all and a plan can be printed.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from warren.core.names import DHCP_NAMESPACE_PREFIX, ROUTER_NAMESPACE_PREFIX


class Kind(str, Enum):
    """What a key is about, and in `Setting.value` how it is spelled."""

    NAMESPACE = "namespace"
    """Named after itself; the value is empty; as read, a word where its loopback is down."""
    SYSCTL = "sysctl"
    """Path below /proc/sys -> its number."""
    CHAIN = "chain"
    """`<table>/<chain>` -> rules as iptables-save prints them, one a line, without `-A <chain>`."""
    CHAIN6 = "chain6"
    """The same of ip6tables."""
    SET = "set"
    """Name of an ipset -> its family, then its members, one a line, sorted as text."""
    LINK = "link"
    """Interface -> `<mac> mtu <bytes> up|down`; as read, with what somebody set otherwise of it alone."""
    ADDRESS = "address"
    """`<interface> <address>/<prefix length>` -> empty; as read, a word where its subnet's route is missing."""
    ROUTE = "route"
    """Destination prefix or `default`, with an unusual metric or TOS -> `via <address>`, `dev <interface>`; as read, a
    word for one that leads nowhere or several ways."""
    LOOKUP = "lookup"
    """`ipv4` or `ipv6` -> the routing policy rules that `ip rule` shows, one a line, as it takes them."""
    PROCESS = "process"
    """`dnsmasq` -> its arguments, one a line."""
    FILE = "file"
    """A file that dnsmasq reads -> its text."""
    LEASE = "lease"
    """`<mac> <address>` of a lease that dnsmasq remembers and no host entry backs; never desired."""


class Key(NamedTuple):
    """One thing in one namespace."""

    namespace: str
    kind: Kind
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a thing is, or should be, set to."""

    value: str = ""
    owner: str = field(compare=False, default="")
    """Key of the object that asked for it (`router/<id>`, `port/<id>`, `dhcp/<network>`); empty when read back."""
    reason: str = field(compare=False, default="")


def owner_of(namespace: str) -> str:
    """Key of the object that a namespace belongs to; empty when it is not Warren's.

    >>> owner_of("qrouter-7f0d")
    'router/7f0d'
    """
    if namespace.startswith(ROUTER_NAMESPACE_PREFIX):
        return f"router/{namespace[len(ROUTER_NAMESPACE_PREFIX) :]}"
    if namespace.startswith(DHCP_NAMESPACE_PREFIX):
        return f"dhcp/{namespace[len(DHCP_NAMESPACE_PREFIX) :]}"
    return ""
