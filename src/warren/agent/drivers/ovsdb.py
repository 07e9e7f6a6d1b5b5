"""Bridges, ports and interfaces in Open vSwitch's database, by OVSDB (RFC 7047). The only module that writes there.

Reads everything that matters with one request, writes a plan as one transaction and waits until ovs-vswitchd is done.
Plain JSON-RPC instead of an IDL: every pass reads afresh, so that there is no replica to keep.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

from warren.agent.drivers.jsonrpc import Connection
from warren.core.errors import Rejected, Unreachable
from warren.pipeline.switch import Bridge, Switch, SwitchPort
from warren.pipeline.switch_rows import AccessRow, BridgeRow, Map, PortRow, Row
from warren.reconcile.plan import Plan

DATABASE: Final = "Open_vSwitch"
NONE: Final = ["set", []]
USUAL: Final[Mapping[str, Mapping[str, Any]]] = {
    "Bridge": {
        "controller": NONE,
        "flood_vlans": NONE,
        "mcast_snooping_enable": False,
        "rstp_enable": False,
        "stp_enable": False,
    },
    "Port": {"cvlans": NONE, "protected": False, "trunks": NONE, "vlan_mode": NONE},
}
"""Table -> columns that Warren never sets and that change what frames do, as a new row has them."""
COLUMNS: Final = {
    "Bridge": (
        *("_uuid", "name", "ports", "datapath_type", "fail_mode", "protocols", "other_config", "external_ids"),
        *USUAL["Bridge"],
    ),
    "Port": ("_uuid", "name", "interfaces", "tag", "other_config", "external_ids", *USUAL["Port"]),
    "Interface": ("_uuid", "name", "type", "options", "external_ids", "ofport", "error"),
    "Controller": ("_uuid", "target"),
}
Operation = dict[str, Any]


class Ovsdb:
    """One host's database. Connects when first used and again after the connection broke."""

    def __init__(self, remote: str, timeout_s: float = 10.0) -> None:
        self.remote = remote
        self.timeout_s = timeout_s
        self._connection: Connection | None = None

    def read(self) -> Switch:
        """Every bridge, port and interface, as of one moment.

        Raises:
            Unreachable: no ovsdb-server, or no answer within `timeout_s`.
            Rejected: it does not have the tables of Open vSwitch.
        """
        selects = [
            {"op": "select", "table": table, "where": [], "columns": list(columns)}
            for table, columns in COLUMNS.items()
        ]
        try:
            results = self._transact(selects)
        except Unreachable:
            # The kept connection may have died long ago; whether ovsdb-server is there, only a fresh one tells.
            results = self._transact(selects)
        return read_switch(*(result["rows"] for result in results))

    def apply(self, plan: Plan[str, Row], switch: Switch) -> None:
        """Make all changes of the plan in one transaction, and wait until ovs-vswitchd has carried them out.

        `switch` is what the plan was made against.

        Raises:
            Rejected: the database refused; nothing was changed.
            Unreachable: no ovsdb-server; or the rows are written, but ovs-vswitchd did not act within `timeout_s`.
        """
        if not plan:
            return
        counted: list[Operation] = [
            {"op": "mutate", "table": DATABASE, "where": [], "mutations": [["next_cfg", "+=", 1]]},
            {"op": "select", "table": DATABASE, "where": [], "columns": ["next_cfg"]},
        ]
        results = self._transact([*operations(plan, switch), *counted])
        self._wait_for_vswitchd(results[-1]["rows"][0]["next_cfg"])

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _transact(self, wanted: Iterable[Operation]) -> list[dict[str, Any]]:
        results = self._call("transact", [DATABASE, *wanted])
        for result in results:
            if result is not None and "error" in result:
                raise Rejected(f"{self.remote}: {result['error']}: {result.get('details', '')}")
        return list(results)

    def _wait_for_vswitchd(self, wanted: int) -> None:
        """ovs-vswitchd copies `next_cfg` to `cur_cfg` when it has done what the database said then."""
        deadline = time.monotonic() + self.timeout_s
        reached = self._cur_cfg()
        while reached < wanted:
            left_ms = int(1000 * (deadline - time.monotonic()))
            if left_ms <= 0:
                raise Unreachable(f"{self.remote}: ovs-vswitchd does not act on its database; is it running?")
            reached = self._wait_past(reached, left_ms)

    def _cur_cfg(self) -> int:
        select = {"op": "select", "table": DATABASE, "where": [], "columns": ["cur_cfg"]}
        return int(self._transact([select])[0]["rows"][0]["cur_cfg"])

    def _wait_past(self, reached: int, timeout_ms: int) -> int:
        wait = {
            "op": "wait",
            "table": DATABASE,
            "timeout": timeout_ms,
            "where": [],
            "columns": ["cur_cfg"],
            "until": "!=",
            "rows": [{"cur_cfg": reached}],
        }
        with suppress(Unreachable):  # ovsdb-server 2.15 may not say that the time is over
            self._call("transact", [DATABASE, wait], patience_s=timeout_ms / 1000)
        return self._cur_cfg()

    def _call(self, method: str, parameters: list[Any], patience_s: float = 0.0) -> Any:
        if self._connection is None:
            self._connection = Connection(self.remote, self.timeout_s)
        try:
            self._connection.settimeout(self.timeout_s + patience_s)
            return self._connection.call(method, parameters)
        except Unreachable:
            self.close()
            raise


def read_switch(
    bridges: Iterable[Mapping[str, Any]],
    ports: Iterable[Mapping[str, Any]],
    interfaces: Iterable[Mapping[str, Any]],
    controllers: Iterable[Mapping[str, Any]],
) -> Switch:
    """Rows of the tables, in OVSDB's JSON, as values. Of a bond only the first interface is looked at."""
    targets = {_uuid(row["_uuid"]): row["target"] for row in controllers}
    by_uuid = {_uuid(row["_uuid"]): row for row in interfaces}
    on_bridge = {port: row["name"] for row in bridges for port in _set(row["ports"])}
    found = (
        _port(row, on_bridge[_uuid(row["_uuid"])], by_uuid.get(_set(row["interfaces"])[0], {}))
        for row in ports
        if _uuid(row["_uuid"]) in on_bridge
    )
    return Switch(
        bridges={
            row["name"]: Bridge(
                name=row["name"],
                uuid=_uuid(row["_uuid"]),
                datapath_type=row["datapath_type"],
                fail_mode=next(iter(_set(row["fail_mode"])), ""),
                protocols=frozenset(_set(row["protocols"])),
                other_config=_map(row["other_config"]),
                external_ids=_map(row["external_ids"]),
                strays=_strays("Bridge", row, targets),
            )
            for row in bridges
        },
        ports={port.name: port for port in found},
    )


def _port(port: Mapping[str, Any], bridge: str, interface: Mapping[str, Any]) -> SwitchPort:
    return SwitchPort(
        name=port["name"],
        bridge=bridge,
        uuid=_uuid(port["_uuid"]),
        tag=next(iter(_set(port["tag"])), None),
        other_config=_map(port["other_config"]),
        external_ids=_map(port["external_ids"]),
        strays=_strays("Port", port, {}),
        type=interface.get("type", ""),
        options=_map(interface.get("options")),
        interface_ids=_map(interface.get("external_ids")),
        ofport=next(iter(_set(interface.get("ofport", ["set", []]))), None),
        error=next(iter(_set(interface.get("error", ["set", []]))), ""),
    )


def _set(value: Any) -> list[Any]:
    """RFC 7047, 5.1: a set of one element may be the element alone."""
    elements = value[1] if isinstance(value, list) and value[0] == "set" else [value]
    return [_uuid(element) if isinstance(element, list) else element for element in elements]


def _map(value: Any) -> dict[str, str]:
    return dict(value[1]) if value else {}


def _strays(table: str, row: Mapping[str, Any], targets: Mapping[str, str]) -> dict[str, str]:
    return {
        column: ",".join(targets.get(each, str(each).lower()) for each in _set(row[column]))
        for column, usual in USUAL[table].items()
        if row[column] != usual
    }


def _uuid(value: list[str]) -> str:
    return value[1]


def operations(plan: Plan[str, Row], switch: Switch) -> Iterator[Operation]:
    """A plan as operations of one transaction. Removals come first, so that a port can move to another bridge."""
    for row in plan.remove.values():
        yield from _remove(row, switch)
    moved = [pair for pair in plan.change.values() if _is_moved(*pair)]
    for present, _ in moved:
        yield from _remove(present, switch)
    inserted = [*plan.add.values(), *(desired for _, desired in moved)]
    for number, row in enumerate(sorted(inserted, key=lambda row: not isinstance(row, BridgeRow))):
        yield from _insert(row, number)
    for pair in plan.change.values():
        if not _is_moved(*pair):
            yield from _update(*pair)


def _is_moved(present: Row, desired: Row) -> bool:
    return isinstance(present, PortRow) and isinstance(desired, PortRow) and present.bridge != desired.bridge


def _remove(row: Row, switch: Switch) -> Iterator[Operation]:
    """Bridges, ports and interfaces vanish with the last reference to them."""
    if isinstance(row, PortRow):
        yield _mutate("Bridge", row.bridge, ["ports", "delete", ["uuid", switch.ports[row.name].uuid]])
    elif isinstance(row, BridgeRow):
        gone = ["uuid", switch.bridges[row.name].uuid]
        yield {"op": "mutate", "table": DATABASE, "where": [], "mutations": [["bridges", "delete", gone]]}


def _insert(row: Row, number: int) -> Iterator[Operation]:
    if isinstance(row, BridgeRow):
        local = PortRow(name=row.name, bridge=row.name, type="internal", options=(), external_ids=(), interface_ids=())
        yield from _insert_port(local, number)
        columns = {**_bridge_columns(row), "name": row.name, "ports": ["named-uuid", f"port{number}"]}
        columns |= {"other_config": _ovsdb_map(row.other_config), "external_ids": _ovsdb_map(row.external_ids)}
        yield {"op": "insert", "table": "Bridge", "row": columns, "uuid-name": f"bridge{number}"}
        made = ["bridges", "insert", ["named-uuid", f"bridge{number}"]]
        yield {"op": "mutate", "table": DATABASE, "where": [], "mutations": [made]}
    elif isinstance(row, PortRow):
        yield from _insert_port(row, number)
        yield _mutate("Bridge", row.bridge, ["ports", "insert", ["named-uuid", f"port{number}"]])
    else:
        yield from _update(None, row)


def _insert_port(row: PortRow, number: int) -> Iterator[Operation]:
    interface = {
        "name": row.name,
        "type": row.type,
        "options": _ovsdb_map(row.options),
        "external_ids": _ovsdb_map(row.interface_ids),
    }
    port = {
        "name": row.name,
        "interfaces": ["named-uuid", f"interface{number}"],
        "external_ids": _ovsdb_map(row.external_ids),
    }
    yield {"op": "insert", "table": "Interface", "row": interface, "uuid-name": f"interface{number}"}
    yield {"op": "insert", "table": "Port", "row": port, "uuid-name": f"port{number}"}


def _update(present: Row | None, desired: Row) -> Iterator[Operation]:
    """Only our keys of the maps are written; `options` is ours as a whole."""
    if isinstance(desired, BridgeRow):
        yield _set_columns("Bridge", desired.name, {**_bridge_columns(desired), **USUAL["Bridge"]})
        yield _mutate("Bridge", desired.name, *_put("other_config", desired.other_config))
        yield _mutate("Bridge", desired.name, *_put("external_ids", desired.external_ids))
    elif isinstance(desired, PortRow):
        columns = {"type": desired.type, "options": _ovsdb_map(desired.options)}
        yield _set_columns("Interface", desired.name, columns)
        yield _mutate("Interface", desired.name, *_put("external_ids", desired.interface_ids))
        yield _mutate("Port", desired.name, *_put("external_ids", desired.external_ids))
        if isinstance(present, PortRow) and present.strays:
            yield _set_columns("Port", desired.name, {**USUAL["Port"], "tag": NONE})
    else:
        known = present.other_config if isinstance(present, AccessRow) else ()
        tag = NONE if desired.tag is None else desired.tag
        yield _set_columns("Port", desired.name, {**USUAL["Port"], "tag": tag})
        yield _mutate("Port", desired.name, *_put("other_config", desired.other_config, also_delete=known))


def _bridge_columns(row: BridgeRow) -> dict[str, Any]:
    return {
        "datapath_type": row.datapath_type,
        "fail_mode": ["set", [row.fail_mode] if row.fail_mode else []],
        "protocols": ["set", sorted(row.protocols)],
    }


def _set_columns(table: str, name: str, columns: dict[str, Any]) -> Operation:
    return {"op": "update", "table": table, "where": [["name", "==", name]], "row": columns}


def _mutate(table: str, name: str, *mutations: list[Any]) -> Operation:
    return {"op": "mutate", "table": table, "where": [["name", "==", name]], "mutations": list(mutations)}


def _put(column: str, pairs: Map, also_delete: Map = ()) -> list[list[Any]]:
    """Set keys of a map column: `insert` alone would keep the old value of a key that is there (RFC 7047, 5.1)."""
    keys = sorted({key for key, _ in (*pairs, *also_delete)})
    return [[column, "delete", ["set", keys]], [column, "insert", _ovsdb_map(pairs)]]


def _ovsdb_map(pairs: Map) -> list[Any]:
    return ["map", [list(pair) for pair in pairs]]
