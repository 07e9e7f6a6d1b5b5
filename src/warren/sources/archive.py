"""tar and zip archives, read in memory: nothing is ever unpacked onto the disk."""

import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Final

from warren.core.errors import Invalid

FILE_LIMIT_BYTES: Final = 256 * 1024 * 1024
TOTAL_LIMIT_BYTES: Final = 2 * 1024 * 1024 * 1024
MEMBER_LIMIT: Final = 200_000

_GZIP: Final = b"\x1f\x8b"
_ZIP: Final = b"PK\x03\x04"
_XZ: Final = b"\xfd7zXZ"
_BZIP2: Final = b"BZh"


def is_archive(head: bytes) -> bool:
    """Whether a file that begins so is one that `read_archive` reads."""
    return head.startswith((_GZIP, _ZIP, _XZ, _BZIP2)) or head[257:262] == b"ustar"


def read_archive(content: bytes, name: str) -> dict[str, bytes]:
    """Path -> content of every regular file.

    Raises:
        Invalid: it is damaged, or larger than any capture can be.
    """
    members: dict[str, bytes] = {}
    total = 0
    try:
        for path, member in _zip(content) if content.startswith(_ZIP) else _tar(content):
            total += len(member)
            if total > TOTAL_LIMIT_BYTES or len(members) >= MEMBER_LIMIT or len(member) >= FILE_LIMIT_BYTES:
                raise Invalid("ArchiveTooLarge", f"{name} unpacks to more than a capture can have; it was not read")
            members[_plain(path)] = member
    except (tarfile.TarError, zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError) as error:
        raise Invalid("ArchiveDamaged", f"{name} is damaged ({error}); take it again") from error
    return members


def _plain(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in ("", ".", ".."))


def _tar(content: bytes) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
        for member in archive:
            opened = archive.extractfile(member) if member.isfile() else None
            if opened:
                yield member.name, opened.read(FILE_LIMIT_BYTES)


def _zip(content: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for member in archive.infolist():
            if not member.is_dir():
                with archive.open(member) as opened:
                    yield member.filename, opened.read(FILE_LIMIT_BYTES)
