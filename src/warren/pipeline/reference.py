"""The reference page of a bridge, in Markdown, printed from its declarations and from flows that were rendered."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from warren.pipeline.cookies import MEANINGS, OBJECT_BITS, Concern
from warren.pipeline.flow import Flow, field_names
from warren.pipeline.table import RegisterField, Table


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What a page is about."""

    bridge: str
    purpose: str
    tables: tuple[Table, ...]
    fields: tuple[RegisterField, ...] = ()
    examples: tuple[Flow, ...] = ()
    """Flows of an example host; each table shows one for each of their kinds."""


def markdown(page: Page) -> str:
    """The whole page."""
    return "\n".join(_lines(page)) + "\n"


def _lines(page: Page) -> Iterator[str]:
    yield f"# {page.bridge}"
    yield ""
    yield page.purpose
    yield ""
    yield "This page is printed from the declarations in `src/warren/pipeline` by `scripts/reference.py`."
    yield ""
    yield "## Tables"
    yield ""
    yield "| table | name | what it does | goes to | nothing matched |"
    yield "|---|---|---|---|---|"
    for table in page.tables:
        to = ", ".join(str(number) for number in sorted(table.goes_to)) or "nowhere"
        yield f"| {table.id} | {table.name} | {table.purpose} | {to} | {_miss(table)} |"
    if page.fields:
        yield from ("", "## Registers", "", "| register | bits | meaning |", "|---|---|---|")
        for field in page.fields:
            yield f"| reg{field.register} | {field.first_bit}..{field.last_bit} | {field.purpose} |"
    yield from _cookies(page)
    yield from ("", "## Flows", "", "As `ovs-ofctl dump-flows` prints them on an example host, one of each kind.")
    for table in page.tables:
        yield from _examples(table, [flow for flow in page.examples if flow.table == table.id])


def _miss(table: Table) -> str:
    return "cannot happen" if table.miss is None else f"`{table.miss}`"


def _cookies(page: Page) -> Iterator[str]:
    used = {Concern(flow.cookie >> OBJECT_BITS) for flow in page.examples}
    yield from ("", "## Cookies", "", "| cookie | what wrote the flow |", "|---|---|")
    for concern in sorted(used):
        yield f"| `{concern.value:#06x}` + 12 digits of the object | {MEANINGS[concern]} |"


def _examples(table: Table, flows: Iterable[Flow]) -> Iterator[str]:
    yield from ("", f"### {table.id} {table.name}", "")
    fields = ", ".join(f"`{name}`" for name in sorted(table.matches))
    yield f"Looks at {fields}." if fields else "Looks at nothing: no flow but the one for a miss."
    yield from ("", "```")
    shown: set[tuple[int, int, tuple[str, ...]]] = set()
    for flow in sorted(flows, key=lambda flow: (-flow.priority, flow.match)):
        kind = (flow.priority, flow.cookie >> OBJECT_BITS, tuple(field_names(flow.match)))
        if kind not in shown:
            shown.add(kind)
            yield f"# {flow.reason}"
            yield str(flow)
    yield "```"
