"""A host of its own for each test: a network namespace that the test's thread is in."""

import uuid
from collections.abc import Iterator

import pytest

from warren.agent.drivers import netns


@pytest.fixture
def host() -> Iterator[str]:
    """A network namespace in which this thread and what it starts are; namespaces made meanwhile are removed."""
    name, before = f"wt-{uuid.uuid4().hex[:8]}", netns.names()
    netns.create(name)
    try:
        with netns.entered(name):
            yield name
    finally:
        for made in (netns.names() - before) | {name}:
            netns.delete(made)
