"""Starting a program and waiting for its answer. `ofctl` starts ovs-ofctl itself and reads its answers as they are."""

import subprocess
from collections.abc import Sequence

from warren.core.errors import Rejected, Unmet, Unreachable

TIMEOUT_S = 30.0


def run(arguments: Sequence[str], text: str = "", *, timeout_s: float = TIMEOUT_S) -> str:
    """Run a program in the calling thread's network namespace; its standard output.

    Args:
        arguments: the program, found in PATH, and its arguments.
        text: its standard input.
        timeout_s: it is killed after that.

    Raises:
        Unmet: there is no such program.
        Unreachable: it gave no answer in time.
        Rejected: its exit status is not 0; the message has the first lines of its standard error.
    """
    try:
        done = subprocess.run(
            arguments, input=text, capture_output=True, text=True, errors="replace", timeout=timeout_s, check=False
        )
    except FileNotFoundError as error:
        raise Unmet(f"{arguments[0]} is not installed; install the package that has it") from error
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{' '.join(arguments)} did not end within {timeout_s:g} s") from error
    if done.returncode != 0:
        complaint = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()
        raise Rejected(f"{' '.join(arguments)}: {'; '.join(complaint[:3])}")
    return done.stdout
