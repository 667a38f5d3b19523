"""A few threads that work on items, no more of them at a time than memory is meant for.

The threads are daemons: a disk that never answers keeps neither the deployment waiting nor the process alive.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from partitioning.errors import DiskWriteError

_MOST_THREADS = 4
_WAITING = 2
"""Items for each thread that wait for it, are in it, or wait to be looked at after it."""
_SILENCE = 1800.0
"""Seconds in which no item is done after which the disk is given up."""
_ENDING = 60.0
"""Seconds to wait for what is under way when something else has gone wrong."""

_Item = TypeVar("_Item")


def in_threads(items: Iterable[_Item], work: Callable[[_Item], None], *, path: Path) -> Iterator[_Item]:
    """Do ``work`` with each item and yield it when that is done, in whatever order.

    What goes wrong first, in any thread, is raised when the others have stopped. Raises DiskWriteError when
    none ends for half an hour; ``path`` names the disk they work on.
    """
    # One more than there are processors: one waits for the disk, which is written past the cache.
    team = _Team(work, min(_MOST_THREADS, len(os.sched_getaffinity(0)) + 1), path)
    try:
        for item in items:
            team.give(item)
            yield from team.finished(leave=team.size * _WAITING)
        yield from team.finished(leave=0)
    finally:
        team.end()


class _Team(Generic[_Item]):
    def __init__(self, work: Callable[[_Item], None], size: int, path: Path) -> None:
        self.size = size
        self._work = work
        self._path = path
        self._to_do: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[tuple[_Item, BaseException | None]] = queue.SimpleQueue()
        self._under_way = 0
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._run, name=f"write-{number}", daemon=True) for number in range(size)
        ]
        for thread in self._threads:
            thread.start()

    def give(self, item: _Item) -> None:
        self._under_way += 1
        self._to_do.put(item)

    def finished(self, *, leave: int) -> Iterator[_Item]:
        """Yield what has been done, and wait until no more than ``leave`` items are under way."""
        while self._under_way and (self._under_way > leave or not self._done.empty()):
            try:
                item, error = self._done.get(timeout=_SILENCE)
            except queue.Empty:
                raise self._given_up() from None
            self._under_way -= 1
            if error is not None:
                raise error
            yield item

    def end(self) -> None:
        """Stop: nobody works on the disk any more, unless it keeps a call for longer than a minute."""
        self._stopped = True
        for _ in self._threads:
            self._to_do.put(None)
        deadline = time.monotonic() + _ENDING
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while (item := self._to_do.get()) is not None and not self._stopped:
            error: BaseException | None = None
            # Whatever it is: an error that stayed in the thread would read as success.
            try:
                self._work(item)
            except BaseException as caught:
                error = caught
            self._done.put((item, error))

    def _given_up(self) -> DiskWriteError:
        return DiskWriteError(
            f"Writing to {self._path} has stopped.",
            detail=f"Nothing has been done for {_SILENCE:.0f} s.",
            hint="Look at the kernel's log (dmesg) and the disk's health (smartctl), then use another disk.",
        )
