"""A private switch laid out as a host's, shared by all tests of this folder. It keeps what the example before left."""

from collections.abc import Iterator

import pytest

from warren.testing.bench import Bench, bench_of
from warren.testing.ovs import private_ovs


@pytest.fixture(scope="session")
def bench() -> Iterator[Bench]:
    with private_ovs() as ovs:
        yield bench_of(ovs)
