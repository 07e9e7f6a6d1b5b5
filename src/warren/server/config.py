"""The server's configuration: one TOML file, read whole and checked before anything is started.

docs/design/server.md lists the keys. Owns reading and checking; never writes but for `starting_text`.
"""

import re
import secrets
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path
from typing import Any, Final, TypeAlias

from warren.core.errors import Unmet
from warren.core.protocols import TUNNEL_OVERHEAD_BYTES
from warren.core.state import Deployment, NetworkType, TunnelMode
from warren.server.context import Offer, PhysicalNetwork
from warren.server.identity.directory import Directory, Project, User, stable_id
from warren.server.identity.secrets import hash_password, is_password_hash

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


_MOST_SECONDS: Final = 10**9
_MOST_ID: Final = 64
_LEAST_MTU: Final = 68
"""What every IPv4 link carries (RFC 791)."""
_LEAST_UNDERLAY_MTU: Final = _LEAST_MTU + max(TUNNEL_OVERHEAD_BYTES.values())
_URL: Final = re.compile(r"https?://[^\s/]+(/\S*)?")
_DOMAIN: Final = re.compile(r"(?=.{1,253}$)[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})*")
_RANGE: Final = re.compile(r"\s*([0-9]{1,10})\s*-\s*([0-9]{1,10})\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    listen_host: str = "127.0.0.1"
    listen_port: int = 9696
    unix_socket: Path | None = None
    public_url: str | None = None
    """What the catalog says; None: the URL by which the client came."""
    database: Path
    secret_file: Path
    token_lifetime_s: int = 3600
    agent_down_time_s: float = 30.0
    keepalive_s: float = 10.0
    request_within_s: float = 30.0
    offer: Offer = field(default_factory=Offer)
    directory: Directory = field(default_factory=Directory)


_Kind: TypeAlias = type | tuple[type, ...]
_NUMBER: Final = (int, float)
_KINDS: Final[Mapping[_Kind, str]] = {str: "a string", int: "an integer", _NUMBER: "a number", dict: "a table"}
_SHAPE: Final[Mapping[str, Mapping[str, _Kind]]] = {
    "": {
        "listen": str,
        "unix_socket": str,
        "public_url": str,
        "database": str,
        "secret_file": str,
        "token_lifetime_s": int,
        "agent_down_time_s": _NUMBER,
        "keepalive_s": _NUMBER,
        "request_within_s": _NUMBER,
        "dns_domain": str,
        "underlay_mtu": int,
        "tunnel": dict,
        "physical_networks": dict,
        "projects": dict,
        "users": dict,
    },
    "tunnel.": {
        "mode": str,
        "default_type": str,
        "vxlan_ids": str,
        "gre_ids": str,
        "ageing_s": int,
        "vxlan_port": int,
    },
    "physical_networks.NAME.": {"mtu": int},
    "projects.NAME.": {"id": str, "description": str},
    "users.NAME.": {"id": str, "password_hash": str, "roles": dict},
}


def load(path: Path) -> Config:
    """Read the file. Relative paths in it are relative to its directory.

    Raises:
        Unmet: unreadable, not TOML, an unknown key, a wrong type or value. One sentence says which.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise Unmet(f"there is no configuration {path}: make one with `warren server init {path}`") from error
    except OSError as error:
        raise Unmet(f"the configuration {path} cannot be read: {error.strerror}") from error
    try:
        return _config(tomllib.loads(content.decode()), path.resolve().parent)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Unmet(f"the configuration {path} is not TOML: {error}") from error
    except ValueError as error:
        raise Unmet(f"the configuration {path} cannot be used: {error}") from error


def _config(raw: dict[str, Any], base: Path) -> Config:
    _check("", raw)
    listen_host, listen_port = _listen(raw.get("listen", "127.0.0.1:9696"))
    unix_socket = raw.get("unix_socket")
    return Config(
        listen_host=listen_host,
        listen_port=listen_port,
        unix_socket=base / unix_socket if unix_socket else None,
        public_url=_url(raw["public_url"]) if "public_url" in raw else None,
        database=base / raw.get("database", "warren.db"),
        secret_file=base / raw.get("secret_file", "secret"),
        token_lifetime_s=_seconds("token_lifetime_s", raw.get("token_lifetime_s", 3600)),
        agent_down_time_s=_seconds("agent_down_time_s", raw.get("agent_down_time_s", 30.0)),
        keepalive_s=_seconds("keepalive_s", raw.get("keepalive_s", 10.0)),
        request_within_s=_seconds("request_within_s", raw.get("request_within_s", 30.0)),
        offer=_offer(raw),
        directory=_directory(raw),
    )


def _check(where: str, found: Mapping[str, Any], shape_of: str | None = None) -> None:
    shape = _SHAPE[where if shape_of is None else shape_of]
    for name, value in found.items():
        wanted = shape.get(name)
        if wanted is None:
            raise ValueError(f"there is no key `{where}{name}`; known here: {', '.join(shape)}")
        if not isinstance(value, wanted) or (isinstance(value, bool)):
            raise ValueError(f"`{where}{name}` is {value!r}, which is not {_KINDS[wanted]}")


def _named(raw: Mapping[str, Any], table: str) -> dict[str, dict[str, Any]]:
    entries: dict[str, dict[str, Any]] = raw.get(table, {})
    for name, entry in entries.items():
        if not isinstance(entry, dict):
            raise ValueError(f"`{table}.{name}` is {entry!r}, which is not a table")
        _check(f"{table}.{name}.", entry, f"{table}.NAME.")
    return entries


def _seconds(name: str, value: Any) -> Any:
    if not 0 < value <= _MOST_SECONDS:  # not a number is neither
        raise ValueError(f"`{name}` is {value}; it must be more than 0 and at most {_MOST_SECONDS}")
    return value


def _within(name: str, value: int, least: int, most: int) -> int:
    if not least <= value <= most:
        raise ValueError(f"`{name}` is {value}; it must be {least} to {most}")
    return value


def _url(value: str) -> str:
    if not _URL.fullmatch(value):
        raise ValueError(f"`public_url` is '{value}'; it must be http://… or https://…")
    return value.rstrip("/")


def _domain(value: str) -> str:
    if not _DOMAIN.fullmatch(value):
        raise ValueError(f"`dns_domain` is {value!r}; it must be labels of letters, digits and hyphens between dots")
    return value


def _listen(value: str) -> tuple[str, int]:
    host, _, port = value.rpartition(":")
    try:
        return str(IPv4Address("127.0.0.1" if host == "localhost" else host)), _port(port)
    except (AddressValueError, ValueError):
        raise ValueError(f"`listen` is '{value}'; it must be IPV4-ADDRESS:PORT, e.g. 127.0.0.1:9696") from None


def _port(value: str) -> int:
    port = int(value)
    if not 0 <= port <= 65535:
        raise ValueError(f"{port} is no port")
    return port


def _offer(raw: Mapping[str, Any]) -> Offer:
    tunnel = raw.get("tunnel", {})
    _check("tunnel.", tunnel)
    default_type = _word("tunnel.default_type", tunnel.get("default_type", "vxlan"), ("vxlan", "gre"))
    mode = _word("tunnel.mode", tunnel.get("mode", "learning"), tuple(mode.value for mode in TunnelMode))
    deployment = Deployment(
        tunnel_mode=TunnelMode(mode),
        ageing_s=_within("tunnel.ageing_s", tunnel.get("ageing_s", 300), 1, 65535),
        vxlan_port=_within("tunnel.vxlan_port", tunnel.get("vxlan_port", 4789), 1, 65535),
        dns_domain=_domain(raw.get("dns_domain", Deployment().dns_domain)),
    )
    return Offer(
        default_type=NetworkType(default_type),
        segment_ranges={
            NetworkType.VXLAN: _range("tunnel.vxlan_ids", tunnel.get("vxlan_ids", "1-100000"), 2**24 - 1),
            NetworkType.GRE: _range("tunnel.gre_ids", tunnel.get("gre_ids", "1-100000"), 2**32 - 1),
        },
        underlay_mtu=_within("underlay_mtu", raw.get("underlay_mtu", 1500), _LEAST_UNDERLAY_MTU, 65535),
        physical_networks={
            name: PhysicalNetwork(
                name=name,
                mtu=_within(f"physical_networks.{name}.mtu", entry.get("mtu", 1500), _LEAST_MTU, 65535),
            )
            for name, entry in _named(raw, "physical_networks").items()
        },
        deployment=deployment,
    )


def _word(name: str, value: str, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ValueError(f"`{name}` is '{value}'; it must be one of {', '.join(allowed)}")
    return value


def _range(name: str, value: str, most: int) -> tuple[int, int]:
    found = _RANGE.fullmatch(value)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not 1 <= first <= last <= most:
        raise ValueError(f"`{name}` is '{value}'; it must be FIRST-LAST within 1-{most}")
    return first, last


def _directory(raw: Mapping[str, Any]) -> Directory:
    projects = tuple(
        Project(id=entry.get("id", stable_id("project", name)), name=name, description=entry.get("description", ""))
        for name, entry in _named(raw, "projects").items()
    )
    ids = {project.name: project.id for project in projects}
    users = tuple(_user(name, entry, ids) for name, entry in _named(raw, "users").items())
    _check_ids("projects", projects)
    _check_ids("users", users)
    return Directory(users=users, projects=projects)


def _check_ids(table: str, entries: Iterable[Project | User]) -> None:
    """Who has another's id would be the other, as far as a token says."""
    names: dict[str, str] = {}
    for entry in entries:
        if not 1 <= len(entry.id) <= _MOST_ID:
            raise ValueError(f"`{table}.{entry.name}.id` has {len(entry.id)} characters; it must have 1 to {_MOST_ID}")
        if entry.id in names:
            raise ValueError(f"`{table}.{names[entry.id]}` and `{table}.{entry.name}` have the same id '{entry.id}'")
        names[entry.id] = entry.name


def _user(name: str, entry: Mapping[str, Any], project_ids: Mapping[str, str]) -> User:
    if not is_password_hash(entry.get("password_hash", "")):
        raise ValueError(
            f"`users.{name}.password_hash` is missing or none: make one with `warren server hash-password`"
        )
    roles: dict[str, frozenset[str]] = {}
    for project, names in entry.get("roles", {}).items():
        if project not in project_ids:
            raise ValueError(f"`users.{name}.roles` names the project '{project}', which `projects` does not have")
        if not isinstance(names, list) or not all(isinstance(role, str) for role in names):
            raise ValueError(f"`users.{name}.roles.{project}` is {names!r}, which is not a list of role names")
        roles[project_ids[project]] = frozenset(names)
    return User(
        id=entry.get("id", stable_id("user", name)), name=name, password_hash=entry["password_hash"], roles=roles
    )


def starting_text() -> tuple[str, str]:
    """A configuration to start with, and the admin's password, which nothing but its hash is kept of."""
    password = secrets.token_urlsafe(15)
    return _STARTING.format(password_hash=hash_password(password)), password


_STARTING: Final = """\
listen = "127.0.0.1:9696"
database = "warren.db"
secret_file = "secret"
token_lifetime_s = 3600
agent_down_time_s = 30
underlay_mtu = 1500

[tunnel]
mode = "learning"            # learning, l2pop
default_type = "vxlan"       # vxlan, gre
vxlan_ids = "1-100000"
gre_ids = "1-100000"
ageing_s = 300

[physical_networks.public]   # a network outside, that hosts name in their own configuration

[projects.admin]

[users.admin]
password_hash = "{password_hash}"
roles = {{ admin = ["admin"] }}
"""
