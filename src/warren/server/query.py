"""List calls: filters, fields, sorting and paging as the Networking API has them. Pure.

A filter given several times means any of its values. An attribute that a client may not see cannot be filtered by
either: that would tell.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from warren.core.errors import Invalid, NotFound
from warren.server.attributes.attribute import Table, read
from warren.server.policy import Caller
from warren.server.snapshot import Snapshot

_MOST_DIGITS: Final = 18
"""Of a number in a query: none here is larger, and Python reads none of more than 4,300 digits."""
_PART: Final = "_substr"
"""`ip_address_substr=10.0`: a part of the member's value."""
_PAGING: Final = frozenset({"fields", "sort_key", "sort_dir", "limit", "marker", "page_reverse"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What a list call asked for."""

    filters: tuple[tuple[str, frozenset[str]], ...] = ()
    fields: frozenset[str] = frozenset()
    sort: tuple[tuple[str, bool], ...] = ()
    """(attribute, descending), the first decides first."""
    limit: int | None = None
    marker: str | None = None
    is_reversed: bool = False


def parse_query(table: Table, parameters: Iterable[tuple[str, str]], caller: Caller) -> Query:
    """The query string, checked against the resource's table.

    Raises:
        Invalid: an attribute that is not there, cannot be sorted or filtered by; a limit that is no number.
    """
    given: dict[str, list[str]] = {}
    for name, value in parameters:
        given.setdefault(name, []).append(value)
    filters = []
    for name in given.keys() - _PAGING:
        attribute = table.get(name)
        if attribute is None or not attribute.filterable or (attribute.shown_to_admin and not caller.is_admin):
            raise Invalid("HTTPBadRequest", f"['{name}'] is invalid attribute for filtering")
        filters.append((name, frozenset(given[name])))
    return Query(
        filters=tuple(sorted(filters, key=lambda one: one[0])),
        fields=frozenset(given.get("fields", ())),
        sort=_sort(table, given.get("sort_key", []), given.get("sort_dir", []), caller),
        limit=_limit(given.get("limit", ["0"])[-1]),
        marker=given.get("marker", [""])[-1] or None,
        is_reversed=given.get("page_reverse", [""])[-1].lower() == "true",
    )


def whole(text: str) -> int | None:
    """A number of a query, 0 or greater; None for anything else."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS else None


def _limit(value: str) -> int | None:
    number = whole(value)
    if number is None:
        raise Invalid("HTTPBadRequest", f"Limit must be an integer 0 or greater and not '{value}'.")
    return number or None


def _sort(table: Table, keys: Sequence[str], directions: Sequence[str], caller: Caller) -> tuple[tuple[str, bool], ...]:
    if directions and len(keys) != len(directions):
        raise Invalid("HTTPBadRequest", "The number of sort_keys and sort_dirs must be same.")
    for key in keys:
        attribute = table.get(key)
        if attribute is None or not attribute.sortable or (attribute.shown_to_admin and not caller.is_admin):
            raise Invalid("HTTPBadRequest", f"['{key}'] is invalid attribute for sort_keys")
    for direction in directions:
        if direction not in ("asc", "desc"):
            raise Invalid("HTTPBadRequest", "Sort direction must be 'asc' or 'desc'.")
    return tuple(zip(keys, (direction == "desc" for direction in directions or ["asc"] * len(keys)), strict=True))


@dataclass(frozen=True, slots=True)
class Page:
    """What a list call answers: the resources, and the parameters of the next and previous page where there is one."""

    resources: Sequence[Any]
    has_next: bool = False
    has_previous: bool = False


def select(now: Snapshot, table: Table, resources: Iterable[Any], query: Query) -> Page:
    """The resources that the query means, in its order, one page of them.

    Raises:
        NotFound: the marker names none of them.
    """
    found = [resource for resource in resources if _matches(now, table, resource, query)]
    if query.sort or query.limit or query.marker:
        found.sort(key=lambda resource: str(resource.id))
        for name, is_descending in reversed(query.sort):
            found.sort(key=lambda resource: _order(read(table[name], name, now, resource)), reverse=is_descending)
    return _page(found, query)


def _page(found: list[Any], query: Query) -> Page:
    start, end = 0, len(found)
    if query.marker:
        position = next((number for number, one in enumerate(found) if one.id == query.marker), None)
        if position is None:
            raise NotFound("MarkerNotFound", f"The marker {query.marker} could not be found.")
        start, end = (0, position) if query.is_reversed else (position + 1, end)
    if query.limit:
        start, end = (
            (max(start, end - query.limit), end) if query.is_reversed else (start, min(end, start + query.limit))
        )
    return Page(found[start:end], bool(query.limit) and end < len(found), bool(query.limit) and start > 0)


def _order(value: Any) -> tuple[int, Any]:
    """Values of one attribute in an order: nulls first, numbers as numbers, the rest as text."""
    if value is None:
        return (0, "")
    if isinstance(value, int):
        return (1, value)
    return (2, str(value))


def _matches(now: Snapshot, table: Table, resource: Any, query: Query) -> bool:
    return all(_has(read(table[name], name, now, resource), wanted) for name, wanted in query.filters)


def _has(value: Any, wanted: frozenset[str]) -> bool:
    if isinstance(value, bool):
        return any(word.lower() in (("true", "1") if value else ("false", "0")) for word in wanted)
    if isinstance(value, list | tuple):
        return any(_is_item(item, wanted) for item in value)
    if value is None:
        return "" in wanted or "None" in wanted
    return str(value) in wanted


def _is_item(item: Any, wanted: frozenset[str]) -> bool:
    """One of the values; of an object, each member that is named (`fixed_ips=ip_address=10.0.0.5`) one of its own."""
    if not isinstance(item, dict):
        return str(item) in wanted
    members: dict[str, list[str]] = {}
    for name, _, value in (word.partition("=") for word in wanted):
        members.setdefault(name, []).append(value)
    return all(_has_member(item, name, values) for name, values in members.items())


def _has_member(item: dict[str, Any], name: str, values: list[str]) -> bool:
    if name.endswith(_PART):
        return any(value in str(item.get(name.removesuffix(_PART), "")) for value in values)
    return name in item and str(item[name]) in values


def page_links(url: str, parameters: Sequence[tuple[str, str]], page: Page) -> list[dict[str, str]]:
    """`<collection>_links`: where the next and the previous page are."""
    kept = [(name, value) for name, value in parameters if name not in ("marker", "page_reverse")]
    links = []
    if page.resources and page.has_next:
        links.append({"rel": "next", "href": f"{url}?{urlencode([*kept, ('marker', page.resources[-1].id)])}"})
    if page.resources and page.has_previous:
        back = [*kept, ("marker", page.resources[0].id), ("page_reverse", "True")]
        links.append({"rel": "previous", "href": f"{url}?{urlencode(back)}"})
    return links
