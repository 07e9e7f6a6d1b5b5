"""The account that the lab's server runs as: never root's rights."""

import os
import pwd
import sys
from dataclasses import dataclass
from pathlib import Path

import warren


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """`uid` 0 is root stripped of every capability: only where no other account can read Warren's own files."""

    uid: int
    gid: int

    def command(self, command: list[str]) -> list[str]:
        """What root runs so that `command` runs as this account, and cannot get more."""
        drop = ["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]
        if self.uid:
            drop += [f"--reuid={self.uid}", f"--regid={self.gid}", "--clear-groups"]
        return [*drop, "--", *command]


def unprivileged() -> Account:
    """The person who called sudo, else `nobody`, whichever can read Warren's own files and Python."""
    uid, gid = invoker()
    if uid and _exists(uid):
        return Account(uid=uid, gid=gid)
    nobody = pwd.getpwnam("nobody")
    if all(_is_readable_by_all(Path(path).resolve()) for path in (warren.__file__, sys.executable)):
        return Account(uid=nobody.pw_uid, gid=nobody.pw_gid)
    return Account(uid=0, gid=0)


def invoker() -> tuple[int, int]:
    """User and group of the person who called sudo, else root's."""
    try:
        return int(os.environ["SUDO_UID"]), int(os.environ["SUDO_GID"])
    except (KeyError, ValueError):
        return 0, 0


def _exists(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _is_readable_by_all(path: Path) -> bool:
    return all(parent.stat().st_mode & 0o001 for parent in path.parents) and bool(path.stat().st_mode & 0o004)
