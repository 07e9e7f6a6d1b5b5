"""Booting an instance as a compute service does: port, plug, wait until it is wired, start; and the way back."""

import shutil
from contextlib import suppress
from typing import Final

from warren.core.errors import Conflict, Invalid, WarrenError
from warren.core.names import DHCP_NAMESPACE_PREFIX, ROUTER_NAMESPACE_PREFIX
from warren.lab import api, host, processes
from warren.lab.directory import LabDirectory
from warren.lab.host import Place
from warren.lab.instances import netns, qemu, wires
from warren.lab.instances.instance import Instance, Kind, load_all, save
from warren.lab.manifest import Made
from warren.lab.plan import UNDERLAY, WORLD, checked_name

ACTIVE_WITHIN_S = 60.0
LEASE_WITHIN_S = 120.0
"""Also of a guest that is emulated on a machine with much else to do."""

_PREFIXES: Final = (ROUTER_NAMESPACE_PREFIX, DHCP_NAMESPACE_PREFIX)
"""Namespaces of these names are removed by the host's agent when the server knows nothing of them."""


def boot(
    lab: LabDirectory, client: api.Client, *, name: str, on_host: str, network: api.Network, kind: Kind
) -> Instance:
    """A running instance whose port is ACTIVE; its DHCP client starts now.

    Raises:
        Refused: the name is taken or not fit, the host is unknown, or the API said no; nothing was made.
        Unreachable: the port did not become ACTIVE; what was made is removed again.
    """
    instance = plug(lab, client, name=name, on_host=on_host, network=network, kind=kind)
    try:
        wait_active(client, instance)
        start(lab, instance)
    except BaseException:
        _undo(lab, client, instance)
        raise
    return instance


def plug(
    lab: LabDirectory, client: api.Client, *, name: str, on_host: str, network: api.Network, kind: Kind
) -> Instance:
    """Create the port and its interface on br-int; nothing runs yet.

    Raises:
        Refused: as `boot`.
    """
    place = _free_place(lab, name, on_host)
    if kind is Kind.QEMU:
        qemu.check()
    port = client.create_port(name, network, on_host)
    instance = Instance(
        name=name,
        host=on_host,
        kind=kind,
        network_id=network.id,
        port_id=port.id,
        mac_address=port.mac_address,
        address=port.address,
        mtu=network.mtu,
        directory=lab.instances / name,
    )
    try:
        _plug(lab, place, instance, port)
    except BaseException:
        _undo(lab, client, instance)
        raise
    return instance


def start(lab: LabDirectory, instance: Instance) -> None:
    """Power on."""
    place = host.place(lab, instance.host)
    if instance.kind is Kind.NETNS:
        netns.start(lab, place, instance)
    else:
        qemu.start(lab, place, instance)


def wait_active(client: api.Client, instance: Instance) -> None:
    """Wait until the host has read back the port's wiring.

    Raises:
        Unreachable: it did not in time.
    """
    what = f"Port {instance.port_id} of '{instance.name}' becoming ACTIVE on {instance.host}"
    api.wait_until(lambda: client.port(instance.port_id).status == "ACTIVE", what, ACTIVE_WITHIN_S)


def wait_lease(lab: LabDirectory, instance: Instance) -> dict[str, str]:
    """Wait until its DHCP client has a lease; gives it.

    Raises:
        Unreachable: it had none in time.
    """
    what = f"A DHCP lease of '{instance.name}' (logs: {instance.directory})"
    return api.wait_until(lambda: instance.lease(lab, timeout_s=LEASE_WITHIN_S), what, LEASE_WITHIN_S, every_s=0.05)


def remove(lab: LabDirectory, client: api.Client, instance: Instance) -> None:
    """Power off, unplug and delete the port; what is gone already is no error."""
    place = host.place(lab, instance.host)
    for pid_file in instance.directory.glob("*.pid"):
        pid = lab.living(pid_file)
        if pid is not None:
            processes.end_one(pid, lab.lab_id)
    wires.run(place, "unplug", instance, lab.plan.plug)
    if instance.kind is Kind.NETNS:
        netns.remove(lab, place, instance)
    client.delete("port", instance.port_id)
    shutil.rmtree(instance.directory, ignore_errors=True)
    lab.manifest.has_removed(_interface(instance), _namespace(instance))


def _undo(lab: LabDirectory, client: api.Client, instance: Instance) -> None:
    """What made this necessary is to be told, not what it may meet in its turn."""
    with suppress(WarrenError):
        remove(lab, client, instance)


def _free_place(lab: LabDirectory, name: str, on_host: str) -> Place:
    taken = {*load_all(lab), *(planned.name for planned in lab.plan.hosts), WORLD, UNDERLAY}
    if checked_name(name) in taken:
        raise Conflict("NameInUse", f"Lab '{lab.plan.name}' has a host or an instance '{name}' already.")
    if name.startswith(_PREFIXES):
        raise Invalid(
            "InvalidName", f"'{name}' cannot be an instance: {' and '.join(_PREFIXES)} begin names that are an agent's."
        )
    lab.plan.host(on_host)
    return host.place(lab, on_host)


def _plug(lab: LabDirectory, place: Place, instance: Instance, port: api.Port) -> None:
    if port.vif_type == "binding_failed":
        why = port.vif_details.get("reason", "the server gives no reason")
        raise Conflict("BindingFailed", f"The port of '{instance.name}' cannot be on {instance.host}: {why}.")
    lab.manifest.will_make(_interface(instance))
    instance.directory.mkdir()
    save(instance)
    if instance.kind is Kind.NETNS:
        lab.manifest.will_make(_namespace(instance))
        place.must("ip", "netns", "add", instance.name)
    wires.run(place, "plug", instance, lab.plan.plug)


def _interface(instance: Instance) -> Made:
    return Made(kind="link", name=f"interface of {instance.name}", where=instance.host)


def _namespace(instance: Instance) -> Made:
    return Made(kind="namespace", name=instance.name, where=instance.host)
