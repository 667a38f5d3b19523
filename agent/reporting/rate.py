"""Rate and remaining time from how many bytes were done when."""

import time
from collections import deque
from collections.abc import Callable

from agent.effort import Limit
from agent.status import Progress

_WINDOW = 10.0
_SETTLED = 2.0
"""Seconds: a rate over less says nothing of the time that is left."""


class Rate:
    """Turns byte counts into Progress; the rate is that of the last ten seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with the first bytes that are told of: they may have been done before."""
        self._clock = clock
        self._samples: deque[tuple[float, int]] = deque()
        self._total: int | None = None

    def progress(self, done: int, total: int | None, limited_by: Limit | None = None) -> Progress:
        """Note that ``done`` bytes of ``total`` are done, and what sets the pace."""
        moment = self._clock()
        if total != self._total or (self._samples and done < self._samples[-1][1]):
            # Other bytes are counted, or the work began again (a server that can not resume): what was
            # before says nothing now.
            self._samples.clear()
        self._total = total
        self._samples.append((moment, done))
        while len(self._samples) > 2 and moment - self._samples[1][0] > _WINDOW:
            self._samples.popleft()
        per_second = self._per_second()
        settled = moment - self._samples[0][0] >= _SETTLED and per_second >= 1
        return Progress(
            bytes_done=done,
            bytes_total=total,
            bytes_per_second=round(per_second),
            eta_seconds=round((total - done) / per_second) if settled and total is not None else None,
            limited_by=limited_by,
        )

    def _per_second(self) -> float:
        (first_moment, first), (last_moment, last) = self._samples[0], self._samples[-1]
        return (last - first) / (last_moment - first_moment) if last_moment > first_moment else 0.0
