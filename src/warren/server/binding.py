"""Whether a host can wire a port, and how it is plugged there. Pure.

A port is bound only to a host whose agent lives and says that it can: never open by accident, and never bound in hope.
"""

from dataclasses import replace

from warren.core.ids import HostName
from warren.core.state import Plug
from warren.server import model
from warren.server.context import Context
from warren.server.indexes import FAILED_PORTS_BY_HOST
from warren.server.snapshot import Snapshot


def bound(now: Snapshot, context: Context, port: model.Port, host_name: str) -> model.Port:
    """The port as bound to the host, or as `binding_failed` with the reason, or unbound where the host is ""."""
    host = HostName(host_name)
    unbound = replace(port, host=host, vif_type=model.VIF_UNBOUND, status=_idle(port), reason="", plug=Plug.HYBRID)
    if not host:
        return unbound
    if reason := refusal(now, context, port, host):
        return replace(unbound, vif_type=model.VIF_BINDING_FAILED, reason=reason)
    return replace(unbound, vif_type=model.VIF_OVS, plug=now.of(model.Host, host).plug)


def _idle(port: model.Port) -> str:
    return port.status if port.status == "N/A" else model.DOWN


def refusal(now: Snapshot, context: Context, port: model.Port, host: HostName) -> str:
    """Why the host cannot have the port, one sentence; "" if it can."""
    there = now.get(model.Host, host)
    if there is None:
        return f"host {host} has no agent: none ever reported from it"
    if host not in context.alive:
        return f"the agent of host {host} is not alive"
    network = now.of(model.Network, port.network_id)
    if network.network_type.is_tunnelled and network.network_type not in there.tunnel_types:
        return f"host {host} has no {network.network_type.value} tunnels"
    if not network.network_type.is_tunnelled and network.physical_network not in (there.bridge_mappings or {}):
        return f"host {host} has no bridge to the physical network {network.physical_network}"
    if there.plug is Plug.OVS and port.port_security_enabled and not port.device_owner.startswith("network:"):
        return (
            f"host {host} plugs into br-int directly (plug ovs) and cannot filter there: "
            "the port needs port_security_enabled=false, or a host with the hybrid plug"
        )
    return ""


def rebound(now: Snapshot, context: Context, host: HostName) -> list[model.Port]:
    """The ports whose binding to the host failed and would now succeed, or fail for another reason."""
    tried = [(port, bound(now, context, port, host)) for port in now.find(FAILED_PORTS_BY_HOST, host)]
    return [
        model.revised(
            port, context.at, vif_type=after.vif_type, plug=after.plug, reason=after.reason, status=after.status
        )
        for port, after in tried
        if after != port
    ]
