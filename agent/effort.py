"""What a deployment is waiting for most: the network, the processor, or the disk."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum

_WINDOW = 2.0
"""Seconds that are looked at together: over less, one slow flush would decide."""
_MOSTLY = 0.5


class Limit(StrEnum):
    """What sets the pace."""

    NETWORK = "network"
    PROCESSOR = "processor"
    DISK = "disk"


class Effort:
    """Adds up where seconds go, as told from all threads, and says what most of them go to."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin now."""
        self._clock = clock
        self._lock = threading.Lock()
        self._spent: Counter[Limit | None] = Counter()
        self._since = clock()
        self._limit: Limit | None = None

    def add(self, limit: Limit | None, seconds: float) -> None:
        """``seconds`` were spent on, or with waiting for, what ``limit`` names; None is none of these."""
        with self._lock:
            self._spent[limit] += seconds  # type: ignore[assignment]  # a Counter counts what can be added

    @contextmanager
    def spent(self, limit: Limit) -> Iterator[None]:
        """Add the seconds that the block takes."""
        began = self._clock()
        try:
            yield
        finally:
            self.add(limit, self._clock() - began)

    def limit(self) -> Limit | None:
        """Tell what set the pace in the last seconds; None where too little is known."""
        with self._lock:
            elapsed = self._clock() - self._since
            if elapsed >= _WINDOW:
                self._limit = self._decide(elapsed)
                self._spent.clear()
                self._since = self._clock()
            return self._limit

    def _decide(self, elapsed: float) -> Limit | None:
        # One thread waits for the file, and several work: half of the time is enough there.
        for waiting in (Limit.NETWORK, None):
            if self._spent[waiting] > _MOSTLY * elapsed:
                return waiting
        if not any(self._spent.values()):
            return None
        return max((Limit.DISK, Limit.PROCESSOR), key=self._spent.__getitem__)
