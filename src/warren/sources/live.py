"""One bridge's flows of a live host, as often as asked: what `warren flows watch` looks at."""

import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from warren.core.errors import Rejected, Unmet, Unreachable

DUMP_TIMEOUT_S: Final = 30


def dump_flows(bridge: str, prefix: Sequence[str] = (), environ: Mapping[str, str] | None = None) -> str:
    """What `ovs-ofctl dump-flows` prints for a bridge.

    Args:
        bridge: its name.
        prefix: the command that gets a command executed there, such as `ssh -- root@compute1`.
        environ: the environment, else this process's own.

    Raises:
        Unmet: ovs-ofctl, or the prefix's program, is not installed.
        Unreachable: no answer within `DUMP_TIMEOUT_S`.
        Rejected: Open vSwitch does not run there, or has no such bridge.
    """
    command = [*prefix, "ovs-ofctl", "dump-flows", bridge]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=DUMP_TIMEOUT_S, check=False, env=environ
        )
    except FileNotFoundError as error:
        raise Unmet(f"{error.filename} is not installed; watch a host that has Open vSwitch") from error
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{' '.join(command)} did not answer within {DUMP_TIMEOUT_S} s") from error
    if done.returncode != 0:
        said = done.stderr.strip().rpartition("\n")[2][:300]
        raise Rejected(f"{' '.join(command)} failed: {said or 'it said nothing'}")
    return done.stdout
