"""One look at the run directory for all who watch the page."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass

from agent.errors import Refused
from agent.run_directory import RunDirectory
from agent.serve.threads import Threads
from agent.status import Status
from agent.status_now import status_now

INTERVAL = 0.25
"""Seconds between two looks: at most four statuses a second."""

MOST_LISTENERS = 32

_LOG_LINES = 20
_LOG_BYTES = 16 << 10
_LONGEST_LINE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the run directory holds at one moment."""

    status: Status | None = None
    problem: str | None = None
    """Why the status can not be told."""
    log: tuple[str, ...] = ()
    """The last lines of the log."""


class Watcher:
    """Looks while there is somebody who wants to know."""

    def __init__(self, where: RunDirectory, threads: Threads) -> None:
        """Look at ``where``."""
        self._where = where
        self._threads = threads
        self._listeners: set[asyncio.Event] = set()
        self._seen: Seen | None = None
        self._looking: asyncio.Task[None] | None = None
        self._closed = False

    def join(self) -> asyncio.Event | None:
        """Make room for one listener; None where there is none left, or nothing to listen to any more."""
        if len(self._listeners) >= MOST_LISTENERS or self._closed:
            return None
        changed = asyncio.Event()
        self._listeners.add(changed)
        if self._looking is None:
            self._looking = asyncio.create_task(self._look_again_and_again())
        elif self._seen is not None:
            changed.set()
        return changed

    def leave(self, changed: asyncio.Event) -> None:
        """Forget a listener."""
        self._listeners.discard(changed)
        if not self._listeners:
            self._end_looking()

    async def now(self) -> Seen:
        """Look once."""
        return await self._threads.run(look, self._where)

    async def changes(self, changed: asyncio.Event, heartbeat: float) -> AsyncIterator[Seen | None]:
        """Yield to a listener what there is, and again whenever it has changed.

        None comes after ``heartbeat`` seconds without a change. It ends when the watcher is closed. Whoever
        is slow misses what came between.
        """
        while not self._closed:
            yield await self._next(changed, heartbeat)

    def close(self) -> None:
        """Let every listener go."""
        self._closed = True
        for changed in self._listeners:
            changed.set()
        self._end_looking()

    async def _next(self, changed: asyncio.Event, heartbeat: float) -> Seen | None:
        try:
            async with asyncio.timeout(heartbeat):
                await changed.wait()
        except TimeoutError:
            return None
        changed.clear()
        return self._seen

    def _end_looking(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            self._looking = self._seen = None

    async def _look_again_and_again(self) -> None:
        while True:
            seen = await self.now()
            if seen != self._seen:
                self._seen = seen
                for changed in self._listeners:
                    changed.set()
            await asyncio.sleep(INTERVAL)


def look(where: RunDirectory) -> Seen:
    """Read the status and the end of the log."""
    try:
        status = status_now(where)
    except Refused as error:
        return Seen(problem=str(error))
    return Seen(status=status, log=_last_lines(where) if status else ())


def _last_lines(where: RunDirectory) -> tuple[str, ...]:
    with contextlib.suppress(OSError), where.log.open("rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        start = stream.seek(max(0, size - _LOG_BYTES))
        lines = stream.read(_LOG_BYTES).decode(errors="replace").splitlines()
        whole = lines[1:] if start else lines  # the first one may have begun before
        return tuple(line[:_LONGEST_LINE] for line in whole[-_LOG_LINES:])
    return ()
