"""The flush, with progress: on a slow disk it takes minutes, and that is not a hang."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from partitioning.errors import DiskWriteError
from partitioning.open_disk import OpenDisk

_POLL = 0.2
_SILENCE = 1800.0
"""Seconds without a byte leaving the cache after which the disk is given up."""

_MEMINFO = Path("/proc/meminfo")
_WAITING = ("Dirty:", "Writeback:")


def flush(disk: OpenDisk, on_progress: Callable[[int, int], None]) -> None:
    """Flush ``disk``; ``on_progress`` gets the bytes that have left the cache, and how many there were.

    The kernel counts waiting bytes for all disks together; in a rescue system ours are nearly all of them.
    Raises DiskWriteError when the kernel reports an error of any earlier write, or when nothing moves.
    """
    worker = _Worker(disk)
    worker.start()
    first = left = _waiting_bytes()
    moved = time.monotonic()
    while not worker.done(_POLL):
        now_left = _waiting_bytes()
        if now_left != left:
            left, moved = now_left, time.monotonic()
        first = max(first, left)
        if time.monotonic() - moved > _SILENCE:
            raise _stuck(disk, left)
        on_progress(first - left, first)
    worker.check()


class _Worker(threading.Thread):
    """Flushes beside the main thread; a daemon, so that a dead disk does not keep the agent alive."""

    def __init__(self, disk: OpenDisk) -> None:
        super().__init__(name="flush", daemon=True)
        self._disk = disk
        self._error: DiskWriteError | None = None

    def run(self) -> None:
        try:
            self._disk.flush()
        except DiskWriteError as error:
            self._error = error

    def done(self, seconds: float) -> bool:
        self.join(seconds)
        return not self.is_alive()

    def check(self) -> None:
        if self._error is not None:
            raise self._error


def _waiting_bytes() -> int:
    lines = (line.split() for line in _MEMINFO.read_text().splitlines())
    return sum(int(fields[1]) * 1024 for fields in lines if fields[0] in _WAITING)


def _stuck(disk: OpenDisk, left: int) -> DiskWriteError:
    return DiskWriteError(
        f"Writing to {disk.path} has stopped.",
        detail=f"{left} bytes are waiting, and none has reached a disk for {_SILENCE:.0f} s.",
        hint="Look at the kernel's log (dmesg) and at the disk's health (smartctl), then use another disk.",
    )
