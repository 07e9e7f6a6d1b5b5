"""Links between the Markdown pages: every relative one names a file that exists, and a heading that is in it.

Links to other sites are not followed: this check needs no network.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
LINK: Final = re.compile(r"(?<!`)\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"")


def anchors(page: Path) -> set[str]:
    """The anchors that a Markdown viewer gives to the headings of a page."""
    headings = re.findall(r"^#+ +(.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def prose(page: Path) -> str:
    """The page without its code blocks: what stands in them is output, not links."""
    return re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def dead_links(page: Path) -> Iterator[str]:
    for groups in LINK.findall(prose(page)):
        target, _, anchor = (groups[0] or groups[1]).partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        found = (page.parent / target).resolve() if target else page
        if not found.exists():
            yield f"{page.relative_to(ROOT)}: there is no {target}"
        elif anchor and found.suffix == ".md" and anchor not in anchors(found):
            yield f"{page.relative_to(ROOT)}: {target or 'this page'} has no heading #{anchor}"


def main() -> int:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    dead = [line for page in sorted(pages) for line in dead_links(page)]
    print("\n".join(dead))
    return 1 if dead else 0


if __name__ == "__main__":
    sys.exit(main())
