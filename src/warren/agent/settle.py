"""Plan, say, apply, read back: what every stage does with its part of the host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from warren.core.errors import Rejected
from warren.reconcile.plan import Plan

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement(Generic[K, V]):
    """What was done and what is left. `left` is empty exactly when the host was read back as desired."""

    planned: Plan[K, V]
    left: Plan[K, V]
    failed: Mapping[K, str]

    @property
    def changes(self) -> int:
        """How many things are right now that were not."""
        return max(0, len(self.planned) - len(self.left))

    @property
    def stuck(self) -> Plan[K, V]:
        """What is left of what was planned. The rest of `left` is new: somebody changed it meanwhile."""
        tried = {*self.planned.add, *self.planned.change, *self.planned.remove}
        return Plan(
            add={key: value for key, value in self.left.add.items() if key in tried},
            change={key: pair for key, pair in self.left.change.items() if key in tried},
            remove={key: value for key, value in self.left.remove.items() if key in tried},
        )


def seen_right(desired: Mapping[K, V], stuck: Plan[K, V]) -> Mapping[K, V]:
    """What is known of the host after it was read back: what is desired, but for what could not be made so.

    A thing that should go and stays is known as it is: trying again to remove it is no news.
    """
    if not stuck:
        return desired
    right = {key: value for key, value in desired.items() if key not in stuck.add and key not in stuck.change}
    return {**right, **stuck.remove}


def settle(
    difference: Callable[[], Plan[K, V]],
    apply: Callable[[Plan[K, V]], Mapping[K, str]],
    say: Callable[[Plan[K, V]], None],
    *,
    is_dry: bool,
) -> Settlement[K, V]:
    """Apply what differs and read back.

    Args:
        difference: reads the host and compares it with what is desired.
        apply: carries a plan out as far as possible; what failed and why, by key.
        say: tells the log what is about to change.
        is_dry: apply nothing.
    """
    planned = difference()
    if not planned:
        return Settlement(planned=planned, left=planned, failed={})
    say(planned)
    if is_dry:
        return Settlement(planned=planned, left=planned, failed={})
    failed = apply(planned)
    return Settlement(planned=planned, left=difference(), failed=failed)


def apply_apart(changes: Plan[K, V], apply: Callable[[Plan[K, V]], None], owner: Callable[[K, V], str]) -> dict[K, str]:
    """Apply a plan at once or, if that is refused, owner by owner, so that one owner's mistake stops no other.

    Raises:
        Unreachable: as `apply`; nothing or an unknown part was applied.
    """
    try:
        apply(changes)
    except Rejected as refused:
        parts = _by_owner(changes, owner)
        if len(parts) == 1:
            return dict.fromkeys(_keys(changes), str(refused))
        return {key: why for part in parts for key, why in apply_apart(part, apply, owner).items()}
    return {}


def _by_owner(changes: Plan[K, V], owner: Callable[[K, V], str]) -> list[Plan[K, V]]:
    parts: dict[str, tuple[dict[K, V], dict[K, tuple[V, V]], dict[K, V]]] = {}
    for key, value in changes.remove.items():
        parts.setdefault("", ({}, {}, {}))[2][key] = value
    for key, value in changes.add.items():
        parts.setdefault(owner(key, value), ({}, {}, {}))[0][key] = value
    for key, pair in changes.change.items():
        parts.setdefault(owner(key, pair[1]), ({}, {}, {}))[1][key] = pair
    return [Plan(add=add, change=change, remove=remove) for add, change, remove in parts.values()]


def _keys(changes: Plan[K, V]) -> list[K]:
    return [*changes.add, *changes.change, *changes.remove]
