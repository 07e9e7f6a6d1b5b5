"""Captures of what really went through a network card, by tcpdump, decoded."""

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from warren.lab import processes
from warren.lab.api import wait_until
from warren.lab.directory import LabDirectory
from warren.lab.host import Place

TUNNELS: Final = "udp port 4789 or proto gre"
_RECORD: Final = re.compile(r"^(?=\d\d:\d\d:\d\d\.)", re.MULTILINE)
_OUTER: Final = re.compile(r"(\d+\.\d+\.\d+\.\d+)(?:\.\d+)? > (\d+\.\d+\.\d+\.\d+)(?:\.\d+)?: (?:VXLAN|GREv0)")


@dataclass(slots=True)
class Capture:
    """What was captured; `text` is filled when the capture has ended."""

    nic: str
    text: str = ""
    frames: list[str] = field(default_factory=list)
    """One decoded frame each, outer and inner headers."""

    def having(self, pattern: str) -> list[str]:
        """The frames in which a pattern is found."""
        return [frame for frame in self.frames if re.search(pattern, frame)]


def tunnel_ends(frame: str) -> tuple[str, str]:
    """From which tunnel address to which a frame went; empty texts where it was in no tunnel."""
    found = _OUTER.search(frame)
    return (found[1], found[2]) if found else ("", "")


@contextmanager
def capturing(lab: LabDirectory, place: Place, nic: str, expression: str = TUNNELS) -> Iterator[Capture]:
    """Capture on a network card of a host while the block runs."""
    captured = Capture(nic=nic)
    folder = lab.host(place.name) / "run"
    log = folder / f"tcpdump-{nic}.log"
    log.unlink(missing_ok=True)
    file = f"/run/tcpdump-{nic}.pcap"
    command = ["tcpdump", "-i", nic, "-n", "-U", "--immediate-mode", "-Z", "root", "-w", file, expression]
    pid = place.start(command, log=log)
    wait_until(lambda: "listening on" in _text(log), f"tcpdump on {place.name}", 10)
    try:
        yield captured
    finally:
        _stop(pid, lab.lab_id)
    captured.text = place.run("tcpdump", "-e", "-n", "-r", file).stdout
    captured.frames = [part for part in _RECORD.split(captured.text) if part.strip()]


def _stop(pid: int, lab_id: str) -> None:
    """Interrupt it, so that it writes what it has."""
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGINT)
        os.waitpid(pid, 0)
    processes.end_one(pid, lab_id)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
