"""What every test run shares: who may run root's tests, and that nothing is left behind."""

import contextlib
import os
import shutil
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

HERE: Final = Path(__file__).parent
FAST: Final = {"unit", "laws", "ovs"}
"""The tiers that --fast keeps, but for what needs root in them."""
SESSION: Final = "WARREN_TEST_SESSION"
"""Environment variable that every process started by this run inherits, and by which it is found again."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fast", action="store_true", help="only the quick tests that need no root")


def pytest_configure() -> None:
    """Programs that tests interrupt must hear it: a shell starts what it puts in the background deaf to SIGINT."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With --fast, keep the quick tiers; without, refuse root's tests to anybody else."""
    for_root = {item for item in items if item.get_closest_marker("root")}
    if config.getoption("--fast"):
        quick = [item for item in items if item.path.relative_to(HERE).parts[0] in FAST and item not in for_root]
        config.hook.pytest_deselected(items=[item for item in items if item not in quick])
        items[:] = quick
    elif for_root and os.geteuid() != 0:
        raise pytest.UsageError(f"{len(for_root)} of these tests need root: `sudo ./run test`, or `./run test --fast`.")


@pytest.fixture(scope="session", autouse=True)
def nothing_is_left_behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Processes, temporary files and named namespaces of this run are gone when it ends, or it fails naming them."""
    tmp_path_factory.getbasetemp()  # pytest's own stays where pytest keeps it
    os.environ[SESSION] = str(uuid.uuid4())
    folder = Path(tempfile.mkdtemp(prefix="wt-"))  # short: a Unix socket's path has at most 107 bytes (unix(7))
    os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    yield
    left = [*stop_processes(), *(f"file {path}" for path in folder.iterdir()), *named_namespaces()]
    shutil.rmtree(folder)
    assert not left, "left behind by the tests:\n" + "\n".join(left)


def stop_processes() -> list[str]:
    """End what this run started and forgot, and say what it was. What is just ending gets a moment to do so."""
    deadline = time.monotonic() + 3
    while (left := processes_of_this_run()) and time.monotonic() < deadline:
        time.sleep(0.05)
    for pid in left:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return [f"process {pid}: {command}" for pid, command in left.items()]


def processes_of_this_run() -> dict[int, str]:
    """Process id -> command line of every other process that has this run's mark in its environment."""
    mark = f"{SESSION}={os.environ[SESSION]}".encode()
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, PermissionError, ProcessLookupError):
            continue
    return found


def named_namespaces() -> list[str]:
    """Named network namespaces, where `./run test` gave this run a mount of its own for them."""
    if "WARREN_PRIVATE_NETNS" not in os.environ:
        return []
    return [f"network namespace {path.name}" for path in Path("/run/netns").iterdir()]
