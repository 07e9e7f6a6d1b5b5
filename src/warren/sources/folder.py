"""Files with paths -> hosts: finds where in a tree each host's folder begins."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from warren.core.errors import Invalid, NotFound
from warren.inspect.snapshot.host import read_host
from warren.inspect.snapshot.layout import Role, classify
from warren.inspect.snapshot.model import Host

FILE_LIMIT_BYTES: Final = 256 * 1024 * 1024
DEPTH_LIMIT: Final = 12

_TELLS_A_HOST: Final = frozenset({Role.OVS_SHOW, Role.FLOWS, Role.OFCTL_SHOW, Role.INTERFACES, Role.ADDRESSES})
_SOS: Final = "sos_commands"


def read_tree(folder: Path) -> dict[str, bytes]:
    """Relative path -> content of the files below a folder that somebody here reads. Links are not followed."""
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if len(relative.parts) > DEPTH_LIMIT or path.is_symlink() or not path.is_file():
            continue
        if _place(relative.as_posix()) is not None and path.stat().st_size <= FILE_LIMIT_BYTES:
            files[relative.as_posix()] = path.read_bytes()
    return files


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


def hosts_of(files: Mapping[str, bytes], name: str) -> tuple[Host, ...]:
    """Every host that the files have, in the order of their names.

    Raises:
        NotFound: there is none.
        Invalid: two have one name, such as several moments of the same host.
    """
    folders: dict[str, dict[str, str]] = {}
    for path, content in files.items():
        root = _place(path)
        if root is not None:
            folders.setdefault(root, {})[path[len(root) :].lstrip("/")] = content.decode("utf-8", "replace")
    hosts = [
        read_host(root.rpartition("/")[2] or Path(name).name or name, texts)
        for root, texts in sorted(folders.items())
        if any(place.role in _TELLS_A_HOST for place in map(classify, texts) if place)
    ]
    if not hosts:
        raise NotFound("NothingCaptured", f"{name} has no file of a captured host, such as ovs-vsctl_show")
    return unambiguous(hosts, name)


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
