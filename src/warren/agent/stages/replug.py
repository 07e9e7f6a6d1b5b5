"""Stage `replug`: internal ports whose interface died with the namespace that it was in. ovs-vswitchd does not notice.

Takes such a port out of the switch; the next pass makes it anew. Runs after the flows, so that ovs-vswitchd is known to
be there: while it is away, every interface is missing and nothing is lost.
"""

from warren.agent.decisions import say
from warren.agent.drivers.ovsdb import Ovsdb
from warren.agent.loop import Outcome, Pass
from warren.agent.stages.bridges import ROWS
from warren.pipeline.switch_rows import Row, desired_rows, present_rows
from warren.pipeline.view import Layout
from warren.reconcile.plan import Plan


class Replug:
    """Ports of br-int that OVS believes to have and nobody can find."""

    name = "replug"
    needs: frozenset[str] = frozenset({"bridges", "flows"})

    def __init__(self, ovsdb: Ovsdb, layout: Layout) -> None:
        self._ovsdb = ovsdb
        self._layout = layout

    def run(self, now: Pass) -> Outcome:
        """Remove the ports that `namespaces` missed."""
        if now.switch is None or not now.lost_interfaces or now.is_dry:
            return Outcome(stage=self.name)
        present = present_rows(now.switch, desired_rows(now.state, now.switch, self._layout))
        keys = [f"port/{name}" for name in now.lost_interfaces]
        removal: Plan[str, Row] = Plan(add={}, change={}, remove={key: present[key] for key in keys if key in present})
        say(removal, ROWS, None, now)
        self._ovsdb.apply(removal, now.switch)
        return Outcome(stage=self.name, changes=len(removal))
