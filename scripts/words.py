"""Words that may not stand in the repository: each with the reason, which is printed beside the place."""

import re
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LEFT_OUT: Final = {Path(__file__).resolve(), ROOT / "LICENSE"}
FOLDERS: Final = ("src", "tests", "bench", "scripts", "docs", "packaging", ".ci")
BINARY: Final = {".png", ".svg", ".gz", ".xz", ".pcap", ".pyc"}

FORBIDDEN: Final[dict[str, str]] = {
    r"\b(TODO|FIXME|XXX|HACK)\b": "do it, or write down elsewhere that it is not done",
    r"pytest\.mark\.(skip|xfail)|pytest\.skip|importorskip": "a test is fixed or deleted, never skipped",
    r"(?<![\w.])/(work|home|Users)/\w": "a path of somebody's machine",
    r"https?://[^\s/]*\b(artifactory|nexus|devpi)\b": "a package mirror of somebody's network",
    r"^(<{7}|>{7}|={7})( |$)": "a merge conflict",
}
"""Regular expression -> why it may not stand here."""


def complaints(path: Path) -> list[str]:
    found = []
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        found += [
            f"{path.relative_to(ROOT)}:{number}: {match.group()!r}: {reason}"
            for pattern, reason in FORBIDDEN.items()
            if (match := re.search(pattern, line))
        ]
    return found


def main() -> int:
    paths = [path for path in ROOT.iterdir() if path.is_file() and path.suffix in {".md", ".toml"}]
    for folder in FOLDERS:
        paths += [path for path in (ROOT / folder).rglob("*") if path.is_file() and path.suffix not in BINARY]
    found = [line for path in sorted(set(paths) - LEFT_OUT) for line in complaints(path)]
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
