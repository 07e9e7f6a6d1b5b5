"""The kernel of a guest: the distribution's small cloud kernel, downloaded once and unpacked, never installed.

Owns /var/cache/warren/kernel. A kernel there is complete (it is unpacked beside and renamed), so it is used as it is.
"""

import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from warren.core.errors import Unmet

CACHE: Final = Path("/var/cache/warren/kernel")
_PACKAGES: Final = ("linux-image-cloud-amd64", "linux-image-kvm", "linux-image-virtual")
"""Debian's cloud kernel; Ubuntu's for virtual machines. Each is a package that depends on the real one."""
_IMAGE: Final = re.compile(r"linux-image-(?:unsigned-)?\d")
_DOWNLOAD_DEADLINE_S: Final = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """An image to boot and where its modules are."""

    image: Path
    modules: Path

    @property
    def release(self) -> str:
        return self.image.name.removeprefix("vmlinuz-")


def fetch() -> Kernel:
    """The guest's kernel, from the cache or the distribution's archive.

    Raises:
        Unmet: there is none in the cache, and none can be downloaded.
    """
    return _cached() or _downloaded()


def _cached() -> Kernel | None:
    images = sorted(CACHE.glob("boot/vmlinuz-*"))
    return Kernel(image=images[-1], modules=CACHE) if images else None


def _downloaded() -> Kernel:
    package = _real_package()
    CACHE.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as folder:
        # apt drops its rights for a download and must be able to write there.
        Path(folder).chmod(0o777)
        try:
            _run("apt-get", "download", "-q", package, cwd=folder)
            _run("dpkg-deb", "-x", str(next(Path(folder).glob("*.deb"))), f"{folder}/kernel", cwd=folder)
        except (subprocess.SubprocessError, OSError, StopIteration) as error:
            raise Unmet(
                f"A qemu instance boots the kernel of {package}, which could not be downloaded ({error}): "
                "see that a package mirror is reachable and run `apt-get update`, or use --instance netns."
            ) from error
        if not CACHE.exists():
            shutil.move(f"{folder}/kernel", CACHE)
    found = _cached()
    if found is None:
        raise Unmet(f"The package {package} has no kernel image: use --instance netns.")
    return found


def _real_package() -> str:
    for name in _PACKAGES:
        shown = subprocess.run(["apt-cache", "depends", name], capture_output=True, text=True, check=False).stdout
        for word in shown.split():
            if _IMAGE.match(word):
                return word
    raise Unmet(
        "No cloud kernel for qemu instances is in the package lists: run `apt-get update`, or --instance netns."
    )


def _run(*command: str, cwd: str) -> None:
    subprocess.run(command, cwd=cwd, check=True, capture_output=True, timeout=_DOWNLOAD_DEADLINE_S)
