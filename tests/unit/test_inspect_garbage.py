"""Damaged captures are judged and followed as far as they go: whatever is done to them, nothing crashes."""

import json
import random
from pathlib import Path

import pytest

from warren.core.errors import WarrenError
from warren.inspect.path.endpoint import find
from warren.inspect.path.question import Question, trace
from warren.inspect.path.topology import Topology
from warren.inspect.snapshot.model import Estate
from warren.inspect.snapshot.names import read_names
from warren.inspect.verify.verify import verify
from warren.sources.folder import hosts_of, read_tree
from warren.sources.intent import intents

FIXTURES = Path(__file__).parent.parent / "fixtures"
CASES = {
    "neutron": (FIXTURES / "neutron" / "6c-vm1-vm2-ping", FIXTURES / "neutron" / "api.json", ("vm1", "vm2", "8.8.8.8")),
    "warren": (FIXTURES / "warren-l2pop-hybrid", FIXTURES / "warren-l2pop-hybrid" / "api.json", ("vm1", "b1", "world")),
}
SCRIBBLES = (
    b"0xffffffffffffffffff", b"-1", b"999999999999", b",", b"(", b"\x1b[2J", b'"', b"[]", b"{}", b"null", b"::", b"/33",
    b"=", b"300.1.1.1", b" dev ", b"\x00", b"\xff", b"9" * 5000, "²".encode(), b"1e400", b"--5", b"067",
)  # fmt: skip


def damaged(choose: random.Random, content: bytes) -> bytes:
    """One to twenty damages: a byte, a hole, a scribble, a line doubled or gone, a digit changed, the end cut off."""
    for _ in range(choose.choice((1, 1, 2, 5, 20))):
        if not content:
            break
        at = choose.randrange(len(content))
        lines = content.split(b"\n")
        content = choose.choice(
            (
                content[:at] + bytes([choose.randrange(256)]) + content[at + 1 :],
                content[:at] + content[at + choose.randrange(1, 40) :],
                content[:at] + choose.choice(SCRIBBLES) + content[at:],
                b"\n".join([*lines, choose.choice(lines)]),
                b"\n".join(lines[: at % len(lines)] + lines[at % len(lines) + 1 :]),
                content[:at] + b"%d" % choose.randrange(10) + content[at + 1 :],
                content[:at],
            )
        )
    return content


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("case", CASES)
def test_nothing_that_is_done_to_a_capture_makes_it_crash(case: str, seed: int) -> None:
    folder, names, ends = CASES[case]
    choose = random.Random(seed)
    files = {path: content for path, content in read_tree(folder).items() if isinstance(content, bytes)}
    for path in choose.sample(sorted(files), choose.choice((1, 3, 10, len(files)))):
        files[path] = damaged(choose, files[path])
    for path in choose.sample(sorted(files), choose.choice((0, 0, 2, 8))):
        del files[path]
    try:
        estate = Estate(hosts=hosts_of(files, case), names=read_names(json.loads(names.read_text())))
        report = verify(estate, intents(estate)[0])
    except WarrenError:
        return
    assert "\x1b" not in repr(report)
    topology = Topology(estate=estate)
    for sender, receiver in ((ends[0], ends[1]), (ends[1], ends[2]), (ends[2], ends[0])):
        try:
            found = trace(estate, find(sender, topology), find(receiver, topology), Question())
        except WarrenError:
            continue
        assert found.verdict
        assert "\x1b" not in repr(found)
