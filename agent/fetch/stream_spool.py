"""A spool that is read while it is filled, and never holds more than its window.

Readers wait for bytes that have not come; the fetcher waits while the window is full. When both wait and no
piece is under way that will give bytes back, the layout of the image needs a larger window, and the reader is
told so.
"""

import threading
import time
from collections.abc import Callable

from agent.fetch.errors import WindowTooSmall
from agent.fetch.spool import Spool
from agent.ranges import Ranges

UNKNOWN_SIZE = 1 << 62
"""What ``size`` is as long as nobody knows it: more than any file has, so nothing is beyond it."""

_POLL = 1.0
"""Seconds after which those that wait look around, whatever they were told."""


class Stopped(Exception):
    """Nobody wants the rest of the file."""


class StreamSpool(Spool):
    """See Spool. One thread appends, another reads in order; others read and give back what it was about."""

    def __init__(self, window: int, passes: Callable[[bytes | memoryview], None] | None = None) -> None:
        """``window`` is how many bytes may be held; ``passes`` gets all bytes in order, and may raise."""
        super().__init__()
        self._window = window
        self._passes = passes or (lambda _: None)
        # The lock is taken by itself, and not through the condition: a signal that is heard within the
        # condition's own __enter__ would leave it taken for ever.
        self._changed = threading.Condition(self._lock)
        self._total = UNKNOWN_SIZE
        self._ended = False
        self._failure: BaseException | None = None
        self._claims = 0
        self._no_memory = Ranges()
        self._freed = 0
        self._appending = threading.Lock()
        self._pending = 0
        self.waited = 0.0
        """Seconds for which bytes were waited for that had not come."""
        self.on_wait: Callable[[], None] = lambda: None
        """Called every second while bytes are waited for, by whoever waits."""

    @property
    def size(self) -> int:
        """Size of the whole file: as announced, or as it ended; UNKNOWN_SIZE before."""
        return self._total

    @property
    def known_size(self) -> int | None:
        """Size of the whole file; None as long as nobody knows it."""
        return None if self._total == UNKNOWN_SIZE else self._total

    @property
    def used(self) -> int:
        """How many bytes were used, and given back."""
        return self._freed

    @property
    def most_held(self) -> int:
        """How many bytes of memory it takes at the most from now on."""
        with self._lock:
            return self._held() if self._ended else self._window

    @property
    def has_ended(self) -> bool:
        """Tell whether all bytes have come."""
        return self._ended

    @property
    def is_full(self) -> bool:
        """Tell whether there are bytes for which there is no room."""
        with self._lock:
            return self._is_full()

    @property
    def can_start_again(self) -> bool:
        """Tell whether it can be emptied: no, what was read of it may be on a disk already."""
        return False

    def announce(self, total: int) -> None:
        """Take note of how long the file is going to be."""
        with self._lock:
            self._total = total
            self._changed.notify_all()

    def append(self, data: bytes | memoryview) -> float:
        """Add ``data`` at the end when there is room; give the seconds that had to be waited for it."""
        began = time.monotonic()
        with self._lock:
            self._pending = len(data)
            while self._is_full() and self._failure is None:
                self._changed.notify_all()
                self._changed.wait(_POLL)
            self._pending = 0
        waited = time.monotonic() - began
        with self._appending:
            self._raise_failure()
            self._passes(data)
            super().append(data)
        with self._lock:
            self._changed.notify_all()
        return waited

    def append_zeroes(self, length: int) -> None:
        """Add ``length`` bytes of zeroes, which take no memory."""
        with self._appending:
            self._raise_failure()
            start = self.arrived
            self._lengthen(length)
        with self._lock:
            if length:
                self._no_memory.add(start, start + length)
            self._freed = self._no_memory.length
            self._changed.notify_all()

    def set_window(self, window: int) -> None:
        """Hold no more than ``window`` bytes from now on."""
        with self._lock:
            self._window = window
            self._changed.notify_all()

    def truncate(self, size: int = 0) -> None:
        """Do nothing but keep all bytes: others may have been used already."""
        if size != self.arrived:
            raise ValueError("a file that is read while it comes can not be cut")

    def finish(self) -> None:
        """All bytes have come."""
        with self._lock:
            self._total, self._ended = self.arrived, True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Nothing more will come, or nothing more is wanted: ``error`` is raised for all who wait."""
        with self._lock:
            self._failure = self._failure or error
            self._changed.notify_all()

    def claim(self) -> None:
        """Somebody is going to give bytes back without reading on."""
        with self._lock:
            self._claims += 1

    def settle(self) -> None:
        """The bytes of one ``claim`` were given back."""
        with self._lock:
            self._claims -= 1
            self._changed.notify_all()

    def release(self, start: int, end: int) -> None:
        """Give the memory of the bytes from ``start`` to ``end`` back: nobody reads them again."""
        super().release(start, end)
        with self._lock:
            # Only now: before, the memory was not given back yet.
            if start < (end := min(end, self.arrived)):
                self._no_memory.add(start, end)
            self._freed = self._no_memory.length
            self._changed.notify_all()

    def read_around(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset`` when they have come; EOFError when they never will.

        Raises what ``come`` raises.
        """
        if offset + length > self._total:
            raise EOFError(f"{length} bytes at {offset} are not within {self._total} bytes")
        return super().read_around(length, offset)

    def come(self, end: int) -> int:
        """Wait until the bytes up to ``end`` have come; give ``end``, or where the file ends before it.

        Raises WindowTooSmall when they can not come before others are given back, and what ``fail`` got.
        """
        while not self._has_come(end):
            self.on_wait()
        return min(end, self._total)

    def _has_come(self, end: int) -> bool:
        """Wait for the bytes up to ``end``, for so long that nobody is kept in the dark."""
        with self._lock:
            look_around = time.monotonic() + _POLL
            while self.arrived < min(end, self._total) and not self._ended:
                self._raise_failure()
                if self._is_full() and not self._claims:
                    raise WindowTooSmall(needed=self._held() + end - self.arrived, available=self._window)
                began = time.monotonic()
                if began >= look_around:
                    return False
                self._changed.wait(look_around - began)
                self.waited += time.monotonic() - began
            return True

    def close(self) -> None:
        """Give all memory back, and let nobody append any more: another file may get the descriptor."""
        self.fail(Stopped())
        with self._appending:
            super().close()

    def _is_full(self) -> bool:
        """Tell whether the fetcher has bytes for which there is no room."""
        return self._pending > 0 and self._held() + self._pending > self._window

    def _held(self) -> int:
        return self.arrived - self._freed

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
