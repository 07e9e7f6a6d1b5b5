"""Kernel parameters of the network namespace that the calling thread is in. The only module that reads or writes them.

A parameter is named by its path below /proc/sys (proc_sys(5)), `net/ipv4/ip_forward`.
"""

from pathlib import Path
from typing import Final

from warren.core.errors import Rejected

PROC_SYS: Final = Path("/proc/sys")
ABSENT: Final = "absent"
"""What is read of a parameter that this kernel does not have."""


def read(path: str) -> str:
    """Its value, or `ABSENT`."""
    try:
        return (PROC_SYS / path).read_text().strip()
    except OSError:
        return ABSENT


def write(path: str, value: str) -> None:
    """Set it.

    Raises:
        Rejected: the kernel does not have it, or does not take the value.
    """
    try:
        (PROC_SYS / path).write_text(value)
    except OSError as error:
        raise Rejected(f"{path} cannot be set to {value}: {error.strerror}") from error
