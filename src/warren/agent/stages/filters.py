"""Stage `filters`: security groups. A port whose groups are not in place is held back: dead until they are."""

from collections.abc import Iterator, Mapping
from typing import Final

import structlog

from warren.agent.decisions import Wording, say
from warren.agent.drivers.filters import Filters as Driver
from warren.agent.loop import Outcome, Pass, Reason, Source
from warren.agent.settle import Settlement, seen_right, settle
from warren.core import names
from warren.core.errors import DriverError, Unmet
from warren.core.state import Group, HostState, Plug, Port, kind_of
from warren.namespaces import Key, Setting, filters
from warren.namespaces.groups import HOST, filtered_ports
from warren.reconcile.plan import Plan, plan

log = structlog.get_logger()


class Filters:
    """iptables, ip6tables and ipset on the host."""

    name = "filters"
    needs: frozenset[str] = frozenset()

    def __init__(self, plug: Plug) -> None:
        self._plug = plug
        self._driver = Driver()
        self._installed: Mapping[Key, Setting] = {}
        self._known: Mapping[Key, Setting] | None = None
        """What was right when it was last read back."""
        self._desired: Mapping[Key, Setting] | None = None
        """What was desired, if all of it was right."""
        self._settled: HostState | None = None
        """The state that it was desired by."""

    def run(self, now: Pass) -> Outcome:
        """Settle, unless all is as desired and nobody wrote rules."""
        ports = filtered_ports(now.state)
        if self._plug is Plug.OVS and not ports and not self._desired:
            return Outcome(stage=self.name)
        touched = now.looks_everywhere or HOST in now.named(Source.RULES)
        if not touched and self._is_settled(now.state):
            return Outcome(stage=self.name)
        try:
            changes, wrong, uncovered = self._settle(now)
        except (DriverError, Unmet) as error:
            if ports:
                raise
            return Outcome(stage=self.name, wrong={"": str(error)})
        if not now.is_dry:
            now.held_back |= uncovered
        return Outcome(stage=self.name, changes=changes, wrong=wrong)

    def _is_settled(self, state: HostState) -> bool:
        """Whether what a state asks for is what was last read back."""
        if (
            state is not self._settled
            and self._desired is not None
            and filters(state, self._installed) == self._desired
        ):
            self._settled = state
        return state is self._settled

    def _settle(self, now: Pass) -> tuple[int, dict[str, str], dict[str, str]]:
        """(changes made, owner -> what is still wrong, key of each port that is not covered -> why)."""
        self._desired, self._settled = None, None
        settled = self._settle_for(now.state, now)
        wrong: dict[str, str] = {}
        uncovered: dict[str, str] = {}
        if settled.failed and not now.is_dry:
            wrong = self._refused(settled.stuck)
            uncovered = dict(_depending(now.state, wrong))
            self._known = {**self._installed, **(self._known or {})}  # nobody else touched what is taken back now
            settled = self._settle_for(now.state.without(uncovered), now)
        if not settled.left and not wrong:
            self._desired, self._settled = filters(now.state, self._installed), now.state
        if (settled.planned.change or settled.planned.remove) and not now.is_dry:
            self._cut(now.state)
        return settled.changes, wrong | _wrong(settled), uncovered | dict(_uncovered(now.state, settled))

    def _settle_for(self, state: HostState, now: Pass) -> Settlement[Key, Setting]:
        settled = settle(
            lambda: self._difference(state, now),
            self._driver.apply,
            lambda changes: say(changes, RULES, self._known, now),
            is_dry=now.is_dry,
        )
        self._known = seen_right(filters(state, self._installed), settled.stuck)
        return settled

    def _refused(self, left: Plan[Key, Setting]) -> dict[str, str]:
        """Who of the owners is refused when each has what is its own applied alone, groups before ports -> why.

        One refused rule fails a whole table; what others own must not wait for it.
        """
        refused: dict[str, str] = {}
        owners = {want.owner for _, _, want in _wrong_settings(left) if want.owner}
        for owner in sorted(owners, key=lambda key: (kind_of(key) != Group.kind, key)):
            own: Plan[Key, Setting] = Plan(
                add={key: want for key, want in left.add.items() if want.owner == owner},
                change={key: pair for key, pair in left.change.items() if pair[1].owner == owner},
                remove={},
            )
            for why in self._driver.apply(own).values():
                refused[owner] = why
        return refused

    def _difference(self, state: HostState, now: Pass) -> Plan[Key, Setting]:
        now.forget(Reason(Source.RULES, HOST))
        self._installed = self._driver.installed()
        return plan(filters(state, self._installed), self._installed)

    def _cut(self, state: HostState) -> None:
        """Where rules became others, end the connections that only the old ones allowed."""
        try:
            ended = self._driver.cut(state, self._installed)
        except (DriverError, Unmet) as error:
            log.warning("connections.not_cut", because=str(error))
        else:
            if ended:
                log.info("connections.cut", count=ended, revision=state.revision)


def _depending(state: HostState, wrong: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Key of each port that needs what is wrong -> why."""
    for port in filtered_ports(state):
        for owner in (port.key, *sorted(_groups_behind(state, port))):
            if owner in wrong:
                yield port.key, wrong[owner]


def _uncovered(state: HostState, settled: Settlement[Key, Setting]) -> Iterator[tuple[str, str]]:
    """Key of each port that something wrong leaves open, or closed where it should not be -> what is wrong."""
    ports = filtered_ports(state)
    for key, had, want in _wrong_settings(settled.left):
        why = settled.failed.get(key, f"{key.kind.value} {key.name} is not as it should be")
        for port in ports:
            if _concerns(state, port, had, want):
                yield port.key, why


def _wrong_settings(left: Plan[Key, Setting]) -> Iterator[tuple[Key, Setting, Setting]]:
    """(key, what is there, what should be) of what is missing or another; what is too many harms nobody."""
    for key, want in left.add.items():
        yield key, Setting(), want
    for key, (had, want) in left.change.items():
        yield key, had, want


def _concerns(state: HostState, port: Port, had: Setting, want: Setting) -> bool:
    """Whether a port depends on a setting that is not as it should be."""
    if want.owner:
        return want.owner in (port.key, *_groups_behind(state, port))
    missing = set(want.value.splitlines()) - set(had.value.splitlines())
    foreign = set(had.value.splitlines()) - set(want.value.splitlines())
    if foreign or not missing or not all(" qbr" in f" {line}" or " tap" in line for line in missing):
        return True
    return any(
        names.qbr(port.id) in line or names.tap(port.id) in line or f"qbr{port.id[0]}+" in line for line in missing
    )


def _groups_behind(state: HostState, port: Port) -> set[str]:
    """Keys of a port's groups and of the groups that their rules name as remote."""
    own = [group for group_id in port.security_groups if (group := state.group(group_id))]
    remote = {rule.remote_group_id for group in own for rule in group.rules if rule.remote_group_id}
    return {group.key for group in own} | {f"{Group.kind}/{group_id}" for group_id in remote}


def _wrong(settled: Settlement[Key, Setting]) -> dict[str, str]:
    """Owner of each setting that is still not right -> why; the owner of what ports share is the host."""
    return {
        want.owner: settled.failed.get(key, f"{key.kind.value} {key.name} is not as it should be")
        for key, _, want in _wrong_settings(settled.left)
    }


RULES: Final[Wording[Key, Setting]] = Wording(
    event="filter",
    where=lambda key, _: {"kind": key.kind.value, "name": key.name},
    text=lambda setting: setting.value or "empty",
    because=lambda setting: setting.reason,
)
