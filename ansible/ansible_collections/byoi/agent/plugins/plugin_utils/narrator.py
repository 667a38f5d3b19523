"""What is told of a deployment while it runs: a line when a step begins, and how far it is now and then."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Event = Mapping[str, Any]

INTERVAL = 10.0
"""Seconds between two lines of progress of one server; a fleet has many."""
_UNITS = ("B", "kB", "MB", "GB", "TB")


class Narrator:
    """Tells one server's events, as they come, in few lines."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin; ``clock`` gives seconds."""
        self._clock = clock
        self._title = ""
        self._told = clock()

    def lines(self, events: Sequence[Event]) -> list[str]:
        """Give what is to be shown of these events: of steps that follow each other quickly, the last."""
        before, progress = self._title, None
        for event in events:
            if event.get("event") == "step_started":
                self._title, progress = str(event["message"]), None
            elif event.get("event") == "progress":
                progress = event
        due = self._clock() - self._told >= INTERVAL
        if self._title == before and not (progress and due):
            return []
        self._told = self._clock()
        return [self._title + (f": {progress_words(progress)}" if progress and self._title == before else "")]


def progress_words(progress: Event) -> str:
    """Say how far it is, as in 45 %, 1.2 GB of 2.7 GB, 95 MB/s, 15 s left."""
    done, total = progress["bytesDone"], progress.get("bytesTotal")
    words = [f"{100 * done // total} %", f"{size(done)} of {size(total)}"] if total else [size(done)]
    if rate := progress.get("bytesPerSecond"):
        words.append(f"{size(rate)}/s")
    if (eta := progress.get("etaSeconds")) is not None:
        words.append(f"{eta} s left")
    return ", ".join(words)


def size(count: float) -> str:
    """Write a number of bytes with three digits."""
    for unit in _UNITS:
        if count < 999.5 or unit == _UNITS[-1]:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    raise AssertionError
