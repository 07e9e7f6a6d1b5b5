"""Where synchronous work runs: a pool of threads beside the event loop, so that what it waits for holds up nobody."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def in_thread(work: Callable[[], T]) -> T:
    """The result of `work`, done in a thread."""
    return await asyncio.get_running_loop().run_in_executor(None, work)
