"""What this machine must have for a lab, asked before anything is changed. Only reads."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from warren.core.errors import Unmet
from warren.core.state import Plug
from warren.lab import processes
from warren.lab.processes import SYSTEM_PATH

_PACKAGES: Final = {
    "ovs-vswitchd": "openvswitch-switch",
    "ovsdb-server": "openvswitch-switch",
    "ovs-ofctl": "openvswitch-switch",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "iptables-restore": "iptables",
    "ipset": "ipset",
    "ethtool": "ethtool",
    "tcpdump": "tcpdump",
    "ping": "iputils-ping",
    "ssh": "openssh-client",
    "brctl": "bridge-utils",
    "ifconfig": "net-tools",
    "busybox": "busybox-static",
    "dropbear": "dropbear-bin",
    "nsenter": "util-linux",
    "unshare": "util-linux",
    "setpriv": "util-linux",
}
"""Program that a lab runs -> the Debian and Ubuntu package that has it."""

_OVS_DIRECTORIES: Final = ("/etc/openvswitch", "/var/lib/openvswitch", "/var/log/openvswitch")
_SCHEMA: Final = "/usr/share/openvswitch/vswitch.ovsschema"

_TRIAL: Final = """
hostname trial
mount -t sysfs sysfs /sys
mount --bind /etc/hosts /etc/hosts
ip link add trial0 type veth peer name trial1
ip link add trial2 type bridge
ip tuntap add dev trial3 mode tap
ip netns list >/dev/null
iptables -t raw -A PREROUTING -i trial0 -j DROP
"""


def check(plug: Plug) -> None:
    """Say what is missing for a lab.

    Raises:
        Unmet: with everything of one kind that is missing, and the mend.
    """
    processes.need_root()
    missing = sorted(
        {package for program, package in _PACKAGES.items() if not shutil.which(program, path=SYSTEM_PATH)}
        | {"openvswitch-switch" for path in (*_OVS_DIRECTORIES, _SCHEMA) if not Path(path).exists()}
    )
    if missing:
        raise Unmet(f"Programs are missing that a lab runs: install them with `apt-get install {' '.join(missing)}`.")
    if not Path("/dev/net/tun").exists():
        raise Unmet("This kernel offers no TAP devices (/dev/net/tun is missing): load the module with `modprobe tun`.")
    _try_namespaces()
    if plug is Plug.HYBRID and not Path("/proc/sys/net/bridge/bridge-nf-call-iptables").exists():
        raise Unmet(
            "This kernel does not show bridged frames to iptables, as the hybrid plug needs: load the module with "
            "`modprobe br_netfilter`, or use --plug ovs."
        )


def _try_namespaces() -> None:
    """Make, in namespaces that end with the command, one of each kind of thing that a lab makes."""
    command = ["unshare", "--net", "--mount", "--uts", "--propagation=private", "sh", "-ec", _TRIAL]
    done = subprocess.run(command, env={"PATH": SYSTEM_PATH}, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unmet(
            f"This machine does not let a lab make its hosts ({done.stderr.strip().splitlines()[-1]}): run it on a "
            "machine or in a container that may make namespaces, bridges, veth pairs and iptables rules."
        )


def datapath_type() -> str:
    """`system` where the kernel has Open vSwitch's module loaded, else `netdev`, the one in userspace."""
    return "system" if Path("/sys/module/openvswitch").exists() else "netdev"
