"""Run every command of docs/tutorial.md on a live lab; `--write` puts what they print into the page.

Needs root. A console block is taken apart into commands by their prompts; a command that fails fails the run. The lab
has a name of its own, so that one of the reader's may be up.
"""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "tutorial.md"
BLOCK: Final = re.compile(r"(?<=^```console\n).*?(?=^```$)", re.DOTALL | re.MULTILINE)
PROMPT: Final = re.compile(r"^(\$|[a-z0-9]+#) (.*)$", re.MULTILINE)
LAB: Final = f"tutorial{os.getpid()}"


def commands(block: str) -> list[tuple[str, str]]:
    """The (prompt, command) pairs of a block, without what was printed."""
    return PROMPT.findall(block)


def here(command: str) -> str:
    """A command of the page, for this run's lab."""
    named = re.sub(r"\blab (up|down|status|boot)\b", rf"lab \1 --name {LAB}", command)
    return named.replace("/lab/default/", f"/lab/{LAB}/")


def printed(prompt: str, command: str) -> str:
    """What a command prints, on the host or in the instance that its prompt names.

    Raises:
        SystemExit: it fails.
    """
    words = ["bash", "-c", here(command)]
    if prompt != "$":
        words = [str(ROOT / "run"), "warren", "lab", "exec", "--name", LAB, prompt[:-1], "--", "sh", "-c", command]
    if exported := re.fullmatch(r"export (.*)", here(command)):
        os.environ.update((name, value) for name, _, value in (pair.partition("=") for pair in exported[1].split()))
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    counted_none = "grep -c" in command and done.stdout == "0\n"
    if done.returncode != 0 and not counted_none:
        sys.exit(f"tutorial: {prompt} {command}: status {done.returncode}\n{done.stdout}{done.stderr}")
    said = done.stdout.replace(f" --name {LAB}", "").replace(LAB, "default")
    return "\n".join(line.rstrip() for line in said.splitlines())


def run_block(match: "re.Match[str]") -> str:
    lines = []
    for prompt, command in commands(match[0]):
        print(f"{prompt} {command}", flush=True)
        output = printed(prompt, command)
        lines.append(f"{prompt} {command}\n{output}".rstrip() + "\n")
    return "".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run every command of docs/tutorial.md on a live lab.")
    parser.add_argument("--write", action="store_true", help="put what the commands print into the page")
    wanted = parser.parse_args()
    os.environ["COLUMNS"] = "120"
    try:
        page = BLOCK.sub(run_block, PAGE.read_text(encoding="utf-8"))
    finally:
        subprocess.run(
            [str(ROOT / "run"), "warren", "lab", "down", "--name", LAB], check=False, stdout=subprocess.DEVNULL
        )
    if wanted.write:
        PAGE.write_text(page, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
