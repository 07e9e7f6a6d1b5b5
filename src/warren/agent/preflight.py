"""What a host must have before the agent touches it, said in one sentence each; and what the host is."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from warren.agent.config import AgentConfig
from warren.agent.drivers.ovsdb import Ovsdb
from warren.core.errors import DriverError, Unmet
from warren.core.names import INTEGRATION_BRIDGE
from warren.core.state import Plug
from warren.pipeline.switch import Switch
from warren.pipeline.view import Layout, PhysicalNetwork

PROGRAMS: Final[Mapping[str, Mapping[str, str]]] = {
    "any": {"ovs-ofctl": "openvswitch-switch", "ip": "iproute2"},
    "hybrid": {"iptables-restore": "iptables", "ip6tables-restore": "iptables", "ipset": "ipset"},
    "network": {"iptables-restore": "iptables", "dnsmasq": "dnsmasq-base"},
}
"""Where it is needed -> program -> the Debian package that has it."""
MODULE: Final = Path("/sys/module/openvswitch")


def check(config: AgentConfig, ovsdb: Ovsdb) -> Switch:
    """The switch as it is, once everything that this configuration needs is there.

    Raises:
        Unmet: something is missing; the message says what and the mend.
    """
    if os.geteuid() != 0:
        raise Unmet("the agent changes interfaces and namespaces, which only root may: start it with sudo")
    uses = ("any", *(("hybrid",) if config.plug is Plug.HYBRID else ()), *config.roles)
    wanted = {program: package for use in uses for program, package in PROGRAMS.get(use, {}).items()}
    missing = {program: package for program, package in wanted.items() if shutil.which(program) is None}
    if missing:
        packages = " ".join(sorted(set(missing.values())))
        raise Unmet(f"{', '.join(sorted(missing))} not found: apt-get install {packages}")
    try:
        return ovsdb.read()
    except DriverError as error:
        raise Unmet(f"Open vSwitch does not answer ({error}): systemctl start openvswitch-switch") from error


def layout_of(config: AgentConfig, switch: Switch) -> Layout:
    """What this host is, by its configuration and by what is there.

    Raises:
        Unmet: the userspace datapath would have no way out for its tunnels.
    """
    datapath_type = config.ovs.datapath_type
    if datapath_type == "auto":
        present = switch.bridges.get(INTEGRATION_BRIDGE)
        datapath_type = (present.datapath_type if present else "") or ("system" if MODULE.exists() else "netdev")
    if datapath_type == "netdev" and config.tunnel.interface is None:
        raise Unmet(
            "Open vSwitch runs in userspace here (datapath_type netdev): the interface through which tunnels leave "
            "must be a port of the switch, so name it as `interface` in [tunnel]"
        )
    return Layout(
        datapath_type=datapath_type,
        local_ip=str(config.tunnel.local_ip.ip),
        tunnel_types=config.tunnel.types,
        underlay_interface=config.tunnel.interface if datapath_type == "netdev" else None,
        physical_networks={
            each.name: PhysicalNetwork(bridge=each.bridge, interface=each.interface)
            for each in config.physical_networks
        },
    )


def run_directory(config: AgentConfig) -> Path:
    """Where ovs-vswitchd has its sockets: beside that of its database."""
    kind, _, path = config.ovs.db.partition(":")
    return Path(path).parent if kind == "unix" else Path("/run/openvswitch")
