"""Faults that are planted into a copy of a capture."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

Plant: TypeAlias = Callable[[Path], None]


def edit(file: str, pattern: str, replacement: str) -> Plant:
    """A fault planted by changing one file; it must change something."""

    def plant(folder: Path) -> None:
        path = folder / file
        before = path.read_text()
        after = re.sub(pattern, replacement, before, flags=re.MULTILINE)
        assert after != before, f"{pattern} is not in {file}"
        path.write_text(after)

    return plant
