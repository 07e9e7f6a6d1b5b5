"""Open vSwitch on a host of the lab: its own database and daemons, as the distribution's scripts would start them."""

from typing import Final

from warren.core.errors import Rejected
from warren.lab.directory import LabDirectory
from warren.lab.host import Place
from warren.lab.manifest import Made

DAEMONS: Final = ("ovsdb-server", "ovs-vswitchd")

_START: Final = """
set -e
ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server /etc/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock --pidfile --detach --no-chdir \
  --log-file -vconsole:off
ovs-vsctl --no-wait init -- set Open_vSwitch . external_ids:hostname="$1" external_ids:system-id="$1" \
  ovs-version="$(ovs-vswitchd --version | sed -n '1s/.* //p')"
ovs-vswitchd unix:/run/openvswitch/db.sock --pidfile --detach --no-chdir --log-file -vconsole:off
"""


def start(lab: LabDirectory, place: Place) -> None:
    """Create the database and start both daemons; they answer when this returns.

    Raises:
        Rejected: one did not start; its log is in the host's directory.
    """
    lab.manifest.will_make(
        Made(kind="process", name="ovsdb-server", where=place.name),
        Made(kind="process", name="ovs-vswitchd", where=place.name),
    )
    done = place.run("sh", "-c", _START, "sh", place.name)
    if done.returncode:
        raise Rejected(
            f"Open vSwitch did not start on {place.name}: {done.stderr.strip()} (logs: {lab.host(place.name) / 'log'})"
        )


def pids(lab: LabDirectory, host: str) -> dict[str, int]:
    """The daemons of a host that live."""
    directory = lab.host(host) / "run" / "openvswitch"
    found = {daemon: lab.living(directory / f"{daemon}.pid") for daemon in DAEMONS}
    return {daemon: pid for daemon, pid in found.items() if pid is not None}
