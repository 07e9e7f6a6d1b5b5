"""What a commit decided, as lines for the log: one for each resource, with what an operator asks about. Pure."""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

from warren.server import model
from warren.server.snapshot import Change, Snapshot

Line: TypeAlias = tuple[str, Mapping[str, Any]]
"""Event name and fields."""


def narrate(before: Snapshot, after: Snapshot, change: Change) -> Iterator[Line]:
    """A line for each resource that was made, changed or deleted; for ports and routers, what became of them."""
    for key in change.values:
        old, new = before.at(key), after.at(key)
        verb = "created" if old is None else "deleted" if new is None else "changed"
        fields: dict[str, Any] = {"id": key.id}
        if isinstance(new, model.Port):
            fields |= _port(old if isinstance(old, model.Port) else None, new)
        elif isinstance(new, model.Router | model.FloatingIp):
            fields |= _differences(old, new, "host", "status", "reason")
        elif isinstance(new, model.Host):
            fields |= _differences(old, new, "vtep_ip", "roles", "plug", "errors")
        yield f"{key.kind}.{verb}", fields


def _port(old: model.Port | None, new: model.Port) -> dict[str, Any]:
    fields = _differences(old, new, "host", "vif_type", "status", "reason")
    return fields if old else {"network": new.network_id, **fields}


def _differences(old: Any, new: Any, *names: str) -> dict[str, Any]:
    """The named fields that differ and say something."""
    values = {name: getattr(new, name, None) for name in names}
    return {name: value for name, value in values.items() if getattr(old, name, None) != value and (old or value)}
