"""Archives that the kernel unpacks as its first root: the `newc` form of cpio. Pure.

Source: Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
"""

import stat
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A file, directory or symbolic link; `mode` has its type bits, `content` is a link's target."""

    path: str
    mode: int
    content: bytes = b""


def directory(path: str) -> Entry:
    return Entry(path=path, mode=stat.S_IFDIR | 0o755)


def file(path: str, content: bytes, *, mode: int = 0o644) -> Entry:
    return Entry(path=path, mode=stat.S_IFREG | mode, content=content)


def link(path: str, target: str) -> Entry:
    return Entry(path=path, mode=stat.S_IFLNK | 0o777, content=target.encode())


def archive(entries: Iterable[Entry]) -> bytes:
    """All entries and the trailer. A file's directories must come before it; `with_parents` sees to that."""
    parts = [_record(number, entry) for number, entry in enumerate(entries, start=1)]
    return b"".join([*parts, _record(0, Entry(path="TRAILER!!!", mode=0))])


def with_parents(entries: Iterable[Entry]) -> list[Entry]:
    """The entries, with the directories that they are in before them; each path once, the first wins."""
    found: dict[str, Entry] = {}
    for entry in entries:
        parts = entry.path.split("/")[:-1]
        for length in range(1, len(parts) + 1):
            parent = "/".join(parts[:length])
            found.setdefault(parent, directory(parent))
        found.setdefault(entry.path, entry)
    return list(found.values())


def _record(number: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    fields = (number, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, 0, 0, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % value for value in fields)
    return _padded(header + name) + _padded(entry.content)


def _padded(content: bytes) -> bytes:
    return content + b"\0" * (-len(content) % 4)
