"""What a host is called and what it is for, and how its agent's credential, which says both, is made. Pure."""

from collections.abc import Iterable
from typing import Final

from warren.core.ids import HostName

COMPUTE_ROLE: Final = "compute"
"""Instances run there."""
NETWORK_ROLE: Final = "network"
"""Routers and DHCP servers run there."""
ROLES: Final = (COMPUTE_ROLE, NETWORK_ROLE)


def is_host_name(text: str) -> bool:
    """Whether a host may be called so: its name stands in paths and on command lines."""
    return bool(text) and text == "".join(text.split()) and "/" not in text


def token_command(host: HostName, roles: Iterable[str]) -> str:
    """What prints the credential of a host's agent. Without a role it is for compute hosts."""
    named = sorted(roles)
    return " ".join(
        ["warren server agent-token", host, *(f"--role {role}" for role in named if named != [COMPUTE_ROLE])]
    )
