"""Stage `dnsmasq`: DHCP servers. After the flows, so that a server's first answer already has its way out."""

from collections.abc import Mapping
from pathlib import Path

from warren.agent.decisions import say
from warren.agent.drivers.dnsmasq import Dnsmasq as Driver
from warren.agent.loop import Outcome, Pass
from warren.agent.settle import settle
from warren.agent.stages.namespaces import SETTINGS, wrong_owners
from warren.namespaces import Key, Setting, servers
from warren.reconcile.plan import plan


class Dnsmasq:
    """dnsmasq processes, their files and their leases."""

    name = "dnsmasq"
    needs: frozenset[str] = frozenset({"namespaces"})

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._driver = Driver(directory)
        self._known: Mapping[Key, Setting] | None = None
        self._is_settled = False

    def run(self, now: Pass) -> Outcome:
        """Settle the servers, unless they are as desired and nothing happened to them."""
        desired = servers(now.state, str(self._directory))
        if self._is_settled and desired == self._known and not now.looks_everywhere:
            return Outcome(stage=self.name)

        self._is_settled = False
        settled = settle(
            lambda: plan(desired, self._driver.installed()),
            self._driver.apply,
            lambda changes: say(changes, SETTINGS, self._known, now),
            is_dry=now.is_dry,
        )
        self._is_settled, self._known = not settled.left, desired
        wrong = wrong_owners(settled.left, settled.failed, desired)
        return Outcome(stage=self.name, changes=settled.changes, wrong=wrong)
