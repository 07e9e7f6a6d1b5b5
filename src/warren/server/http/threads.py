"""Where synchronous work runs: pools of threads beside the event loop, so that what it waits for holds up nobody."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

HASHING: Final = ThreadPoolExecutor(1, "hashing")
"""Where passwords are checked, which takes its time for anybody who asks: one after another, on one core, so that a
flood of logins holds up logins and nothing else."""


async def in_thread(work: Callable[[], T], pool: Executor | None = None) -> T:
    """The result of `work`, done in a thread of a pool, by default of the one for everything."""
    return await asyncio.get_running_loop().run_in_executor(pool, work)
