"""An instance that is a real guest of QEMU, with a virtio network card on a real TAP device."""

import os
import platform
import shutil
from pathlib import Path

from warren.core import names
from warren.core.errors import Unmet
from warren.core.ids import PortId
from warren.lab.directory import LabDirectory
from warren.lab.guest import initramfs, kernel
from warren.lab.host import Place
from warren.lab.instances.instance import Instance
from warren.lab.keys import public_key
from warren.lab.manifest import Made
from warren.lab.processes import SYSTEM_PATH

_PROGRAM = "qemu-system-x86_64"
MEMORY_MB = 96


def check() -> None:
    """Say what a guest lacks on this machine.

    Raises:
        Unmet: with the mend.
    """
    if platform.machine() != "x86_64":
        raise Unmet(
            f"A qemu instance is an x86_64 guest, and this machine is {platform.machine()}: use --instance netns."
        )
    if not shutil.which(_PROGRAM, path=SYSTEM_PATH):
        raise Unmet(
            "A qemu instance needs QEMU: install it with `apt-get install qemu-system-x86`, or use --instance netns."
        )
    kernel.fetch()


def start(lab: LabDirectory, place: Place, instance: Instance) -> None:
    """Start the guest; its TAP device is plugged already."""
    guest = kernel.fetch()
    image = instance.directory / "initramfs"
    image.write_bytes(initramfs.build(guest, hostname=instance.name, authorized_key=public_key(lab)))
    lab.manifest.will_make(Made(kind="process", name=f"qemu of {instance.name}", where=place.name))
    log = instance.directory / "qemu.log"
    pid = place.start(_command(guest, image, instance), log=log)
    instance.pid_file.write_text(f"{pid}\n")


def _command(guest: kernel.Kernel, image: Path, instance: Instance) -> list[str]:
    tap = names.tap(PortId(instance.port_id))
    console = f"socket,id=console,path={instance.directory}/console.sock,server=on,wait=off"
    commands = f"socket,id=commands,path={instance.directory}/commands.sock,server=on,wait=off"
    return [
        *(_PROGRAM, "-name", instance.name, "-machine", "pc", "-accel", "kvm" if _has_kvm() else "tcg"),
        *("-m", str(MEMORY_MB), "-nodefaults", "-no-reboot", "-display", "none"),
        *("-kernel", str(guest.image), "-initrd", str(image)),
        *("-append", "console=ttyS0 quiet panic=-1 ipv6.disable=1"),
        *("-chardev", f"{console},logfile={instance.directory}/console.log", "-serial", "chardev:console"),
        *("-chardev", commands, "-serial", "chardev:commands"),
        # Without vnet_hdr the guest computes checksums itself, which a switch in userspace needs.
        *("-netdev", f"tap,id=net,ifname={tap},script=no,downscript=no,vnet_hdr=off"),
        *("-device", f"virtio-net-pci,netdev=net,mac={instance.mac_address},romfile="),
    ]


def _has_kvm() -> bool:
    """A processor with the extension, and its device; in a virtual machine the device may be there without."""
    flags = Path("/proc/cpuinfo").read_text().split()
    return ("vmx" in flags or "svm" in flags) and os.access("/dev/kvm", os.R_OK | os.W_OK)
