"""Holds what is sent to the rate of a link."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_BURST = 0.05
"""Seconds of sending that a sender who came late may catch up with; what it lost beyond that stays lost."""


class LinkRate:
    """One link that all answers of a server share."""

    def __init__(
        self,
        bytes_per_second: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`clock` and `sleep` are for tests."""
        self._seconds_per_byte = 1 / bytes_per_second
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._free_at = 0.0

    def begin(self) -> None:
        """Note that an answer begins: the time before it is none to catch up with."""
        with self._lock:
            self._free_at = max(self._free_at, self._clock())

    def wait_for(self, length: int) -> None:
        """Return when the link has carried `length` more bytes."""
        with self._lock:
            now = self._clock()
            self._free_at = max(self._free_at, now - _BURST) + length * self._seconds_per_byte
            delay = self._free_at - now
        if delay > 0:
            self._sleep(delay)
