"""The one context every step is entered and left through; whoever wants to know listens behind it."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from agent.reporting import events
from agent.reporting.rate import Rate
from agent.reporting.status_change import apply
from agent.status import Status

log = logging.getLogger(__name__)

_PROGRESS_INTERVAL = 0.2
"""Seconds between two progress events: at most five a second."""


class Listener(Protocol):
    """Gets every event, with the status as it is after it."""

    def handle(self, event: events.Event, status: Status) -> None:
        """Take note of the event."""
        ...


class Reporter:
    """Keeps the status and tells the listeners. It never prints and never fails because of a listener."""

    def __init__(
        self, status: Status, listeners: Sequence[Listener], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with ``status``; the listeners are told of everything from here on."""
        self.status = status
        self._listeners = list(listeners)
        self._clock = clock
        self._step = ""
        self._rate = Rate(clock)
        self._last_progress = 0.0

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[None]:
        """Report that a step begins, and that it ends when it ends without an error."""
        started = self._clock()
        self._step, self._rate = name, Rate(self._clock)
        self.tell(events.StepStarted(name, title))
        yield
        self.tell(events.StepFinished(name, self._clock() - started))

    def progress(self, done: int, total: int | None) -> None:
        """Report how many bytes of the current step are done; called as often as one likes."""
        moment = self._clock()
        if moment - self._last_progress >= _PROGRESS_INTERVAL:
            self._last_progress = moment
            self.tell(events.Progressed(self._step, self._rate.progress(done, total)))

    def note(self, text: str) -> None:
        """Report something worth saying."""
        self.tell(events.Note(text))

    def warn(self, text: str) -> None:
        """Report something the operator should know; it stays in the status."""
        self.tell(events.Warned(text))

    def tell(self, event: events.Event) -> None:
        """Change the status by ``event`` and tell every listener."""
        self.status = apply(event, self.status)
        for listener in tuple(self._listeners):
            try:
                listener.handle(event, self.status)
            except OSError as error:
                # A closed terminal or a full file system must not cost a deployment.
                log.warning("%s no longer listens: %s", type(listener).__name__, error)
                self._listeners.remove(listener)
