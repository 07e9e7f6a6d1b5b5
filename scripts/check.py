"""Everything that can be said about the checkout without running it: `./run check`.

Runs each check to its end, also after a failure, and says at the end which failed. Never changes a file.
"""

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent

SHELL: Final = """
status=0
for script in run .ci/run $(find scripts src -name '*.sh'); do
  case $(head -n 1 "$script") in *bash) shell=bash ;; *) shell=sh ;; esac
  "$shell" -n "$script" || status=1
done
exit $status
"""
"""Reads every script with the shell that runs it, and runs none."""

CHECKS: Final[dict[str, tuple[str, ...]]] = {
    "format": ("ruff", "format", "--check", "--quiet", "."),
    "lint": ("ruff", "check", "--quiet", "."),
    "types": ("mypy",),
    "import layers": ("lint-imports", "--no-cache"),
    "sizes": (sys.executable, "scripts/sizes.py"),
    "words": (sys.executable, "scripts/words.py"),
    "generated pages": (sys.executable, "scripts/reference.py", "--check"),
    "links": (sys.executable, "scripts/links.py"),
    "shell": ("sh", "-c", SHELL),
}
"""What is checked -> the command that checks it, silent or nearly so when all is well."""


def passes(name: str, command: tuple[str, ...]) -> bool:
    """Run one check; print its output only when it failed."""
    start = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    failed = done.returncode != 0
    print(f"{'FAILED' if failed else 'ok':6} {name} ({time.monotonic() - start:.1f} s)", flush=True)
    if failed:
        print(done.stdout.rstrip(), flush=True)
    return not failed


def main() -> int:
    os.environ["NO_COLOR"] = "1"
    os.environ["PYTHONPATH"] = str(ROOT / "src")
    failed = [name for name, command in CHECKS.items() if not passes(name, command)]
    if failed:
        print(f"check: {', '.join(failed)} failed.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
