"""The directory that a run writes to: made, emptied of an earlier run's stages, and given to who called sudo."""

import os
import re
import shutil
from pathlib import Path
from typing import Final

from warren.core.errors import Unmet
from warren.lab.account import invoker

_STAGE: Final = re.compile(r"\d[a-z]-[a-z0-9-]+")


def prepare(out: Path) -> None:
    """Make the directory, and remove an earlier run's stages and nothing else.

    Raises:
        Unmet: it cannot be written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        for entry in out.iterdir():
            if entry.is_dir() and _STAGE.fullmatch(entry.name):
                shutil.rmtree(entry)
        for name in ("results.json", "report.html"):
            (out / name).unlink(missing_ok=True)
        (out / ".partial").touch()
        (out / ".partial").unlink()
    except OSError as error:
        raise Unmet(
            f"The results cannot be written to {out} ({error.strerror}): give another directory with --out."
        ) from error


def hand_over(out: Path) -> None:
    """Give everything to the person who called sudo; root's files would be in their way."""
    uid, gid = invoker()
    if uid:
        for path in (out, *out.rglob("*")):
            os.chown(path, uid, gid)
