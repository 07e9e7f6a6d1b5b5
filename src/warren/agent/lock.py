"""The right of one agent to work with a directory, as long as its process lives."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from warren.core.errors import Unmet


class Lock:
    """A file whose holder keeps every other agent out of its directory. It stays there; what counts is who holds it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._held: int | None = None

    def hold(self) -> None:
        """Make the directory if need be and keep every other agent out until this process ends, however it ends.

        Raises:
            Unmet: it cannot be written, or another agent holds it.
        """
        directory = self._path.parent
        try:
            directory.mkdir(mode=0o755, parents=True, exist_ok=True)
            held = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unmet(f"the directory {directory} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(held, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(held)
            raise Unmet(
                f"another agent (process {holder}) works with {directory}: stop it first; two agents can only be on "
                "two hosts, each with a state_dir and an Open vSwitch of its own"
            ) from error
        self._held = held
        with suppress(OSError):  # a full disk; the lock holds all the same, only its holder's number is not said
            os.ftruncate(held, 0)
            os.pwrite(held, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let another agent have it."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
