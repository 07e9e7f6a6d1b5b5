"""How an instance's interface meets br-int: made here, wired by the agent."""

from warren.plug.vif import Vif, make, plug, unplug

__all__ = ["Vif", "make", "plug", "unplug"]
