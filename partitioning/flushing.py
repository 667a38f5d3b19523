"""Waiting for the medium, with an end: a disk that died in the middle of a flush never answers.

The kernel's call can not be interrupted, so it is made in a thread of its own, and the caller gives up on
it. The thread is a daemon: a dead disk does not keep the process alive.
"""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from partitioning.errors import DiskWriteError

OnProgress = Callable[[int, int], None]
"""Gets the bytes that have left the cache, and how many there were."""

_POLL = 0.2
_SILENCE = 1800.0
"""Seconds without a byte leaving the cache after which the disk is given up."""
_LIMIT = 6 * 3600.0
"""Seconds after which it is given up in any case: what others write counts as life, too."""

_MEMINFO = Path("/proc/meminfo")
_WAITING = ("Dirty:", "Writeback:")


def wait_for_medium(path: Path, call: Callable[[], None], on_progress: OnProgress | None = None) -> None:
    """Make ``call``, which ends when the disk at ``path`` has taken all that waits for it.

    The kernel counts waiting bytes for all disks together; in a rescue system ours are nearly all of them.
    Raises whatever ``call`` raises, and DiskWriteError when the disk takes nothing any more.
    """
    worker = _Worker(call)
    watch = _Watch(path)
    worker.start()
    while not worker.done(_POLL):
        watch.look()
        if on_progress is not None:
            on_progress(watch.most - watch.left, watch.most)
    worker.check()


class _Worker(threading.Thread):
    def __init__(self, call: Callable[[], None]) -> None:
        super().__init__(name="flush", daemon=True)
        self._call = call
        self._error: BaseException | None = None

    def run(self) -> None:
        # Whatever it is: an error that stayed in the thread would read as success.
        try:
            self._call()
        except BaseException as error:
            self._error = error

    def done(self, seconds: float) -> bool:
        self.join(seconds)
        return not self.is_alive()

    def check(self) -> None:
        if self._error is not None:
            raise self._error


class _Watch:
    """Watches the waiting bytes grow less, and loses patience."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.most = self.left = _waiting_bytes()
        self._began = self._moved = time.monotonic()

    def look(self) -> None:
        before, self.left = self.left, _waiting_bytes()
        now = time.monotonic()
        self.most = max(self.most, self.left)
        if self.left < before:
            self._moved = now
        if now - self._moved > _SILENCE:
            raise self._given_up("has stopped", f"none has reached a disk for {_SILENCE:.0f} s")
        if now - self._began > _LIMIT:
            raise self._given_up("takes too long", f"the flush has not ended within {_LIMIT:.0f} s")

    def _given_up(self, what: str, why: str) -> DiskWriteError:
        return DiskWriteError(
            f"Writing to {self._path} {what}.",
            detail=f"{self.left} bytes are waiting, and {why}.",
            hint="Look at the kernel's log (dmesg) and the disk's health (smartctl), then use another disk.",
        )


def _waiting_bytes() -> int:
    lines = (line.split() for line in _MEMINFO.read_text().splitlines())
    return sum(int(fields[1]) * 1024 for fields in lines if fields[0] in _WAITING)
