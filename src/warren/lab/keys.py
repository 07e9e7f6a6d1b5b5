"""The lab's one ssh key, with which one gets into its instances."""

import subprocess
from pathlib import Path

from warren.lab.directory import LabDirectory


def private_key(lab: LabDirectory) -> Path:
    """The key's file, made when it is first asked for; it has the same path on the machine and on every host."""
    path = lab.instances / "ssh_key"
    if not path.exists():
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"warren-lab-{lab.plan.name}", "-f", str(path)]
        subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return path


def public_key(lab: LabDirectory) -> str:
    """A line for authorized_keys."""
    return private_key(lab).with_suffix(".pub").read_text()
