"""What has to change so that what is there becomes what should be."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Generic[K, V]):
    """Changes that turn `installed` into `desired`. Empty exactly when they already agree.

    `change` maps a key to (installed, desired).
    """

    add: Mapping[K, V]
    change: Mapping[K, tuple[V, V]]
    remove: Mapping[K, V]

    def __bool__(self) -> bool:
        return bool(self.add or self.change or self.remove)

    def __len__(self) -> int:
        return len(self.add) + len(self.change) + len(self.remove)


def plan(desired: Mapping[K, V], installed: Mapping[K, V]) -> Plan[K, V]:
    """Compare two mappings by equality of their values.

    What must not be compared (a reason, a counter) is declared `field(compare=False)` on the value itself.
    """
    return Plan(
        add={key: value for key, value in desired.items() if key not in installed},
        change={
            key: (installed[key], value)
            for key, value in desired.items()
            if key in installed and installed[key] != value
        },
        remove={key: value for key, value in installed.items() if key not in desired},
    )
