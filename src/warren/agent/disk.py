"""What the agent keeps on disk: its last desired state, in a directory of which it is the only agent.

The state file is one `snapshot` message, so that what is read back goes through the same door as what a server says.
"""

import os
from pathlib import Path
from typing import Final

from warren.agent.lock import Lock
from warren.core.errors import DriverError, Rejected
from warren.sync.messages import Snapshot, decode_message, encode

STATE_FILE: Final = "state.json"
LOCK_FILE: Final = "agent.lock"


class StateDirectory:
    """`state_dir`. Reading it changes nothing; whoever writes holds it first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._state = path / STATE_FILE
        self._lock = Lock(path / LOCK_FILE)

    def hold(self) -> None:
        """Be the only agent that works with it.

        Raises:
            Unmet: as `Lock.hold`.
        """
        self._lock.hold()

    def release(self) -> None:
        """Let another agent have it."""
        self._lock.release()

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
