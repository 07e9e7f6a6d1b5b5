"""Parsers of attribute values. Each takes what JSON gave and returns the value, or raises ValueError with the reason.

Reasons are worded as Networking API clients know them. Pure.
"""

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any, Final

from warren.core.ids import MacAddress
from warren.core.state import AddressPair, Route
from warren.server.model import Pool

Parser = Callable[[Any], Any]

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_MAC: Final = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_TRUE: Final = {"true", "1", "yes", "on", "t", "y"}
_FALSE: Final = {"false", "0", "no", "off", "f", "n"}


def text(most: int) -> Parser:
    """A string of at most `most` characters."""

    def parse(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"'{value}' is not a valid string")
        if len(value) > most:
            raise ValueError(f"'{value[:32]}…' exceeds maximum length of {most}")
        if "\x00" in value or any(0xD800 <= ord(char) <= 0xDFFF for char in value):
            raise ValueError("the string has characters that cannot be stored")
        return value

    return parse


def boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    raise ValueError(f"'{value}' cannot be converted to boolean")


def integer(least: int, most: int) -> Parser:
    def parse(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError(f"'{value}' is not an integer")
        try:
            number = int(value)
        except ValueError:
            raise ValueError(f"'{value}' is not an integer") from None
        if not least <= number <= most:
            raise ValueError(f"'{value}' is not in range {least} to {most}")
        return number

    return parse


def one_of(*allowed: Any) -> Parser:
    def parse(value: Any) -> Any:
        if value not in allowed:
            raise ValueError(f"'{value}' is not in {list(allowed)}")
        return value

    return parse


def absent_feature(value: Any) -> bool:
    """A flag of something that is not built: it may be said to be off."""
    if value is not None and boolean(value):
        raise ValueError("this is not supported here")
    return False


def or_null(parser: Parser) -> Parser:
    return lambda value: None if value is None else parser(value)


def uuid(value: Any) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value.lower()):
        raise ValueError(f"'{value}' is not a valid UUID")
    return value.lower()


def mac(value: Any) -> MacAddress:
    """A unicast MAC address that is not all zero, in lower case."""
    word = str(value).lower().replace("-", ":")
    if not _MAC.fullmatch(word) or int(word[:2], 16) & 1 or word == "00:00:00:00:00:00":
        raise ValueError(f"'{value}' is not a valid MAC address")
    return MacAddress(word)


def address(value: Any) -> str:
    """An IPv4 address in its canonical spelling."""
    try:
        return str(IPv4Address(value if isinstance(value, str) else ""))
    except AddressValueError:
        raise ValueError(f"'{value}' is not a valid IPv4 address") from None


def prefix(value: Any) -> str:
    """An IPv4 prefix in its canonical spelling; host bits are cut, a plain address is a /32."""
    try:
        return str(IPv4Network(value if isinstance(value, str) else "", strict=False))
    except ValueError:
        raise ValueError(f"'{value}' is not a valid IPv4 subnet") from None


def exact_prefix(value: Any) -> str:
    """An IPv4 prefix as it is written canonically: other spellings are taken for a slip."""
    spelled = prefix(value)
    if spelled != value:
        raise ValueError(f"'{value}' is not spelled as a subnet is: write {spelled}, if you mean that")
    return spelled


def list_of(parser: Parser, most: int = 1000) -> Parser:
    """A list whose items are all different, as a tuple."""

    def parse(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise ValueError(f"'{value}' is not a list")
        if len(value) > most:
            raise ValueError(f"the list has {len(value)} items, more than {most}")
        items = tuple(parser(item) for item in value)
        if any(item in items[:number] for number, item in enumerate(items)):
            raise ValueError(f"Duplicate items in the list: '{value}'")
        return items

    return parse


def members(value: Any, required: dict[str, Parser], optional: dict[str, Parser] | None = None) -> dict[str, Any]:
    """An object with exactly these members, parsed."""
    optional = optional or {}
    if not isinstance(value, dict):
        raise ValueError(f"'{value}' is not a dictionary")
    if unknown := sorted(str(name) for name in value if name not in required and name not in optional):
        raise ValueError(f"unexpected keys: {', '.join(unknown)}")
    if missing := sorted(name for name in required if name not in value):
        raise ValueError(f"required keys are missing: {', '.join(missing)}")
    return {name: (required.get(name) or optional[name])(item) for name, item in value.items()}


def pool(value: Any) -> Pool:
    found = members(value, {"start": address, "end": address})
    if IPv4Address(found["start"]) > IPv4Address(found["end"]):
        raise ValueError(f"the pool's start {found['start']} is after its end {found['end']}")
    return Pool(**found)


def route(value: Any) -> Route:
    return Route(**members(value, {"destination": prefix, "nexthop": address}))


def fixed_ip(value: Any) -> tuple[str | None, str | None]:
    """(subnet id, address), at least one of them."""
    found = members(value, {}, {"subnet_id": or_null(uuid), "ip_address": or_null(address)})
    wanted = (found.get("subnet_id"), found.get("ip_address"))
    if wanted == (None, None):
        raise ValueError("a fixed IP needs a subnet_id or an ip_address")
    return wanted


def address_pair(value: Any) -> AddressPair:
    """An allowed address pair; without a MAC address its own is "" and the port's is meant."""
    found = members(value, {"ip_address": prefix}, {"mac_address": or_null(mac)})
    ip_address = found["ip_address"].removesuffix("/32")
    return AddressPair(mac_address=found.get("mac_address") or MacAddress(""), ip_address=ip_address)


def free_object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"'{value}' is not a dictionary")
    return value


def gateway(value: Any) -> dict[str, Any]:
    """`external_gateway_info`: an empty object takes the gateway away."""
    if not value:
        return {}
    return members(
        value,
        {"network_id": uuid},
        {"enable_snat": boolean, "external_fixed_ips": list_of(fixed_ip)},
    )
