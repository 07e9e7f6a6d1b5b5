"""The agent's configuration file: TOML in, one frozen value out, or one sentence that says what to change.

Owns the names, types and defaults of every key (documented in docs/design/architecture.md). Reads no file but the one
it is given.
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, NetmaskValueError
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from warren.core.errors import Invalid
from warren.core.ids import HostName
from warren.core.names import INTEGRATION_BRIDGE, TUNNEL_BRIDGE, UNDERLAY_BRIDGE
from warren.core.roles import COMPUTE_ROLE, ROLES, is_host_name
from warren.core.state import NetworkType, Plug

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")
D = TypeVar("D")
DATAPATH_TYPES: Final = ("auto", "system", "netdev")
INTERFACE_NAME_MAX: Final = 15
OWN_BRIDGES: Final = (INTEGRATION_BRIDGE, TUNNEL_BRIDGE, UNDERLAY_BRIDGE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """Where the server is, and the file that holds this host's token."""

    url: str
    token_file: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelConfig:
    """This host's tunnel endpoint."""

    local_ip: IPv4Interface
    types: tuple[NetworkType, ...]
    interface: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OvsConfig:
    """The Open vSwitch that the agent works on."""

    db: str
    datapath_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PhysicalNetwork:
    """A network outside, by the bridge that leads to it."""

    name: str
    bridge: str
    interface: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    """All that an agent is told by its host; everything else comes from the server."""

    host: HostName
    roles: tuple[str, ...]
    state_dir: Path
    plug: Plug
    audit_interval_s: float
    report_interval_s: float
    server: ServerConfig
    tunnel: TunnelConfig
    ovs: OvsConfig
    physical_networks: tuple[PhysicalNetwork, ...]
    metrics_listen: tuple[str, int] | None

    @property
    def bridge_mappings(self) -> dict[str, str]:
        """Physical network -> bridge."""
        return {network.name: network.bridge for network in self.physical_networks}


def read_config(path: Path) -> AgentConfig:
    """The configuration in a file.

    Raises:
        Invalid: the file cannot be read, or a key is missing, unknown or has a wrong value; the message names it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Invalid("BadConfiguration", f"the configuration {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise Invalid("BadConfiguration", f"the configuration {path} is not UTF-8 text: {error}") from error
    return parse_config(text, str(path))


def parse_config(text: str, origin: str) -> AgentConfig:
    """The configuration in a TOML text; `origin` names it in errors.

    Raises:
        Invalid: as `read_config`.
    """
    try:
        root = Table(tomllib.loads(text), origin, "")
    except tomllib.TOMLDecodeError as error:
        raise Invalid("BadConfiguration", f"{origin} is not TOML: {error}") from error
    server, tunnel, ovs, metrics = (root.table(name) for name in ("server", "tunnel", "ovs", "metrics"))
    physical = root.table("physical_networks")
    config = AgentConfig(
        host=HostName(root.required("host", _word)),
        roles=root.optional("roles", _some_of(ROLES), (COMPUTE_ROLE,)),
        state_dir=root.optional("state_dir", _absolute_path, Path("/var/lib/warren")),
        plug=Plug(root.optional("plug", _one_of(("hybrid", "ovs")), "hybrid")),
        audit_interval_s=root.optional("audit_interval_s", _seconds, 60.0),
        report_interval_s=root.optional("report_interval_s", _seconds, 10.0),
        server=ServerConfig(
            url=server.required("url", _url),
            token_file=server.optional("token_file", _absolute_path, None),
        ),
        tunnel=TunnelConfig(
            local_ip=tunnel.required("local_ip", _endpoint),
            types=tuple(map(NetworkType, tunnel.optional("types", _some_of(("vxlan", "gre")), ("vxlan", "gre")))),
            interface=tunnel.optional("interface", _interface, None),
        ),
        ovs=OvsConfig(
            db=ovs.optional("db", _ovsdb, "unix:/run/openvswitch/db.sock"),
            datapath_type=ovs.optional("datapath_type", _one_of(DATAPATH_TYPES), "auto"),
        ),
        physical_networks=tuple(_physical_network(name, physical.table(name)) for name in sorted(physical.keys())),
        metrics_listen=metrics.optional("listen", _loopback, None),
    )
    for table in (server, tunnel, ovs, metrics, physical, root):
        table.refuse_what_is_left()
    return config


class Table:
    """One table of the file, taken apart key by key; what is left over was not understood."""

    def __init__(self, values: Mapping[str, object], origin: str, path: str) -> None:
        self._left = dict(values)
        self._known: list[str] = []
        self._origin = origin
        self._path = path

    def keys(self) -> tuple[str, ...]:
        return tuple(self._left)

    def table(self, key: str) -> "Table":
        """The table under a key; an empty one where there is none."""
        self._known.append(key)
        values = self._left.pop(key, {})
        if not isinstance(values, dict):
            raise self._error(key, f"must be a table ([{self._path}{key}] with keys below it), not {values!r}")
        return Table(values, self._origin, f"{self._path}{key}.")

    def required(self, key: str, parse: Callable[[object], T]) -> T:
        """The parsed value of a key.

        Raises:
            Invalid: no such key, or its value is not what `parse` wants.
        """
        self._known.append(key)
        if key not in self._left:
            raise self._error(key, "is missing: add it")
        value = self._left.pop(key)
        try:
            return parse(value)
        except ValueError as error:
            raise self._error(key, f"must be {error}, not {value!r}") from error

    def optional(self, key: str, parse: Callable[[object], T], default: D) -> T | D:
        """As `required`, but a missing key has a default."""
        if key in self._left:
            return self.required(key, parse)
        self._known.append(key)
        return default

    def refuse_what_is_left(self) -> None:
        """Raise `Invalid` for the first key that nothing asked for."""
        for key in self._left:
            near = get_close_matches(key, self._known, n=1)
            mend = f"did you mean {near[0]!r}?" if near else f"the keys here are {', '.join(sorted(self._known))}"
            raise self._error(key, f"is not a key of the configuration: {mend}")

    def _error(self, key: str, sentence: str) -> Invalid:
        return Invalid("BadConfiguration", f"{self._origin}: {self._path}{key} {sentence}")


def _physical_network(name: str, table: Table) -> PhysicalNetwork:
    network = PhysicalNetwork(
        name=name,
        bridge=table.required("bridge", _bridge),
        interface=table.optional("interface", _interface, None),
    )
    table.refuse_what_is_left()
    return network


# Each parser below raises ValueError with what the value must be: "<key> must be <that>, not <value>".


def _word(value: object) -> str:
    if isinstance(value, str) and is_host_name(value):
        return value
    raise ValueError("a name without spaces and slashes")


def _seconds(value: object) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value < float("inf"):
        return float(value)
    raise ValueError("a number of seconds above 0")


def _one_of(choices: tuple[str, ...]) -> Callable[[object], str]:
    def parse(value: object) -> str:
        if isinstance(value, str) and value in choices:
            return value
        raise ValueError(f"one of {', '.join(choices)}")

    return parse


def _some_of(choices: tuple[str, ...]) -> Callable[[object], tuple[str, ...]]:
    def parse(value: object) -> tuple[str, ...]:
        if isinstance(value, list) and value and all(item in choices for item in value):
            return tuple(dict.fromkeys(value))
        raise ValueError(f"a list of some of {', '.join(choices)}")

    return parse


def _absolute_path(value: object) -> Path:
    if isinstance(value, str) and value.startswith("/"):
        return Path(value)
    raise ValueError("an absolute path")


def _interface(value: object) -> str:
    if isinstance(value, str) and 0 < len(value) <= INTERFACE_NAME_MAX and not set(value) & set("/ \t"):
        return value
    raise ValueError(f"an interface's name of at most {INTERFACE_NAME_MAX} characters")


def _bridge(value: object) -> str:
    if value in OWN_BRIDGES:
        raise ValueError(f"another bridge than Warren's own ({', '.join(sorted(OWN_BRIDGES))})")
    return _interface(value)


def _url(value: object) -> str:
    if isinstance(value, str) and _is_url(value):
        return value.rstrip("/")
    raise ValueError("a URL like http://10.0.0.1:9696, https://… or unix:///run/warren/agents.sock")


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets without an end, a port that is no number or too large
        return False
    return (parts.scheme in {"http", "https"} and has_host) or (parts.scheme == "unix" and bool(parts.path))


def _ovsdb(value: object) -> str:
    if isinstance(value, str) and value.partition(":")[0] in {"unix", "tcp"} and value.partition(":")[2]:
        return value
    raise ValueError("an OVSDB connection like unix:/run/openvswitch/db.sock")


def _endpoint(value: object) -> IPv4Interface:
    wanted = "an IPv4 address with its prefix length, like 10.9.0.2/24"
    if not isinstance(value, str) or "/" not in value:
        raise ValueError(wanted)
    try:
        return IPv4Interface(value)
    except (AddressValueError, NetmaskValueError) as error:
        raise ValueError(wanted) from error


def _loopback(value: object) -> tuple[str, int]:
    address, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    try:
        if IPv4Address(address).is_loopback and 0 < int(port) < 65536:
            return address, int(port)
    except ValueError:
        pass
    raise ValueError("a loopback address and port, like 127.0.0.1:9697")
