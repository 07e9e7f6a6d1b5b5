"""Folders as they lie on a disk: archives in them are read, and what cannot be read is said while the rest is read."""

import contextlib
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from warren.inspect.snapshot.model import Estate, Host
from warren.inspect.verify.verify import verify
from warren.sources.folder import FILE_LIMIT_BYTES, hosts_of, read_tree
from warren.sources.open import read_source

REFERENCE = Path(__file__).parent.parent / "fixtures" / "neutron" / "6c-vm1-vm2-ping"
NOBODY = 65534


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    return Path(shutil.copytree(REFERENCE, tmp_path / "copy"))


@contextlib.contextmanager
def as_somebody_else(folder: Path) -> Iterator[None]:
    """In a folder, and without root's right to read everything."""
    before, own = Path.cwd(), os.geteuid()
    os.chdir(folder)
    if own == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(own)
        os.chdir(before)


def read_by_somebody_else(folder: Path) -> dict[str, Host]:
    folder.chmod(0o755)
    with as_somebody_else(folder):
        files = read_tree(Path())
    return {host.name: host for host in hosts_of(files, "copy")}


def said(host: Host) -> list[str]:
    return [str(problem) for problem in host.problems]


def test_a_file_that_cannot_be_read_is_a_problem_and_the_rest_is_read(copy: Path) -> None:
    (copy / "compute1" / "dump-flows_br-int").chmod(0)
    hosts = read_by_somebody_else(copy)
    assert set(hosts) == {"compute1", "compute2", "network"}
    assert said(hosts["compute1"]) == ["compute1/dump-flows_br-int: cannot be read: Permission denied"]
    assert [said(hosts[name]) for name in ("compute2", "network")] == [[], []]


def test_a_host_whose_folder_cannot_be_looked_into_is_not_passed_over(copy: Path) -> None:
    (copy / "compute1").chmod(0)
    inside = next((copy / "network").glob("dnsmasq_*"))
    inside.chmod(0)
    try:
        hosts = read_by_somebody_else(copy)
    finally:
        (copy / "compute1").chmod(0o755)
        inside.chmod(0o755)
    assert said(hosts["compute1"]) == ["compute1: cannot be read: Permission denied"]
    assert said(hosts["network"]) == [f"network/{inside.name}: cannot be read: Permission denied"]


def test_of_a_sosreport_only_what_somebody_reads_is_missed(tmp_path: Path) -> None:
    report = tmp_path / "sosreport-compute1"
    flows = report / "sos_commands" / "openvswitch"
    flows.mkdir(parents=True)
    for dump in (REFERENCE / "compute1").glob("dump-flows_br-*"):
        shutil.copy(dump, flows / f"ovs-ofctl_{dump.name}")
    for folder in ("etc/ssl/private", "sos_commands/networking"):
        (report / folder).mkdir(parents=True)
        (report / folder).chmod(0)
    try:
        (host,) = read_by_somebody_else(tmp_path).values()
    finally:
        for folder in ("etc/ssl/private", "sos_commands/networking"):
            (report / folder).chmod(0o755)
    assert said(host) == ["sosreport-compute1/sos_commands/networking: cannot be read: Permission denied"]


def test_a_file_larger_than_any_commands_output_is_a_problem(copy: Path) -> None:
    with (copy / "compute1" / "fdb_br-int").open("wb") as file:
        file.truncate(FILE_LIMIT_BYTES + 1)
    report = verify(Estate(hosts=read_source(str(copy))))
    assert [str(problem).partition(": cannot")[0] for problem in report.problems] == ["compute1/fdb_br-int"]


def packed(folder: Path, into: Path) -> None:
    for host in folder.iterdir():
        with tarfile.open(into / f"{host.name}.tar.gz", "w:gz") as archive:
            archive.add(host, arcname=host.name)


def test_a_folder_of_archives_reads_as_a_folder_of_hosts(copy: Path, tmp_path: Path) -> None:
    archives = tmp_path / "archives"
    archives.mkdir()
    packed(copy, archives)
    assert read_source(str(archives)) == read_source(str(copy))


def test_an_archive_beside_its_own_folder_is_left_alone(copy: Path) -> None:
    packed(REFERENCE, copy)
    (copy / "compute1" / "fdb_br-int").unlink()
    host = next(host for host in read_source(str(copy)) if host.name == "compute1")
    assert host.problems == ()
    assert [bridge.fdb for bridge in host.bridges if bridge.name == "br-int"] == [()]


def test_a_damaged_archive_in_a_folder_is_a_problem_and_the_rest_is_read(copy: Path) -> None:
    (copy / "compute9.tar.gz").write_bytes(b"\x1f\x8b\x08 not any more")
    hosts = {host.name: host for host in read_source(str(copy))}
    assert len(hosts) == 4
    assert "is damaged" in said(hosts["compute9.tar.gz"])[0]
