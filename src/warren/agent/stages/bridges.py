"""Stage `bridges`: the rows of OVSDB. Leaves the switch, as it is afterwards, to the stages that follow."""

from collections.abc import Mapping
from typing import Final

from warren.agent.decisions import Wording, say
from warren.agent.drivers.ovsdb import Ovsdb
from warren.agent.loop import Outcome, Pass, Reason, Source
from warren.agent.settle import apply_apart, seen_right
from warren.pipeline.switch import Switch
from warren.pipeline.switch_rows import MARK, AccessRow, PortRow, Row, desired_rows, present_rows
from warren.pipeline.view import Layout
from warren.reconcile.plan import Plan, plan

ROUNDS: Final = 3
"""New ports have rows of their own (tags), which can be planned once OVS knows the ports."""


class Bridges:
    """Bridges, patch ports, tunnel ports, service ports, tags and remembered local VLANs."""

    name = "bridges"
    needs: frozenset[str] = frozenset()

    def __init__(self, ovsdb: Ovsdb, layout: Layout) -> None:
        self._ovsdb = ovsdb
        self._layout = layout
        self._known: Mapping[str, Row] | None = None

    def run(self, now: Pass) -> Outcome:
        """Read, plan and apply until nothing is left or nothing helps."""
        changes, failed = 0, dict[str, str]()
        for _ in range(ROUNDS):
            now.forget(Reason(Source.OVSDB))
            switch = now.switch = self._ovsdb.read()
            desired = desired_rows(now.state, switch, self._layout)
            left = plan(desired, present_rows(switch, desired))
            if not left:
                self._known = desired
                return Outcome(stage=self.name, changes=changes, wrong=_unopened(desired, switch))
            say(left, ROWS, self._known, now)
            if now.is_dry:
                break
            failed = self._apply(left, switch)
            changes += len(left) - len(failed)
        self._known = seen_right(desired, left)
        return Outcome(stage=self.name, changes=changes, wrong=_wrong(left, failed, switch))

    def _apply(self, left: Plan[str, Row], switch: Switch) -> dict[str, str]:
        return apply_apart(left, lambda part: self._ovsdb.apply(part, switch), lambda key, _: key)


def _wrong(left: Plan[str, Row], failed: Mapping[str, str], switch: Switch) -> dict[str, str]:
    """Owner of each row that is still not right -> why."""
    rows = {**left.add, **{key: desired for key, (_, desired) in left.change.items()}}
    return {
        owner_of(row, switch): failed.get(key, f"{key} in OVSDB is not as it should be") for key, row in rows.items()
    }


def _unopened(desired: Mapping[str, Row], switch: Switch) -> dict[str, str]:
    """Owner of each port that is there as it should be and that ovs-vswitchd could not open all the same -> why.

    An error beside a valid number is an old one: ovs-vswitchd may keep that of a patch port.
    """
    ports = [(row, switch.ports[row.name]) for row in desired.values() if isinstance(row, PortRow)]
    return {owner_of(row, switch): port.error for row, port in ports if port.error and not port.has_ofport}


def owner_of(row: Row, switch: Switch) -> str:
    """Key of the object that a row is for; empty for the host itself."""
    if isinstance(row, AccessRow):
        return f"port/{switch.ports[row.name].interface_ids.get('iface-id', '')}"
    owner = dict(row.external_ids).get(MARK, "")
    return "" if owner == "bridge" else owner


def _text(row: Row) -> str:
    if isinstance(row, AccessRow):
        return " ".join(part for part in (f"tag={row.tag}", *map(_pairs, (row.other_config, row.strays))) if part)
    if isinstance(row, PortRow):
        maps = (row.options, row.external_ids, row.interface_ids, row.strays)
        return " ".join([f"{row.type or 'system'} on {row.bridge}", *(_pairs(each) for each in maps if each)])
    columns = f"datapath_type={row.datapath_type} fail_mode={row.fail_mode} protocols={','.join(sorted(row.protocols))}"
    return " ".join([columns, *(_pairs(each) for each in (row.other_config, row.external_ids, row.strays) if each)])


def _pairs(pairs: tuple[tuple[str, str], ...]) -> str:
    return ",".join(f"{key}={value}" for key, value in pairs)


def _because(row: Row) -> str:
    if isinstance(row, AccessRow):
        return "the local VLAN of its network" if row.other_config else "the port is not wired"
    owner = dict(row.external_ids).get(MARK)
    return f"{owner} needs it" if owner and owner != "bridge" else "it is part of every host"


ROWS: Final[Wording[str, Row]] = Wording(event="ovsdb", where=lambda key, _: {"row": key}, text=_text, because=_because)
