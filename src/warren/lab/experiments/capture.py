"""Captures of what really went through a network card, by tcpdump, decoded."""

import os
import re
import secrets
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
STARTS_WITHIN_S: Final = 20.0
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
def capturing(lab: LabDirectory, place: Place, nic: str) -> Iterator[Capture]:
    """Capture the tunnels' frames on a host's underlay card while the block runs.

    Raises:
        Unreachable: tcpdump did not start, or did not see what was sent last.
    """
    captured = Capture(nic=nic)
    log = lab.host(place.name) / "run" / f"tcpdump-{nic}.log"
    log.unlink(missing_ok=True)
    file = log.with_suffix(".pcap")
    # The shell opens the file: tcpdump gives up root's rights before it would, and Ubuntu 24.04's dies of `-Z root`.
    command = f"exec tcpdump -i {nic} -n -U --immediate-mode -w - '{TUNNELS} or icmp' >/run/{file.name}"
    pid = place.start(["sh", "-c", command], log=log)
    wait_until(lambda: "listening on" in _text(log), f"tcpdump on {place.name}", STARTS_WITHIN_S)
    try:
        yield captured
        _see_the_end(lab, place, file)
    finally:
        _stop(pid, lab.lab_id)
    captured.text = place.run("tcpdump", "-e", "-n", "-r", f"/run/{file.name}", TUNNELS).stdout
    captured.frames = [part for part in _RECORD.split(captured.text) if part.strip()]


def _see_the_end(lab: LabDirectory, place: Place, file: Path) -> None:
    """Send a marked echo request to a peer and wait for it: what was sent before it is in the file then."""
    mark = secrets.token_hex(8)
    peer = next(host.vtep_ip for host in lab.plan.hosts if host.name != place.name)
    place.run("ping", "-q", "-c", "1", "-W", "1", "-p", mark, peer)
    wait_until(lambda: bytes.fromhex(mark) in file.read_bytes(), f"The end of the capture on {place.name}", 10)


def _stop(pid: int, lab_id: str) -> None:
    """Interrupt it, so that it writes what it has."""
    with suppress(ProcessLookupError, ChildProcessError):
        os.kill(pid, signal.SIGINT)
        os.waitpid(pid, 0)
    processes.end_one(pid, lab_id)


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""
