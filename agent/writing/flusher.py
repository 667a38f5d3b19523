"""Flushing while writing goes on: what waits in the kernel's cache stays little, and the last flush short."""

import os
import threading
from types import TracebackType
from typing import Self

from partitioning.errors import DiskWriteError
from partitioning.open_disk import OpenDisk

_STEP = 64 << 20
"""Bytes written after which they are flushed."""
_ENDING = 60.0
"""Seconds to wait for a flush under way; the step after this one waits for what is left."""


class Flusher:
    """Flushes from a thread of its own. Use it as a context around the writing.

    It has the disk open by itself: the kernel tells each who has it open of an error, and only once, so the
    last flush finds what this one has found.
    """

    def __init__(self, disk: OpenDisk) -> None:
        """Flush ``disk``."""
        self._path = disk.path
        self._fd = os.open(f"/proc/self/fd/{disk.fd}", os.O_RDONLY | os.O_CLOEXEC)
        # The lock is taken by itself, and not through the condition: a signal that is heard within the
        # condition's own __enter__ would leave it taken for ever.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting = 0
        self._closed = False
        self._error: OSError | None = None
        self._thread = threading.Thread(target=self._run, name="flush-steps", daemon=True)

    def written(self, length: int) -> None:
        """Count ``length`` more bytes. Raises DiskWriteError when a flush has failed."""
        with self._lock:
            self._check()
            self._waiting += length
            if self._waiting >= _STEP:
                self._changed.notify()

    def _run(self) -> None:
        try:
            while self._wait():
                os.fdatasync(self._fd)
        except OSError as error:
            with self._lock:
                self._error = error
        finally:
            os.close(self._fd)

    def _wait(self) -> bool:
        with self._lock:
            self._changed.wait_for(lambda: self._closed or self._waiting >= _STEP)
            self._waiting = 0
            return not self._closed

    def _check(self) -> None:
        if self._error is not None:
            raise DiskWriteError(
                f"Writing to {self._path} failed.",
                detail=f"The kernel reported at flush: {os.strerror(self._error.errno or 0)}.",
                hint="Look at the kernel's log (dmesg) and the disk's health (smartctl); use another disk.",
            ) from self._error

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End."""
        with self._lock:
            self._closed = True
            self._changed.notify()
        self._thread.join(_ENDING)
