"""Stage `namespaces`: routers and DHCP servers; translation rules stand before there is a way through them."""

from collections.abc import Mapping
from typing import Final

from warren.agent.decisions import Wording, say
from warren.agent.drivers import netlink
from warren.agent.drivers.namespaces import Namespaces as Driver
from warren.agent.loop import Outcome, Pass, Reason, Source
from warren.agent.settle import seen_right, settle
from warren.namespaces import Key, Kind, Setting, owner_of, render
from warren.reconcile.plan import Plan, plan


class Namespaces:
    """Everything in `qrouter-` and `qdhcp-` namespaces but dnsmasq."""

    name = "namespaces"
    needs: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._driver = Driver()
        self._settled: Mapping[Key, Setting] | None = None
        """What was last read back, as far as whole namespaces were as desired; None: that is not known."""
        self._known: Mapping[Key, Setting] | None = None
        """What was right when it was last read back."""

    def run(self, now: Pass) -> Outcome:
        """Settle the namespaces where something new is desired or something happened."""
        desired = render(now.state)
        scope = self._scope(desired, now)
        if scope is not None and not scope:
            return Outcome(stage=self.name)

        def apply(changes: Plan[Key, Setting]) -> Mapping[Key, str]:
            applied = self._driver.apply(changes)
            now.announcements += applied.announcements
            return applied.failed

        self._settled = None

        def difference() -> Plan[Key, Setting]:
            for name in scope or ():
                for source in (Source.LINKS, Source.RULES, Source.NAMES):
                    now.forget(Reason(source, name))
            return plan(_within(scope, desired), self._driver.installed(scope))

        settled = settle(
            difference,
            apply,
            lambda changes: say(changes, SETTINGS, self._known, now),
            is_dry=now.is_dry,
        )
        if missing := {key.name for key in settled.left.add if key.kind is Kind.LINK}:
            now.lost_interfaces |= {name for name in missing if not netlink.is_there(name)}
        self._settled = _right(desired, settled.left)
        self._known = {**self._elsewhere(scope), **seen_right(_within(scope, desired), settled.stuck)}
        wrong = wrong_owners(settled.left, settled.failed, desired)
        return Outcome(stage=self.name, changes=settled.changes, wrong=wrong)

    def _elsewhere(self, scope: frozenset[str] | None) -> dict[Key, Setting]:
        """What was right in the namespaces that were not looked at."""
        known = (self._known or {}).items()
        return {key: setting for key, setting in known if scope is not None and key.namespace not in scope}

    def _scope(self, desired: Mapping[Key, Setting], now: Pass) -> frozenset[str] | None:
        """The namespaces to look at; None: all of them."""
        if self._settled is None or now.looks_everywhere:
            return None
        changed = plan(desired, self._settled)
        names = {key.namespace for key in (*changed.add, *changed.change, *changed.remove)}
        touched = now.named(Source.LINKS) | now.named(Source.RULES) | now.named(Source.NAMES)
        names |= {name for name in touched if owner_of(name)}
        return frozenset(names | (_expecting(desired) if "" in touched else set()))


def _expecting(desired: Mapping[Key, Setting]) -> set[str]:
    """The namespaces whose interfaces are on the host, and so not yet where they belong."""
    return {key.namespace for key in desired if key.kind is Kind.LINK and netlink.is_there(key.name)}


def _right(desired: Mapping[Key, Setting], left: Plan[Key, Setting]) -> dict[Key, Setting]:
    """What is desired in namespaces of which nothing is left to do, and what should go and is there."""
    wrong = {key.namespace for key in (*left.add, *left.change, *left.remove)}
    return {key: setting for key, setting in desired.items() if key.namespace not in wrong} | dict(left.remove)


def _within(scope: frozenset[str] | None, desired: Mapping[Key, Setting]) -> dict[Key, Setting]:
    return {key: setting for key, setting in desired.items() if scope is None or key.namespace in scope}


def wrong_owners(left: Plan[Key, Setting], failed: Mapping[Key, str], desired: Mapping[Key, Setting]) -> dict[str, str]:
    """Key of each object with something still wrong -> why. The namespace's own object answers for all in it."""
    wrong: dict[str, str] = {}
    for key in (*left.add, *left.change, *left.remove):
        why = failed.get(key) or next(
            (text for other, text in failed.items() if other.namespace == key.namespace),
            f"{key.kind.value} {key.name} in {key.namespace} is not as it should be",
        )
        wrong.setdefault(owner_of(key.namespace), why)
        if key in desired and desired[key].owner:
            wrong.setdefault(desired[key].owner, why)
    return wrong


def _where(key: Key, _: Setting) -> dict[str, object]:
    return {"namespace": key.namespace, "kind": key.kind.value, "name": key.name}


SETTINGS: Final[Wording[Key, Setting]] = Wording(
    event="setting",
    where=_where,
    text=lambda setting: setting.value or "there",
    because=lambda setting: setting.reason,
)
