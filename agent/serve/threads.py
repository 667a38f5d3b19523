"""Work that may wait for a disk, done beside the event loop in a few threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_MOST = 4


class Threads:
    """A few threads; what finds all of them at work waits for its turn."""

    def __init__(self) -> None:
        """Begin without any; they come with the work."""
        self._pool = ThreadPoolExecutor(_MOST, thread_name_prefix="serve")

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do ``work``, which has to come to an end by itself within seconds, and give what it gives."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, lambda: work(*args, **kwargs))

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)
