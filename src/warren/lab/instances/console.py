"""A guest's serial lines: the console for people, and the second one for commands. The other end is `guest-init.sh`.

The second takes commands and gives their output and exit status. Both work without the guest's network, which is what
the experiments look at.
"""

import base64
import os
import secrets
import select
import shlex
import socket
import subprocess
import sys
import termios
import time
import tty
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from warren.core.errors import Conflict, Unreachable

LISTENS: Final = "warren guest listens"
"""What the guest writes to its console when it takes commands."""
LEAVE: Final = b"\x1d"
"""Ctrl-], with which telnet is left, too."""


def run(directory: Path, command: Sequence[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
    """Run a command in the guest of that directory to its end; standard error comes with the output.

    Raises:
        Conflict: the guest has ended.
        Unreachable: it does not listen, or did not answer, in time.
    """
    deadline = time.monotonic() + timeout_s
    script = shlex.join(command)
    try:
        _wait_for_guest(directory / "console.log", deadline)
        output, status = _ask(directory / "commands.sock", script, deadline)
    except TimeoutError:
        raise Unreachable(f"`{script}` in the guest took more than {timeout_s:g} s") from None
    except OSError as error:
        raise Conflict("InstanceEnded", f"The guest in {directory} does not answer: {error}.") from error
    return subprocess.CompletedProcess(list(command), status, output, output)


def attach(directory: Path) -> None:
    """Join this terminal to the guest's console, until Ctrl-] or the guest's end.

    Raises:
        Conflict: the guest has ended.
    """
    with socket.socket(socket.AF_UNIX) as line:
        try:
            line.connect(str(directory / "console.sock"))
        except OSError as error:
            raise Conflict("InstanceEnded", f"The guest in {directory} does not answer: {error}.") from error
        line.sendall(b"\n")
        keyboard = sys.stdin.fileno()
        before = termios.tcgetattr(keyboard) if sys.stdin.isatty() else None
        try:
            if before:
                tty.setraw(keyboard)
            _join(line, keyboard)
        finally:
            if before:
                termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _join(line: socket.socket, keyboard: int) -> None:
    while True:
        ready, _, _ = select.select([line.fileno(), keyboard], [], [])
        if line.fileno() in ready:
            shown = line.recv(65536)
            if not shown:
                return
            os.write(sys.stdout.fileno(), shown)
        if keyboard in ready:
            typed = os.read(keyboard, 65536)
            if not typed or LEAVE in typed:
                return
            line.sendall(typed)


def _wait_for_guest(log: Path, deadline: float) -> None:
    while not (log.exists() and LISTENS in log.read_text(errors="replace")):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)


def _ask(path: Path, script: str, deadline: float) -> tuple[str, int]:
    """The answers to others, who gave up waiting, may come first."""
    number = secrets.token_hex(4)
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(max(0.1, deadline - time.monotonic()))
        line.connect(str(path))
        line.sendall(f"{number} {base64.b64encode(script.encode()).decode()}\n".encode())
        for answer in _lines(line, deadline):
            if answer.startswith(f"{number} "):
                _, output, status = answer.split(" ")
                return base64.b64decode(output).decode(errors="replace"), int(status)
    raise ConnectionResetError("it closed the line")


def _lines(line: socket.socket, deadline: float) -> Iterator[str]:
    received = b""
    while part := line.recv(65536):
        *whole, received = (received + part).split(b"\n")
        yield from (text.decode(errors="replace").strip() for text in whole)
        if time.monotonic() > deadline:
            raise TimeoutError
