"""What the agent keeps on disk: its last desired state, and the lock that makes it the only agent of the directory.

The state file is one `snapshot` message, so that what is read back goes through the same door as what a server says.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from warren.core.errors import DriverError, Rejected, Unmet
from warren.sync.messages import Snapshot, decode_message, encode

STATE_FILE: Final = "state.json"
LOCK_FILE: Final = "agent.lock"


class StateDirectory:
    """`state_dir`, held by one process until it ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Make the directory if need be and take its lock.

        Raises:
            Unmet: it cannot be written, or another agent holds it.
        """
        self._state = path / STATE_FILE
        try:
            path.mkdir(mode=0o755, parents=True, exist_ok=True)
            self._lock = os.open(path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unmet(f"the state directory {path} cannot be written: {error.strerror}") from error
        self._take_lock(path)

    def close(self) -> None:
        """Let another agent have it."""
        os.close(self._lock)

    def read(self) -> Snapshot | None:
        """The state that was written last, or None where there is none yet.

        Raises:
            Rejected: the file is not a state; the agent goes on without it.
        """
        try:
            message = decode_message(self._state.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, Rejected) as error:
            raise Rejected(f"the state on disk {self._state} cannot be used: {error}") from error
        if not isinstance(message, Snapshot):
            raise Rejected(f"the state on disk {self._state} cannot be used: it is no snapshot")
        return message

    def write(self, snapshot: Snapshot) -> None:
        """Replace the state; after a power cut there is the old one or this one, whole.

        Raises:
            DriverError: it could not be written; the old one is still there.
        """
        fresh = self._state.with_suffix(".new")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
                file.write(encode(snapshot))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._state)
            directory = os.open(self._state.parent, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise DriverError(f"the state could not be written to {self._state}: {error.strerror}") from error

    def _take_lock(self, path: Path) -> None:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(self._lock, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(self._lock)
            raise Unmet(
                f"another agent (process {holder}) works with {path}: stop it first, or give this one another state_dir"
            ) from error
        with suppress(OSError):
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, str(os.getpid()).encode(), 0)
