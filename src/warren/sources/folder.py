"""Files with paths -> hosts: finds where in a tree each host's folder begins."""

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from warren.core.errors import Invalid, NotFound
from warren.inspect.parse.problem import Problem
from warren.inspect.snapshot.host import read_host
from warren.inspect.snapshot.layout import Role, classify
from warren.inspect.snapshot.model import Host
from warren.sources.archive import read_archive

FILE_LIMIT_BYTES: Final = 256 * 1024 * 1024
DEPTH_LIMIT: Final = 12

_TELLS_A_HOST: Final = frozenset({Role.OVS_SHOW, Role.FLOWS, Role.OFCTL_SHOW, Role.INTERFACES, Role.ADDRESSES})
_ARCHIVES: Final = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".zip")
_SOS: Final = "sos_commands"


class Unread(NamedTuple):
    """A file or folder that is there and was not read, and why."""

    why: str


Content: TypeAlias = bytes | Unread


def read_tree(folder: Path) -> dict[str, Content]:
    """Relative path -> content of the files below a folder that somebody here reads, and of the archives in it.

    Links are not followed. An archive whose folder lies unpacked beside it is left alone.

    Raises:
        OSError: the folder itself cannot be read.
    """
    files: dict[str, Content] = {}

    def unread(error: OSError) -> None:
        place = Path(str(error.filename))
        if place == folder:
            raise error
        files[place.relative_to(folder).as_posix()] = Unread(str(error.strerror))

    for place, folders, names in os.walk(folder, onerror=unread):
        folders.sort()
        inside = Path(place).relative_to(folder)
        if len(inside.parts) >= DEPTH_LIMIT - 1:
            folders.clear()
        for path in (inside / name for name in sorted(names)):
            if _place(path.as_posix()) is not None and (content := _content(folder / path)) is not None:
                files[path.as_posix()] = content
    unpacked = {path.partition("/")[0] for path in files if "/" in path}
    for path in sorted(folder.iterdir()):
        if path.name.endswith(_ARCHIVES):
            members = _members(path)
            files |= {name: members[name] for name in members if name.partition("/")[0] not in unpacked}
    return files


def _members(archive: Path) -> dict[str, Content]:
    """What an archive has; files that lie in no folder there are taken to be in one of the archive's name."""
    content = _content(archive)
    if not isinstance(content, bytes):
        return {archive.name: content} if content else {}
    try:
        members = read_archive(content, archive.name)
    except Invalid as error:
        return {archive.name: Unread(error.message)}
    return {name if "/" in name else f"{archive.name}/{name}": found for name, found in members.items()}


def _content(path: Path) -> Content | None:
    """`None` for what is no file: a link, a pipe, a device."""
    try:
        found = path.lstat()
        if not stat.S_ISREG(found.st_mode):
            return None
        if found.st_size > FILE_LIMIT_BYTES:
            return Unread(f"it has more than {FILE_LIMIT_BYTES >> 20} MB, as no command prints")
        return path.read_bytes()
    except OSError as error:
        return Unread(str(error.strerror))


def _place(path: str) -> str | None:
    """The host's folder that a file belongs to ("" is the root), or `None` for a file that nobody reads."""
    parts = path.split("/")
    if _SOS in parts:
        root = parts[: parts.index(_SOS)]
    elif "var" in parts[:-1] and classify(path):
        root = parts[: parts.index("var")]
    elif len(parts) > 1 and classify("/".join(parts[-2:])) and parts[-2].startswith("dnsmasq_"):
        root = parts[:-2]
    else:
        root = parts[:-1]
    return "/".join(root) if classify("/".join(parts[len(root) :])) else None


def hosts_of(files: Mapping[str, Content], name: str) -> tuple[Host, ...]:
    """Every host that the files have, in the order of their names; what was not read is a problem of its host.

    Raises:
        NotFound: there is none.
        Invalid: two have one name, such as several moments of the same host.
    """
    folders: dict[str, dict[str, Content]] = {}
    for path, content in files.items():
        root = _place(path)
        if root is not None:
            folders.setdefault(root, {})[path[len(root) :].lstrip("/")] = content
    for path, content in files.items():
        if isinstance(content, Unread) and _place(path) is None:
            root = next((root for root in _above(path) if root in folders), path)
            folders.setdefault(root, {})[path[len(root) :].lstrip("/")] = content
    hosts = [
        _host(root.rpartition("/")[2] or Path(name).name or name, found)
        for root, found in sorted(folders.items())
        if any(place.role in _TELLS_A_HOST for place in map(classify, found) if place) or "" in found
    ]
    if not hosts:
        raise NotFound("NothingCaptured", f"{name} has no file of a captured host, such as ovs-vsctl_show")
    return unambiguous(hosts, name)


def _above(path: str) -> Iterator[str]:
    """The folders that a path is in, innermost first."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def _host(name: str, files: Mapping[str, Content]) -> Host:
    texts = {path: content.decode("utf-8", "replace") for path, content in files.items() if isinstance(content, bytes)}
    host = read_host(name, texts)
    unread = (
        Problem(file=f"{name}/{path}".rstrip("/"), line=0, column=0, message=f"cannot be read: {content.why}")
        for path, content in files.items()
        if isinstance(content, Unread) and not _is_nobodys(path, files)
    )
    return replace(host, problems=(*host.problems, *unread))


def _is_nobodys(path: str, files: Mapping[str, Content]) -> bool:
    """Whether it is one of the many folders of a sosreport that nobody here looks into."""
    is_sosreport = any(other.startswith(f"{_SOS}/") for other in files)
    return is_sosreport and classify(path) is None and path.partition("/")[0] not in (_SOS, "var")


def unambiguous(hosts: Iterable[Host], name: str) -> tuple[Host, ...]:
    """The hosts by name.

    Raises:
        Invalid: two have one name.
    """
    found: dict[str, Host] = {}
    for host in hosts:
        if host.name in found:
            raise Invalid(
                "AmbiguousHost", f"{name} has two hosts named {host.name}; name the folder of one moment of them"
            )
        found[host.name] = host
    return tuple(found[key] for key in sorted(found))
