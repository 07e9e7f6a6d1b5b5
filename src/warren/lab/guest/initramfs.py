"""The guest's root: busybox, dropbear, the modules of its network card, and a first process of thirty lines.

Programs come from this machine with the libraries that they need, so nothing is compiled and nothing downloaded.
"""

import lzma
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Final

from warren.core.errors import Unmet
from warren.lab.guest import cpio
from warren.lab.guest.kernel import Kernel
from warren.lab.processes import SYSTEM_PATH

_MODULES: Final = ("virtio_pci", "virtio_net")
"""What a guest needs to see its network card. One that is not a file is built into the kernel."""
_DEPENDS: Final = re.compile(rb"\0depends=([^\0]*)\0")
"""In a module's .modinfo section (Linux, scripts/mod/modpost.c)."""
_LIBRARY: Final = re.compile(r"(/\S+) \(0x")
_PASSWD: Final = b"root:x:0:0:root:/root:/bin/sh\n"


def build(kernel: Kernel, *, hostname: str, authorized_key: str) -> bytes:
    """An initramfs for one guest.

    Raises:
        Unmet: busybox or dropbear is not on this machine.
    """
    entries = [
        cpio.file("init", _script("guest-init.sh"), mode=0o755),
        cpio.file("etc/udhcpc.script", _script("udhcpc.sh"), mode=0o755),
        cpio.file("etc/hostname", f"{hostname}\n".encode()),
        cpio.file("etc/passwd", _PASSWD),
        cpio.file("etc/group", b"root:x:0:\n"),
        cpio.file("etc/shells", b"/bin/sh\n"),
        cpio.file("root/.ssh/authorized_keys", authorized_key.encode(), mode=0o600),
        *_modules(kernel),
        *_program("busybox", "bin/busybox"),
        *_program("dropbear", "usr/sbin/dropbear"),
        *_program("dropbearkey", "usr/bin/dropbearkey"),
        *(cpio.directory(path) for path in ("proc", "sys", "dev", "run", "tmp", "etc/dropbear", "var/log")),
        cpio.link("bin/sh", "busybox"),
        cpio.link("var/run", "/run"),
    ]
    return cpio.archive(cpio.with_parents(entries))


def _script(name: str) -> bytes:
    return resources.files("warren.lab.scripts").joinpath(name).read_bytes()


def _modules(kernel: Kernel) -> Iterator[cpio.Entry]:
    """Numbered in the order in which they can be loaded: what a module depends on comes first."""
    files = {path.name.partition(".")[0].replace("-", "_"): path for path in kernel.modules.rglob("*.ko*")}
    ordered: dict[str, bytes] = {}

    def add(name: str) -> None:
        if name not in files or name in ordered:
            return
        content = _module(files[name])
        found = _DEPENDS.search(content)
        for needed in found[1].decode().split(",") if found else ():
            add(needed.replace("-", "_"))
        ordered[name] = content

    for name in _MODULES:
        add(name)
    for number, (name, content) in enumerate(ordered.items()):
        yield cpio.file(f"modules/{number:02}-{name}.ko", content)


def _module(path: Path) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dc", str(path)], check=True, capture_output=True).stdout
    return path.read_bytes()


def _program(name: str, path: str) -> Iterator[cpio.Entry]:
    """A program and the libraries that its loader would map."""
    found = shutil.which(name, path=SYSTEM_PATH)
    if found is None:
        raise Unmet(f"A qemu instance has {name} inside, which this machine lacks: install it with `apt-get install`.")
    yield cpio.file(path, Path(found).read_bytes(), mode=0o755)
    listed = subprocess.run(["ldd", found], capture_output=True, text=True, check=False).stdout
    for library in _LIBRARY.findall(listed):
        yield cpio.file(library.lstrip("/"), Path(library).read_bytes(), mode=0o755)
