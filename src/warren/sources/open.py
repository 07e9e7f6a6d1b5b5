"""SOURCE of the command line -> hosts: a file, `-`, a folder, an archive, `local`, `ssh://user@host`."""

import os
import re
import sys
from pathlib import Path
from typing import Final

from warren.core.errors import Invalid, NotFound
from warren.inspect.parse.text import printable
from warren.inspect.snapshot.model import Bridge, Host, Printout
from warren.inspect.snapshot.text import harmless
from warren.sources.archive import is_archive, read_archive
from warren.sources.capture import capture, over_ssh
from warren.sources.folder import hosts_of, read_tree

LOCAL: Final = "local"
_SSH: Final = "ssh://"
_SSH_DESTINATION: Final = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]*@)?[A-Za-z0-9_][A-Za-z0-9_.-]*(?::\d{1,5})?")
_NO_FLOWS: Final = re.compile(r"\s*(?:NXST|OFPST)_FLOW reply[^\n]*\s*")
"""The dump of a bridge without flows: a heading alone."""
STDIN_LIMIT_BYTES: Final = 1024 * 1024 * 1024


def read_source(source: str) -> tuple[Host, ...]:
    """The hosts of one source.

    Raises:
        Refused: it names nothing that can be read.
    """
    if is_live(source):
        return hosts_of(read_archive(capture_of(source), source), source)
    if source == "-":
        return _content(sys.stdin.buffer.read(STDIN_LIMIT_BYTES), "standard input")
    path = Path(source)
    if path.is_dir():
        return hosts_of(read_tree(path), source)
    if path.is_file():
        return _content(path.read_bytes(), source)
    if path.is_fifo():
        return _content(_read_pipe(path), source)
    known = "a file, a folder, an archive, local, lab://HOST or ssh://user@host"
    raise NotFound("NoSuchSource", f"there is no {printable(source)}: name {known}")


def is_live(source: str) -> bool:
    """Whether a source is a host that is captured now."""
    return source == LOCAL or source.startswith(_SSH)


def capture_of(source: str) -> bytes:
    """The archive of a live source.

    Raises:
        Invalid: it is none.
    """
    if source == LOCAL:
        return capture()
    destination = ssh_destination(source)
    return capture(over_ssh(destination), destination)


def ssh_destination(source: str) -> str:
    """`user@host` or `user@host:port` of an `ssh://` source.

    Raises:
        Invalid: it is none.
    """
    destination = source.removeprefix(_SSH).rstrip("/")
    if not source.startswith(_SSH) or not _SSH_DESTINATION.fullmatch(destination):
        raise Invalid("BadSource", f"{printable(source)} is not local, ssh://user@host or ssh://user@host:port")
    return destination


def _read_pipe(path: Path) -> bytes:
    """What comes through a pipe, as a shell's `<(…)` is; nothing where nobody writes to it."""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as pipe:
        os.set_blocking(pipe.fileno(), True)
        return pipe.read(STDIN_LIMIT_BYTES)


def _content(content: bytes, name: str) -> tuple[Host, ...]:
    if is_archive(content[:512]):
        return hosts_of(read_archive(content, name), name)
    return (_flows_only(harmless(content.decode("utf-8", "replace")), name),)


def _flows_only(text: str, name: str) -> Host:
    """A single dump of flows, as a host of which only one bridge is known."""
    if not text.strip():
        raise Invalid("NothingCaptured", f"{name} is empty")
    if "actions=" not in text and _NO_FLOWS.fullmatch(text) is None:
        raise Invalid("NothingCaptured", f"{name} is neither an archive nor a dump of flows")
    bridge = Path(name).name.rpartition("_")[2] or name
    return Host(name=name, bridges=(Bridge(name=bridge, flows=Printout(file=name, text=text)),))
