"""Limits on the size of files, functions and classes of src/.

What is over a limit today stands in `[tool.warren.sizes]` of pyproject.toml with its size. Such an entry may shrink and
vanish, never grow: a size above it fails, and so does one below it (then lower the entry).
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT: Final = Path(__file__).resolve().parent.parent
FILE_LINES: Final = 600
FUNCTION_LINES: Final = 60
PUBLIC_METHODS: Final = 12
ATTRIBUTES: Final = 10
BASES: Final = 1
SHAPES: Final = {"Protocol", "Generic", "Enum", "str", "int"}
"""Bases that bring no behaviour to inherit."""


def over_limits(path: Path) -> Iterator[tuple[str, int, int]]:
    """What in one file is over its limit, as (name, size, limit)."""
    name = str(path.relative_to(ROOT))
    text = path.read_text(encoding="utf-8")
    sizes = [(name, text.count("\n"), FILE_LINES)]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            sizes.append((f"{name}:{node.name}", lines, FUNCTION_LINES))
        elif isinstance(node, ast.ClassDef):
            sizes.extend(class_sizes(f"{name}:{node.name}", node))
    return (size for size in sizes if size[1] > size[2])


def class_sizes(name: str, node: ast.ClassDef) -> Iterator[tuple[str, int, int]]:
    """Public methods, attributes that methods set on `self`, and bases of one class."""
    methods = [item for item in node.body if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)]
    yield f"{name} (public methods)", sum(not method.name.startswith("_") for method in methods), PUBLIC_METHODS
    attributes = {
        target.attr
        for target in ast.walk(node)
        if isinstance(target, ast.Attribute)
        and isinstance(target.ctx, ast.Store)
        and isinstance(target.value, ast.Name)
        and target.value.id == "self"
    }
    yield f"{name} (attributes)", len(attributes), ATTRIBUTES
    bases = [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]
    yield f"{name} (bases)", len([base for base in bases if base not in SHAPES]), BASES


def main() -> int:
    with (ROOT / "pyproject.toml").open("rb") as file:
        known: dict[str, int] = tomllib.load(file)["tool"].get("warren", {}).get("sizes", {})
    complaints = []
    for path in sorted((ROOT / "src").rglob("*.py")):
        for name, size, limit in over_limits(path):
            allowed = known.pop(name, limit)
            if size > allowed:
                complaints.append(f"{name}: {size}, at most {allowed}")
            elif size < allowed:
                complaints.append(f"{name}: shrunk to {size}; lower its entry in pyproject.toml")
    complaints += [f"{name}: within its limit now; remove its entry from pyproject.toml" for name in known]
    print("\n".join(complaints))
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
