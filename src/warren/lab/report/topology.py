"""The lab drawn: hosts with bridges, instances and namespaces, the underlay, the LAN outside. Pure; SVG text."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

_WIDTH: Final = 250
_GAP: Final = 26
_TOP: Final = 66
_HEIGHT: Final = 250
_LABEL: Final = "The hosts of the lab and what joins them"
_READABLE: Final = 230
"""Pixels for each host, below which the page scrolls rather than shrinks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnHost:
    """A host as it is drawn; `guests` are names of instances and namespaces on br-int."""

    name: str
    vtep: str
    external_ip: str | None
    colour: str
    guests: Sequence[str]

    @property
    def is_network(self) -> bool:
        return self.external_ip is None


def draw(hosts: Sequence[DrawnHost], tunnel: str) -> str:
    """The picture, as wide as there are hosts; never so small that nobody can read it."""
    width = len(hosts) * (_WIDTH + _GAP) + _GAP
    bottom = _TOP + _HEIGHT
    least = len(hosts) * _READABLE
    parts = [
        f'<svg viewBox="0 0 {width} {bottom + 62}" style="min-width:{least}px" role="img" aria-label="{_LABEL}">',
        _bar(_GAP, 8, width - 2 * _GAP, "LAN outside 203.0.113.0/24", "world 203.0.113.1"),
        *(_host(host, _GAP + index * (_WIDTH + _GAP)) for index, host in enumerate(hosts)),
        _bar(_GAP, bottom + 28, width - 2 * _GAP, f"underlay 10.9.0.0/24: {tunnel} tunnels, host to host", ""),
        "</svg>",
    ]
    return "".join(parts)


def colours(names: Sequence[str]) -> Mapping[str, str]:
    """Host -> CSS colour; network hosts have one, compute hosts take turns."""
    computes = [name for name in names if not name.startswith("network")]
    turn = {name: f"var(--c{index % 3 + 1})" for index, name in enumerate(computes)}
    return {name: turn.get(name, "var(--net)") for name in names}


def _bar(x: int, y: int, width: int, left: str, right: str) -> str:
    return (
        f'<rect class="bar" x="{x}" y="{y}" width="{width}" height="28" rx="8"/>'
        f'<text x="{x + 14}" y="{y + 19}">{escape(left)}</text>'
        f'<text class="small" x="{x + width - 14}" y="{y + 18}" text-anchor="end">{escape(right)}</text>'
    )


def _host(host: DrawnHost, x: int) -> str:
    bottom = _TOP + _HEIGHT
    inner = x + 16
    wide = _WIDTH - 32
    middle = x + _WIDTH // 2
    outside = x + _WIDTH - 40
    parts = [
        f'<path class="wire" d="M{outside} 36 V{_TOP}"/><path class="wire" d="M{middle} {bottom} v28"/>',
        f'<rect class="box" x="{x}" y="{_TOP}" width="{_WIDTH}" height="{_HEIGHT}" rx="12"/>',
        f'<rect x="{x}" y="{_TOP}" width="{_WIDTH}" height="5" rx="2" style="fill:{host.colour}"/>',
        f'<text x="{inner}" y="{_TOP + 28}" style="font-weight:600;fill:{host.colour}">{escape(host.name)}</text>',
        f'<text class="small" x="{x + _WIDTH - 12}" y="{_TOP + 27}" text-anchor="end">{escape(_outside(host))}</text>',
        *_guests(host, inner, wide),
        _bridge(inner, _TOP + 108, wide, "br-int", "local VLAN per network"),
        f'<path class="wire" d="M{middle} {_TOP + 142} v18"/>',
        _bridge(inner, _TOP + 160, wide, "br-tun", "tunnel id per network"),
        f'<path class="wire" d="M{middle} {_TOP + 194} V{bottom}"/>',
        f'<text class="small" x="{middle + 8}" y="{bottom - 18}">VTEP {escape(host.vtep)}</text>',
    ]
    return "".join(parts)


def _outside(host: DrawnHost) -> str:
    return "eth1 in br-ex" if host.is_network else f"eth1 {host.external_ip}"


def _guests(host: DrawnHost, x: int, width: int) -> list[str]:
    """Boxes above br-int, each with its wire."""
    if not host.guests:
        return []
    each = (width - 8 * (len(host.guests) - 1)) // len(host.guests)
    parts = []
    for index, guest in enumerate(host.guests):
        left = x + index * (each + 8)
        parts.append(
            f'<path class="wire" d="M{left + each // 2} {_TOP + 76} v32"/>'
            f'<rect class="bridge" x="{left}" y="{_TOP + 46}" width="{each}" height="30" rx="15"/>'
            f'<text x="{left + each // 2}" y="{_TOP + 65}" text-anchor="middle">{escape(guest)}</text>'
        )
    return parts


def _bridge(x: int, y: int, width: int, name: str, what: str) -> str:
    return (
        f'<rect class="bridge" x="{x}" y="{y}" width="{width}" height="34" rx="7"/>'
        f'<text x="{x + 12}" y="{y + 22}" style="font-weight:600">{name}</text>'
        f'<text class="small" x="{x + width - 10}" y="{y + 21}" text-anchor="end">{what}</text>'
    )
