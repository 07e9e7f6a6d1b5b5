"""The flows that a trace met, each in a sentence: `inspect/explain` asked for one hop at a time."""

from dataclasses import dataclass, field

from warren.inspect.decode import Decoder
from warren.inspect.explain.context import Context, context_of, openflow_names
from warren.inspect.explain.sentence import explain
from warren.inspect.parse.dump import read_dump
from warren.inspect.path.hop import TABLE, Hop
from warren.inspect.snapshot.model import Estate


@dataclass(slots=True)
class Teller:
    """Explains hops of one estate; what it found out of a bridge is kept."""

    estate: Estate
    _bridges: dict[tuple[str, str], tuple[Context, Decoder]] = field(default_factory=dict)

    def sentence(self, hop: Hop) -> str:
        """What the hop's flow does and why it is there; empty for a hop that is no lookup."""
        bridge, is_lookup, _ = hop.place.partition(TABLE)
        known = self._known(hop.host, bridge) if is_lookup and hop.evidence else None
        if known is None:
            return ""
        context, decoder = known
        told = explain(read_dump(hop.evidence).flows, context, decoder)
        return next((each.sentence for each in told if each.understood), "")

    def _known(self, host_name: str, name: str) -> tuple[Context, Decoder] | None:
        host = self.estate.host(host_name)
        bridge = host.bridge(name) if host else None
        if host is None or bridge is None or bridge.flows is None:
            return None
        if (host_name, name) not in self._bridges:
            decoder = Decoder(names=openflow_names(bridge))
            flows = read_dump(bridge.flows.text, bridge.flows.file).flows
            self._bridges[host_name, name] = context_of(self.estate, host, bridge, flows, decoder), decoder
        return self._bridges[host_name, name]
