"""Stage `dnsmasq`: DHCP servers. After the flows, so that a server's first answer already has its way out."""

from collections.abc import Mapping

from warren.agent.decisions import say
from warren.agent.drivers.dnsmasq import Dnsmasq as Driver
from warren.agent.loop import Outcome, Pass, Source
from warren.agent.settle import seen_right, settle
from warren.agent.stages.namespaces import SETTINGS, wrong_owners
from warren.namespaces import Key, Kind, Setting, owner_of, servers
from warren.reconcile.plan import Plan, plan


class Dnsmasq:
    """dnsmasq processes, their files and their leases."""

    name = "dnsmasq"
    needs: frozenset[str] = frozenset({"namespaces"})

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._desired: Mapping[Key, Setting] = {}
        self._known: Mapping[Key, Setting] | None = None
        self._is_settled = False

    def run(self, now: Pass) -> Outcome:
        """Settle the servers, unless they are as desired and nothing happened to them."""
        desired = servers(now.state, str(self._driver.directory))
        if self._is_settled and desired == self._desired and not self._is_touched(now):
            return Outcome(stage=self.name)

        self._is_settled = False
        settled = settle(
            lambda: plan(desired, self._driver.installed()),
            self._driver.apply,
            lambda changes: say(changes, SETTINGS, self._known_with_leases(changes), now),
            is_dry=now.is_dry,
        )
        self._is_settled, self._desired = not settled.left, desired
        self._known = seen_right(desired, settled.stuck)
        wrong = wrong_owners(settled.left, settled.failed, desired)
        return Outcome(stage=self.name, changes=settled.changes, wrong=wrong)

    def _known_with_leases(self, changes: Plan[Key, Setting]) -> Mapping[Key, Setting] | None:
        """What was right before, leases included: one that goes follows from its port, and nobody touched it."""
        if self._known is None:
            return None
        return {**self._known, **{key: lease for key, lease in changes.remove.items() if key.kind is Kind.LEASE}}

    def _is_touched(self, now: Pass) -> bool:
        """A server ended, or its namespace is another one now."""
        renewed = any(owner_of(name) for name in now.named(Source.NAMES))
        return now.looks_everywhere or bool(now.named(Source.EXIT)) or renewed
