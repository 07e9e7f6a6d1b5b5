"""A host of its own for each test: a network namespace that the test's thread is in."""

import ctypes
import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from warren.agent.drivers import netns

CLONE_NEWNS = 0x20000


@pytest.fixture(scope="session")
def private_names() -> None:
    """Names of namespaces that only this run sees, as `./run test` gives it, also when pytest is called by hand."""
    if "WARREN_PRIVATE_NETNS" not in os.environ:
        assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
        Path("/run/netns").mkdir(exist_ok=True)
        subprocess.run(["mount", "--make-rslave", "/"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run/netns"], check=True)
        os.environ["WARREN_PRIVATE_NETNS"] = "1"


@pytest.fixture
def host(private_names: None) -> Iterator[str]:  # noqa: ARG001 - it must have run
    """A network namespace in which this thread and what it starts are; namespaces made meanwhile are removed."""
    name, before = f"wt-{uuid.uuid4().hex[:8]}", netns.names()
    netns.create(name)
    try:
        with netns.entered(name):
            yield name
    finally:
        for made in (netns.names() - before) | {name}:
            netns.delete(made)
