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
    """`state_dir`. Reading it changes nothing; whoever writes holds it first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = path / STATE_FILE
        self._lock: int | None = None

    def hold(self) -> None:
        """Make the directory if need be and keep every other agent out until this process ends, however it ends.

        Raises:
            Unmet: it cannot be written, or another agent holds it.
        """
        try:
            self._path.mkdir(mode=0o755, parents=True, exist_ok=True)
            lock = os.open(self._path / LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise Unmet(f"the state directory {self._path} cannot be written: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(lock, 20, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise Unmet(
                f"another agent (process {holder}) works with {self._path}: stop it first; "
                "two agents can only be on two hosts, each with a state_dir of its own"
            ) from error
        self._lock = lock
        with suppress(OSError):  # a full disk; the lock holds all the same, only its holder's number is not said
            os.ftruncate(lock, 0)
            os.pwrite(lock, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let another agent have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def has_state(self) -> bool:
        """Whether there is one; somebody may have removed it."""
        return self._state.exists()

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
            self._path.mkdir(mode=0o755, parents=True, exist_ok=True)
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
