"""The capture script in the shells that hosts have: the same files, no key of a tunnel, a word on what was cut off."""

import os
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import pytest

from warren.sources.capture import script
from warren.testing.ovs import PrivateOvs, private_ovs

pytestmark = pytest.mark.root

SHELLS = ("sh", "busybox sh")
KEYS = ("swordfish", '"quoted\\"swordfish, x}"', '"swordfish\\\\"')


@pytest.fixture(scope="module")
def ovs() -> Iterator[PrivateOvs]:
    with private_ovs() as switch:
        switch.vsctl("add-br", "br-tun")
        for number, key in enumerate(KEYS):
            options = (f"options:psk={key}", f"options:remote_ip=10.9.0.{number + 2}")
            switch.vsctl(
                "add-port", "br-tun", f"t{number}", "--", "set", "interface", f"t{number}", "type=vxlan", *options
            )
        yield switch


TOTAL = "left=536870912"


def captured(shell: str, ovs: PrivateOvs, folder: str = "", text: str = script()) -> Mapping[str, str]:
    """File -> text of what the script takes; programs of `folder` come first."""
    path = ":".join(filter(None, (folder, os.environ["PATH"], "/usr/sbin:/sbin")))
    environ = {**os.environ, **ovs.environment, "PATH": path}
    done = subprocess.run([*shell.split(), "-s"], input=text.encode(), capture_output=True, env=environ, check=True)
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        members = ((member, archive.extractfile(member)) for member in archive if member.isfile())
        return {member.name.partition("/")[2]: file.read().decode() for member, file in members if file}


def test_every_shell_takes_the_same_files_namespaces_included(host: str, ovs: PrivateOvs) -> None:
    plain, small = (captured(shell, ovs) for shell in SHELLS)
    assert plain.keys() == small.keys()
    assert {
        "ip_addr_host",
        f"ip_addr_{host}",
        f"ip_rule6_{host}",
        "dump-flows_br-tun",
        "ovs-vsctl_list_interface",
    } <= plain.keys()


@pytest.mark.parametrize("shell", SHELLS)
def test_no_key_of_a_tunnel_is_taken_and_what_stands_beside_it_is(host: str, ovs: PrivateOvs, shell: str) -> None:  # noqa: ARG001
    found = captured(shell, ovs)
    assert [name for name, text in found.items() if "swordfish" in text] == []
    for name in ("ovs-vsctl_show", "ovs-vsctl_list_interface"):
        assert all(f"10.9.0.{number + 2}" in found[name] for number in range(len(KEYS)))


def test_what_is_too_large_is_cut_off_and_noted(host: str, ovs: PrivateOvs, tmp_path: Path) -> None:  # noqa: ARG001
    endless = tmp_path / "bridge"
    endless.write_text("#!/bin/sh\nexec yes\n")
    endless.chmod(0o755)
    found = captured("sh", ovs, str(tmp_path))
    assert len(found["bridge_fdb_host"]) == 64 * 1024 * 1024
    assert "cut off, more than 67108863 bytes: env bridge -j fdb" in found["capture_notes"].splitlines()


@pytest.mark.parametrize("shell", SHELLS)
def test_a_capture_ends_with_what_it_may_take_in_all_and_notes_the_rest(
    host: str,  # noqa: ARG001
    ovs: PrivateOvs,
    shell: str,
) -> None:
    assert TOTAL in script()
    limit = 3000
    found = captured(shell, ovs, text=script().replace(TOTAL, f"left={limit}"))
    notes = found["capture_notes"].splitlines()
    taken = sum(len(text) for name, text in found.items() if name not in ("capture_notes", "hostname"))
    assert limit - 500 < taken <= limit
    assert any(note.startswith("cut off, more than ") for note in notes)
    assert [note for note in notes if note.startswith("not taken, the capture has its 512 MB: ") and "sysctl" in note]
