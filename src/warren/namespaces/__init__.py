"""Routers, DHCP servers and security groups of a host: desired state -> settings. Pure; drivers apply them."""

from warren.core.state import HostState
from warren.namespaces import dhcp, routers
from warren.namespaces.dhcp import servers
from warren.namespaces.groups import filters
from warren.namespaces.settings import Key, Kind, Setting, owner_of

__all__ = ["Key", "Kind", "Setting", "filters", "owner_of", "render", "servers"]


def render(state: HostState) -> dict[Key, Setting]:
    """Every setting of the namespaces that this host should have."""
    return {**routers.render(state), **dhcp.render(state)}
