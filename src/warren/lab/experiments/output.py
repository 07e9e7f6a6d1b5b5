"""The directory that a run writes to: made, emptied of an earlier run's stages, and given to who called sudo.

It may be any directory, a home or /tmp: what no run wrote there is left alone.
"""

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from warren.core.errors import Unmet
from warren.lab.account import invoker

_STAGE: Final = re.compile(r"\d[a-z]-[a-z0-9-]+")
_FILES: Final = ("results.json", "report.html")


def prepare(out: Path) -> None:
    """Make the directory, and remove what an earlier run wrote there.

    Raises:
        Unmet: it cannot be written to.
    """
    try:
        _make(out)
        for stage in _stages(out):
            shutil.rmtree(stage)
        for name in _FILES:
            (out / name).unlink(missing_ok=True)
        (out / ".partial").touch()
        (out / ".partial").unlink()
    except OSError as error:
        raise Unmet(
            f"The results cannot be written to {out} ({error.strerror}): give another directory with --out."
        ) from error


def hand_over(out: Path) -> None:
    """Give what the run wrote to the person who called sudo; root's files would be in their way."""
    _give(*written(out))


def written(out: Path) -> Iterator[Path]:
    """What a run wrote into the directory, and nothing else that is there."""
    yield from (out / name for name in _FILES if (out / name).exists())
    for stage in _stages(out):
        yield from (stage, *stage.rglob("*"))


def _stages(out: Path) -> list[Path]:
    """A folder that only has a stage's name, without any host's flows in it, is somebody else's."""
    return [
        entry
        for entry in out.iterdir()
        if _STAGE.fullmatch(entry.name) and not entry.is_symlink() and any(entry.glob("*/dump-flows_br-tun"))
    ]


def _make(out: Path) -> None:
    missing = [path for path in (out, *out.parents) if not path.exists()]
    out.mkdir(parents=True, exist_ok=True)
    _give(*missing)


def _give(*paths: Path) -> None:
    uid, gid = invoker()
    if uid:
        for path in paths:
            os.chown(path, uid, gid, follow_symlinks=False)
