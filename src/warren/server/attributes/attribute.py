"""What an attribute table is made of, and how a request's body is read by one.

UNSET is a value of its own: a client that leaves `gateway_ip` out and one that says null want different things. Pure.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, TypeAlias

from warren.core.errors import Forbidden, Invalid
from warren.server.policy import Caller
from warren.server.snapshot import Snapshot


class Unset(Enum):
    """The type of UNSET: the client did not say."""

    UNSET = "unset"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset.UNSET


class Required(Enum):
    """The type of REQUIRED: an attribute without a default."""

    REQUIRED = "required"


REQUIRED: Final = Required.REQUIRED

Asked: TypeAlias = Mapping[str, Any]
"""Attribute -> parsed value, for every attribute of the table that a create or update may have."""

Show: TypeAlias = Callable[[Snapshot, Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of a resource, as clients send and see it."""

    on_create: bool = False
    on_update: bool = False
    parse: Callable[[Any], Any] | None = None
    """Raises ValueError with the reason if the value cannot be taken."""
    default: Any = UNSET
    set_by_admin: bool = False
    """Only an administrator may set it (403 otherwise); saying in a create what leaving it out means sets nothing."""
    shown_to_admin: bool = False
    """Only an administrator sees it."""
    show: str | Show = ""
    """Field of the stored resource (default: the attribute's own name), or how to read it."""
    filterable: bool = True
    sortable: bool = False


Table: TypeAlias = Mapping[str, Attribute]


def on_create(table: Table, body: Any, caller: Caller) -> Asked:
    """Every attribute that a create may have, parsed or by default.

    Raises:
        Invalid: unknown, not allowed, missing or unreadable attribute.
        Forbidden: an attribute that the caller may not set.
    """
    given = _given(table, body, caller, "POST", lambda attribute: attribute.on_create)
    asked = {name: given.get(name, attribute.default) for name, attribute in table.items() if attribute.on_create}
    for name, value in asked.items():
        if value is REQUIRED:
            raise Invalid("HTTPBadRequest", f"Failed to parse request. Required attribute '{name}' not specified.")
    return asked


def on_update(table: Table, body: Any, caller: Caller) -> Asked:
    """Only the attributes that the client sent, parsed.

    Raises:
        Invalid: unknown, not allowed or unreadable attribute.
        Forbidden: an attribute that the caller may not set.
    """
    return _given(table, body, caller, "PUT", lambda attribute: attribute.on_update)


def _given(
    table: Table, body: Any, caller: Caller, method: str, is_allowed: Callable[[Attribute], bool]
) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise Invalid("HTTPBadRequest", "Resource body required.")
    if unknown := sorted(set(body) - set(table) - {"tenant_id"}):
        raise Invalid("HTTPBadRequest", f"Unrecognized attribute(s) '{', '.join(map(str, unknown))}'.")
    if "tenant_id" in body:
        body = {**body, "project_id": body.get("project_id", body["tenant_id"])}
        del body["tenant_id"]
    return {name: _value(name, table[name], value, caller, method, is_allowed) for name, value in body.items()}


def _value(
    name: str, attribute: Attribute, value: Any, caller: Caller, method: str, is_allowed: Callable[[Attribute], bool]
) -> Any:
    if not is_allowed(attribute):
        raise Invalid("HTTPBadRequest", f"Attribute '{name}' not allowed in {method}.")
    try:
        parsed = attribute.parse(value) if attribute.parse else value
    except ValueError as error:
        raise Invalid("HTTPBadRequest", f"Invalid input for {name}. Reason: {error}.") from None
    is_set = method == "PUT" or parsed != attribute.default
    if attribute.set_by_admin and is_set and not caller.is_admin:
        raise Forbidden("PolicyNotAuthorized", f"rule:{name} is disallowed by policy: it needs the admin role.")
    return parsed


def shown(table: Table, now: Snapshot, resource: Any, caller: Caller, fields: frozenset[str]) -> dict[str, Any]:
    """A resource as the client sees it: all it may see, or of these only `fields`."""
    return {
        name: read(attribute, name, now, resource)
        for name, attribute in table.items()
        if (not fields or name in fields) and (caller.is_admin or not attribute.shown_to_admin)
    }


def read(attribute: Attribute, name: str, now: Snapshot, resource: Any) -> Any:
    """One attribute's value, as it is shown."""
    if isinstance(attribute.show, str):
        return getattr(resource, attribute.show or name)
    return attribute.show(now, resource)
