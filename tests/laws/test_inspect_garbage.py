"""Whatever comes in, the parser answers: with flows, or with problems that are safe to print."""

from hypothesis import given, settings
from hypothesis import strategies as st

from warren.inspect.decode import Decoder
from warren.inspect.explain.context import alone
from warren.inspect.explain.sentence import explain
from warren.inspect.parse.dump import read_dump

FRAGMENTS = st.sampled_from(
    [
        " cookie=0x1, table=3, ",
        "priority=5,",
        "in_port=1 ",
        "actions=",
        "learn(table=",
        "ct(commit,exec(",
        "nat(src=",
        "dl_vlan=",
        "load:0x5->",
        "NXM_NX_REG0[",
        "..",
        ")",
        "(",
        "[",
        "]",
        '"',
        "\\",
        ",",
        "=",
        "/",
        "\n",
        "\x1b[31m",
        "\x1b]0;x\x07",
        "\u202e",
        "clone(",
        "ip,nw_src=10.0.0.1",
        "0x" + "f" * 400,
        "٣",
    ]
)
TEXTS = st.lists(FRAGMENTS | st.text(max_size=5), max_size=25).map("".join)


@settings(max_examples=300, deadline=None)
@given(TEXTS)
def test_garbage_never_raises_and_never_reaches_the_terminal(text: str) -> None:
    dump = read_dump(text, "x\x1b")
    decoder = Decoder()
    for problem in decoder.problems(dump):
        assert str(problem).isprintable()
        assert problem.line >= 1
        assert problem.column >= 1
    for explanation in explain(dump.flows, alone("br-int", dump.flows, decoder), decoder):
        assert explanation.sentence.isprintable()
        assert explanation.understood or explanation.problem is not None
