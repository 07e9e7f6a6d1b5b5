"""Output of ovs-vsctl(8), ovs-ofctl(8) `show` and ovs-appctl(8) -> values."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final, TypeAlias

from warren.inspect.snapshot.model import FdbEntry, TunnelNeighbour
from warren.inspect.snapshot.text import LINE_LIMIT_CHARS, Page, mac_of, whole

Cell: TypeAlias = "str | tuple[str, ...] | Mapping[str, str]"
Row: TypeAlias = Mapping[str, Cell]

_TOKEN: Final = re.compile(r'"((?:[^"\\]|\\.)*)"|([{}\[\],=])|([^\s{}\[\],="]+)')
_INTEGER: Final = re.compile(r"-?[0-9]{1,11}")
_DASHES: Final = re.compile(r"-+( -+)*\s*")
_OFCTL_PORT: Final = re.compile(r"^ ([0-9]{1,10}|LOCAL)\(([^)]*)\): addr:([0-9a-f:]+)")
LOCAL_OFPORT: Final = 65534


@dataclass(slots=True)
class ShownBridge:
    """A bridge in `ovs-vsctl show`: its columns, and its interfaces with those of their Port."""

    name: str
    columns: dict[str, str] = field(default_factory=dict)
    interfaces: dict[str, dict[str, Cell]] = field(default_factory=dict)
    """Interface name -> its columns; the Port's under `port` (its name), `tag`, `vlan_mode`."""


def read_show(page: Page) -> tuple[ShownBridge, ...]:
    """`ovs-vsctl show`. Its nesting is by indentation: Bridge, Port, Interface."""
    bridges: list[ShownBridge] = []
    port: dict[str, Cell] = {}
    interface: dict[str, Cell] | None = None
    for number, line in page.lines():
        word, _, rest = line.strip().partition(" ")
        name = rest.strip('"')
        if word == "Bridge":
            bridges.append(ShownBridge(name=name))
            interface = None
            port = {}
        elif word == "Port" and bridges:
            port, interface = {"port": name}, None
        elif word == "Interface" and bridges:
            interface = bridges[-1].interfaces.setdefault(name, dict(port))
        elif word.endswith(":") and bridges:
            value = cell(rest)
            if interface is not None:
                interface[word[:-1]] = value
            elif port:
                port[word[:-1]] = value
            elif isinstance(value, str):
                bridges[-1].columns[word[:-1]] = value
        elif bridges and word not in ("Controller", "Manager"):
            page.complain(number, len(line) - len(line.lstrip()) + 1, "this is not a line of ovs-vsctl show")
    return tuple(bridges)


def read_rows(page: Page) -> tuple[Row, ...]:
    """`ovs-vsctl list TABLE`, as a list (the default), a table or JSON."""
    start = page.text.lstrip()[:1]
    if start == "{":
        return tuple(_json_rows(page))
    second_line = page.text.strip().partition("\n")[2].partition("\n")[0]
    if _DASHES.fullmatch(second_line):
        return tuple(_table_rows(page))
    return tuple(_list_rows(page))


def _list_rows(page: Page) -> Iterator[Row]:
    row: dict[str, Cell] = {}
    for number, line in page.lines():
        column, colon, value = line.partition(":")
        name = column.strip()
        if not colon or not name.isidentifier():
            page.complain(number, 1, "this is not a `column : value` line of ovs-vsctl list")
            continue
        if name in row:
            yield row
            row = {}
        row[name] = cell(value)
    if row:
        yield row


def _table_rows(page: Page) -> Iterator[Row]:
    """Columns are as wide as the dashes below the heading (lib/table.c)."""
    heading = ""
    spans: list[tuple[int, int]] = []
    for _, line in page.lines():
        if spans:
            yield {heading[start:end].strip(): cell(line[start:end]) for start, end in spans}
        elif _DASHES.fullmatch(line):
            starts = [found.start() for found in re.finditer("-+", line)]
            spans = list(zip(starts, [*starts[1:], LINE_LIMIT_CHARS], strict=True))
        else:
            heading = line


def _json_rows(page: Page) -> Iterator[Row]:
    try:
        table = json.loads(page.text)
        heading, rows = list(map(str, table["headings"])), list(table["data"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        page.complain(getattr(error, "lineno", 1), getattr(error, "colno", 1), "this is not the JSON of ovs-vsctl")
        return
    for row in rows:
        if isinstance(row, list) and len(row) == len(heading):
            yield {name: _json_cell(value) for name, value in zip(heading, row, strict=True)}
        else:
            page.complain(1, 1, "a row does not have the columns of its heading")


def _json_cell(value: object) -> Cell:
    """A column in the notation of RFC 7047 section 5.1: an atom, ["set", [...]] or ["map", [[k, v], ...]]."""
    match value:
        case ["set", list(atoms)]:
            return tuple(_json_atom(atom) for atom in atoms)
        case ["map", list(pairs)]:
            return {_json_atom(p[0]): _json_atom(p[1]) for p in pairs if isinstance(p, list) and len(p) == 2}
    return _json_atom(value)


def _json_atom(value: object) -> str:
    if isinstance(value, list) and len(value) == 2:
        return str(value[1])
    return str(value).lower() if isinstance(value, bool) else str(value)


def cell(text: str) -> Cell:
    """A column as ovs-vsctl prints it: `x`, `"x y"`, `[a, b]`, `{k=v, k="w"}`."""
    tokens = [(m.group(2), m.group(3) if m.group(3) is not None else _unquoted(m)) for m in _TOKEN.finditer(text)]
    if not tokens:
        return ""
    opening = tokens[0][0]
    atoms = [(mark, word) for mark, word in tokens[1:-1] if mark != ","]
    if opening == "[":
        return tuple(word for mark, word in atoms if not mark)
    if opening == "{":
        return {
            atoms[i - 1][1]: atoms[i + 1][1]
            for i, (mark, _) in enumerate(atoms)
            if mark == "=" and 0 < i < len(atoms) - 1
        }
    return text.strip() if len(tokens) > 1 else tokens[0][1]


def _unquoted(match: re.Match[str]) -> str:
    return (match.group(1) or "").replace('\\"', '"').replace("\\\\", "\\")


def text_of(row: Row, column: str) -> str:
    """A column that holds one word or nothing."""
    value = row.get(column, "")
    return value if isinstance(value, str) else (value[0] if isinstance(value, tuple) and value else "")


def number_of(row: Row, column: str) -> int | None:
    text = text_of(row, column)
    return int(text) if _INTEGER.fullmatch(text) else None


def numbers_of(row: Row, column: str) -> frozenset[int]:
    """A column that holds a set of numbers."""
    value = row.get(column, ())
    words = value if isinstance(value, tuple) else (value,) if isinstance(value, str) else ()
    return frozenset(int(word) for word in words if word.isdecimal() and len(word) < 12)


def map_of(row: Row, column: str) -> Mapping[str, str]:
    value = row.get(column, "")
    return MappingProxyType(dict(value)) if isinstance(value, Mapping) else MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownPort:
    """A port in `ovs-ofctl show`."""

    ofport: int
    name: str
    mac: str
    config: frozenset[str] = frozenset()
    """`PORT_DOWN`, `NO_RECV`, `NO_FWD`, `NO_FLOOD` and so on."""


def read_ofctl_show(page: Page) -> tuple[ShownPort, ...]:
    """`ovs-ofctl show` or `dump-ports-desc`."""
    ports: list[ShownPort] = []
    for _, line in page.lines():
        if found := _OFCTL_PORT.match(line):
            number, name, mac = found.groups()
            ofport = LOCAL_OFPORT if number == "LOCAL" else int(number)
            ports.append(ShownPort(ofport=ofport, name=name, mac=mac_of(mac)))
        elif line.lstrip().startswith("config:") and ports:
            ports[-1] = replace(ports[-1], config=frozenset(line.split()[1:]) - {"0"})
    if not ports and page.text.strip() and "OFPST_PORT_DESC" not in page.text and "OFPT_FEATURES" not in page.text:
        page.complain(1, 1, "this is not the output of ovs-ofctl show")
    return tuple(ports)


def read_fdb(page: Page) -> tuple[FdbEntry, ...]:
    """`ovs-appctl fdb/show`. Its heading begins with `port`, from Open vSwitch 4.0 on with `Port`."""
    entries = []
    for number, line in page.lines():
        words = line.split()
        if line.lower().split() == ["port", "vlan", "mac", "age"]:
            continue
        vlan = whole(words[1]) if len(words) == 4 else None
        if vlan is None or not mac_of(words[2]):
            page.complain(number, 1, "this is not a line of fdb/show")
            continue
        ofport = LOCAL_OFPORT if words[0] == "LOCAL" else whole(words[0])
        entries.append(FdbEntry(ofport=ofport, vlan=vlan, mac=mac_of(words[2]), age_s=whole(words[3])))
    return tuple(entries)


def read_tunnel_neighbours(page: Page) -> tuple[TunnelNeighbour, ...]:
    """`ovs-appctl tnl/neigh/show` (`tnl/arp/show` before 2.6)."""
    entries = []
    for number, line in page.lines():
        words = line.split()
        if words[0] == "IP" or set(line.strip()) == {"="}:
            continue
        if len(words) >= 3 and mac_of(words[1]):
            entries.append(TunnelNeighbour(ip=words[0], mac=mac_of(words[1]), bridge=words[2]))
        else:
            page.complain(number, 1, "this is not a line of tnl/neigh/show")
    return tuple(entries)
