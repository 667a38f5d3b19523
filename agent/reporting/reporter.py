"""The one context every step is entered and left through; whoever wants to know listens behind it."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from agent.effort import Limit
from agent.errors import Interrupted, Refused
from agent.reporting import events
from agent.reporting.rate import Rate
from agent.reporting.status_change import apply
from agent.status import Status

# Nothing here is a warning: where there is no log, Python writes those to standard error.
log = logging.getLogger(__name__)

_PROGRESS_INTERVAL = 0.2
"""Seconds between two progress events: at most five a second."""


class Listener(Protocol):
    """Gets every event, with the status as it is after it."""

    def handle(self, event: events.Event, status: Status) -> None:
        """Take note of the event."""
        ...


class Record(Protocol):
    """Where the status is kept for others to read: a listener that is never left out."""

    def handle(self, event: events.Event, status: Status) -> None:
        """Keep the status. Raises OSError."""
        ...

    def refused(self, error: Exception) -> Refused:
        """Explain why no deployment begins while the status can not be kept."""
        ...


class Reporter:
    """Keeps the status and tells the listeners. It never prints and never fails because of a listener."""

    def __init__(
        self, status: Status, listeners: Sequence[Listener], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin with ``status``; the listeners are told of everything from here on."""
        self.status = status
        self._listeners = list(listeners)
        self._record: Record | None = None
        self._clock = clock
        self._step = ""
        self._rate = Rate(clock)
        self._last_progress = 0.0

    def keep_in(self, record: Record) -> None:
        """Keep the status in ``record`` from now on. Raises Refused where that can not be done."""
        try:
            record.handle(events.Note(self.status.message), self.status)
        except Interrupted:
            raise
        except Exception as error:
            raise record.refused(error) from error
        self._record = record

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[None]:
        """Report that a step begins, and that it ends when it ends without an error."""
        started = self._clock()
        self._step, self._rate = name, Rate(self._clock)
        self.tell(events.StepStarted(name, title))
        yield
        self.tell(events.StepFinished(name, self._clock() - started))

    def progress(self, done: int, total: int | None, limited_by: Limit | None = None) -> None:
        """Report how many bytes of the current step are done; called as often as one likes.

        ``limited_by`` is what sets the pace, where that can be told.
        """
        moment = self._clock()
        if moment - self._last_progress >= _PROGRESS_INTERVAL:
            self._last_progress = moment
            self.tell(events.Progressed(self._step, self._rate.progress(done, total, limited_by)))

    def note(self, text: str) -> None:
        """Report something worth saying."""
        self.tell(events.Note(text))

    def warn(self, text: str) -> None:
        """Report something the operator should know; it stays in the status."""
        self.tell(events.Warned(text))

    def tell(self, event: events.Event) -> None:
        """Change the status by ``event`` and tell every listener.

        Raises Refused, and changes nothing, when the disk is about to be overwritten and that can not be
        kept on record: a status that says too little of the disk would stay for good.
        """
        changed = apply(event, self.status)
        self._keep(event, changed)
        self.status = changed
        for listener in tuple(self._listeners):
            try:
                listener.handle(event, changed)
            except Interrupted:
                raise  # a signal that came just then is the deployment's, not the listener's
            except Exception as error:  # a listener must not cost a deployment
                log.info("%s no longer listens: %s", type(listener).__name__, _reason(error))
                self._listeners.remove(listener)

    def _keep(self, event: events.Event, changed: Status) -> None:
        if self._record is None:
            return
        try:
            self._record.handle(event, changed)
        except Interrupted:
            raise
        except Exception as error:
            # The next event brings the next try.
            log.info("the status was not written: %s", _reason(error))
            if isinstance(event, events.DiskTouched):
                raise self._record.refused(error) from error


def _reason(error: Exception) -> str:
    # The text of an unforeseen error may hold anything, a secret as well.
    return str(error) if isinstance(error, OSError) else type(error).__name__
