"""Running the capture script: here, in a lab's host, on another host by ssh. The only module that starts it."""

import subprocess
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Final

from warren.core.errors import Rejected, Unmet, Unreachable

CAPTURE_TIMEOUT_S: Final = 240


def script() -> str:
    """The POSIX shell script that takes one host into an archive on its standard output."""
    return files("warren.sources").joinpath("capture.sh").read_text(encoding="utf-8")


def capture(prefix: Sequence[str] = (), where: str = "this host", environ: Mapping[str, str] | None = None) -> bytes:
    """One host as the bytes of a tar.gz.

    Args:
        prefix: the command that gets a command executed there, such as `ssh -- root@compute1`.
        where: the place's name for messages.
        environ: the environment, else this process's own.

    Raises:
        Unmet: the prefix's program is not installed.
        Unreachable: no answer within `CAPTURE_TIMEOUT_S`.
        Rejected: the script failed there.
    """
    try:
        done = subprocess.run(
            [*prefix, "sh", "-s"],
            input=script().encode(),
            capture_output=True,
            timeout=CAPTURE_TIMEOUT_S,
            check=False,
            env=environ,
        )
    except FileNotFoundError as error:
        raise Unmet(
            f"{error.filename} is not installed; install it or run the script of --print-script there"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise Unreachable(f"{where} did not finish its capture within {CAPTURE_TIMEOUT_S} s") from error
    if done.returncode != 0 or not done.stdout:
        said = done.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2][:300]
        raise Rejected(f"capturing {where} failed with status {done.returncode}: {said or 'it said nothing'}")
    return done.stdout


def over_ssh(destination: str) -> tuple[str, ...]:
    """The prefix for `ssh://user@host:port`; asks for nothing (BatchMode), so keys must be in place."""
    host, _, port = destination.partition(":")
    return ("ssh", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10", *(("-p", port) if port else ()), "--", host)
