"""An instance that is a network namespace on its host, with a real DHCP client and a real ssh server in it."""

from importlib import resources

from warren.lab import host, processes
from warren.lab.directory import LabDirectory
from warren.lab.host import Place
from warren.lab.instances.instance import Instance
from warren.lab.keys import public_key
from warren.lab.manifest import Made


def start(lab: LabDirectory, place: Place, instance: Instance) -> None:
    """Start it; its interface is plugged already.

    Raises:
        Rejected: the kernel refused something; with what it said.
    """
    _write_files(lab, instance)
    place.must("dropbearkey", "-t", "ed25519", "-f", str(instance.directory / "run" / "hostkey"))
    lab.manifest.will_make(
        Made(kind="process", name=f"holder of {instance.name}", where=place.name),
        Made(kind="process", name=f"dropbear of {instance.name}", where=place.name),
        Made(kind="process", name=f"udhcpc of {instance.name}", where=place.name),
    )
    script = resources.files("warren.lab.scripts").joinpath("instance.sh").read_text()
    inside = [
        "unshare",
        "--mount",
        "--uts",
        "sh",
        "-c",
        script,
        "warren-instance",
        instance.name,
        str(instance.directory),
    ]
    pid = host.start_holder(
        place.command(["ip", "netns", "exec", instance.name, *inside]),
        lab_id=lab.lab_id,
        name=instance.name,
        log=instance.directory / "instance.log",
    )
    instance.pid_file.write_text(f"{pid}\n")
    _start_dhcp_client(lab, instance)


def remove(lab: LabDirectory, place: Place, instance: Instance) -> None:
    """End what runs in it and delete its namespace."""
    inside = place.run("ip", "netns", "pids", instance.name)
    for pid in inside.stdout.split():
        processes.end_one(int(pid), lab.lab_id)
    place.run("ip", "netns", "delete", instance.name)


def _write_files(lab: LabDirectory, instance: Instance) -> None:
    for folder in ("etc", "run", "root/.ssh"):
        (instance.directory / folder).mkdir(parents=True, exist_ok=True)
    (instance.directory / "etc" / "hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {instance.name}\n")
    (instance.directory / "etc" / "resolv.conf").touch()
    authorized = instance.directory / "root" / ".ssh" / "authorized_keys"
    authorized.write_text(public_key(lab))
    authorized.chmod(0o600)
    client = instance.directory / "run" / "udhcpc.sh"
    client.write_text(resources.files("warren.lab.scripts").joinpath("udhcpc.sh").read_text())
    client.chmod(0o755)


def _start_dhcp_client(lab: LabDirectory, instance: Instance) -> None:
    command = ["busybox", "udhcpc", "-f", "-i", "eth0", "-s", "/run/udhcpc.sh"]
    options = ["-O", "staticroutes", "-O", "mtu", "-T", "1", "-t", "0", "-x", f"hostname:{instance.name}"]
    pid = instance.place(lab).start([*command, *options], log=instance.directory / "udhcpc.log")
    (instance.directory / "udhcpc.pid").write_text(f"{pid}\n")
