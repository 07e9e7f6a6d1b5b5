"""Text from elsewhere, made safe: what a person's terminal must not see is taken out before anything is parsed."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from warren.inspect.parse.problem import Problem

LINE_LIMIT_CHARS: Final = 1_000_000
"""A longer line is no command's output; it is complained about and left out."""
PROBLEM_LIMIT: Final = 20
"""Problems kept per file; a file of garbage says so once, not a million times."""

_ESCAPE_SEQUENCE: Final = re.compile(r"\x1b\[[0-9;?]{0,32}[@-~]|\x1b\][^\x07\x1b]{0,256}(?:\x07|\x1b\\)")
_WHOLE: Final = re.compile(r"[0-9]{1,20}")
_MAC: Final = re.compile(r"[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}")
_UNPRINTABLE: Final = (
    *range(9),
    *range(11, 32),
    *range(127, 160),
    0x200E,
    0x200F,
    *range(0x202A, 0x202F),
    *range(0x2066, 0x206A),
)
_CONTROL: Final = dict.fromkeys(_UNPRINTABLE, "\N{REPLACEMENT CHARACTER}")


def harmless(text: str) -> str:
    """The text without terminal escapes, control characters and direction marks; tab and line feed stay."""
    if "\x1b" in text:
        text = _ESCAPE_SEQUENCE.sub("", text)
    return text.replace("\r\n", "\n").translate(_CONTROL)


def mac_of(text: str) -> str:
    """A MAC address in lower case; empty for anything else."""
    return text.lower() if _MAC.fullmatch(text) else ""


def mac_number(text: str) -> int:
    """A MAC address as a number; 0 for no address."""
    mac = mac_of(text)
    return int(mac.replace(":", ""), 16) if mac else 0


def whole(text: str) -> int | None:
    """A number as the kernel and Open vSwitch print them; `None` for anything else, thousands of digits included."""
    return int(text) if _WHOLE.fullmatch(text) else None


def ip_of(text: str) -> str:
    """An IPv4 or IPv6 address in its shortest form; empty for anything else."""
    try:
        return str(ip_address(text))
    except ValueError:
        return ""


def neighbour_of(ip: str) -> str:
    """Another address of every prefix of 31 bits and fewer that an address is in."""
    return str(ip_address(int(ip_address(ip)) ^ 1))


@dataclass(slots=True)
class Page:
    """One file while it is read: its lines, and what was not understood in it."""

    file: str
    text: str
    problems: list[Problem] = field(default_factory=list)

    def lines(self) -> Iterator[tuple[int, str]]:
        """(number, line) of every line that is neither blank nor absurdly long."""
        for number, line in enumerate(self.text.split("\n"), 1):
            if len(line) > LINE_LIMIT_CHARS:
                self.complain(number, 1, f"a line of {len(line)} characters is left out")
            elif line.strip():
                yield number, line

    def complain(self, line: int, column: int, message: str) -> None:
        if len(self.problems) < PROBLEM_LIMIT:
            self.problems.append(Problem(file=self.file, line=line, column=column, message=message))
        elif len(self.problems) == PROBLEM_LIMIT:
            self.problems.append(Problem(file=self.file, line=line, column=1, message="and more; no others are shown"))
