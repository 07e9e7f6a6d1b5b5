"""The reference pages show every table with its meaning and an example of each kind of flow."""

from dataclasses import replace

from warren.pipeline.cookies import Concern, encode
from warren.pipeline.flow import Flow
from warren.pipeline.reference import Page, markdown
from warren.pipeline.table import RegisterField, Table

SORT = Table(id=0, name="SORT", purpose="Sorts.", matches=frozenset({"in_port"}), goes_to=frozenset({7}))
LAST = Table(id=7, name="LAST", purpose="Ends.", miss=None)
EXAMPLE = Flow(
    table=0, priority=1, match="in_port=3", actions="resubmit(,7)", cookie=encode(Concern.FLOOD), reason="it must"
)


def test_a_page_names_tables_registers_and_the_cookies_that_occur() -> None:
    field = RegisterField(name="network", register=6, purpose="The network.")
    text = markdown(
        Page(bridge="br-x", purpose="An example.", tables=(SORT, LAST), fields=(field,), examples=(EXAMPLE,))
    )
    assert "| 0 | SORT | Sorts. | 7 | `drop` |" in text
    assert "| 7 | LAST | Ends. | nowhere | cannot happen |" in text
    assert "| reg6 | 0..31 | The network. |" in text
    assert "| `0x0005` + 12 digits of the object |" in text
    assert "# it must\ncookie=0x5000000000000, table=0, priority=1,in_port=3 actions=resubmit(,7)\n" in text


def test_of_two_flows_of_one_kind_one_is_shown() -> None:
    other = replace(EXAMPLE, match="in_port=4")
    text = markdown(Page(bridge="br-x", purpose="", tables=(SORT, LAST), examples=(EXAMPLE, other)))
    assert "in_port=3" in text
    assert "in_port=4" not in text
