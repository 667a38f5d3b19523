"""Posts the status to the provisioning system: every change, in order, and in between that it goes on.

The deployment never waits for it, but for the very end: see ``arrives_within``.
"""

import json
import logging
import threading
from collections import deque
from typing import Protocol

from agent.boot_mode.retries import POST_TIMES
from agent.fetch.broken import Broken
from agent.fetch.retry import RetryPolicy
from agent.reporting import events
from agent.status import Status

log = logging.getLogger(__name__)

HEARTBEAT = 5.0
"""Seconds after which the status is posted again, with the progress by then."""


class Line(Protocol):
    """The way to whoever is told."""

    def post(self, body: bytes) -> None:
        """Send one status. Raises Broken."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class StatusPoster:
    """A listener that posts from a thread of its own."""

    def __init__(self, line: Line, policy: RetryPolicy = POST_TIMES, *, heartbeat: float = HEARTBEAT) -> None:
        """Post over ``line``, which belongs to this from now on."""
        self._line = line
        self._policy = policy
        self._heartbeat = heartbeat
        # The lock is taken by itself, and not through the condition: a signal that is heard within the
        # condition's own __enter__ would leave it taken for ever.
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._waiting: deque[Status] = deque()
        self._latest: Status | None = None
        self._arrived: Status | None = None
        self._failures = 0
        self._closing = self._stopped = False
        self._thread = threading.Thread(target=self._run, name="status-poster", daemon=True)
        self._thread.start()

    def handle(self, event: events.Event, status: Status) -> None:
        """Take note; progress is posted with the next heartbeat."""
        with self._lock:
            if not isinstance(event, events.Progressed) and status != self._latest:
                self._waiting.append(status)
                self._changed.notify()
            self._latest = status

    def arrives_within(self, seconds: float) -> bool:
        """Wait at most so long until the last status has arrived, and tell whether it has.

        Where the way has been cut since earlier ones, they are left out: the last one says it all.
        """
        with self._lock:
            self._closing = True
            if self._failures and self._waiting:
                self._waiting = deque([self._waiting[-1]])
            self._changed.notify()
        self._thread.join(seconds)
        with self._lock:
            return self._arrived is self._latest

    def close(self) -> None:
        """Post nothing any more."""
        with self._lock:
            self._closing = self._stopped = True
            self._changed.notify()

    def _run(self) -> None:
        while (status := self._next()) is not None:
            try:
                self._line.post(json.dumps(status.full()).encode())
            except Broken as broken:
                self._failed(status, broken)
            else:
                self._posted(status)
        self._line.close()

    def _next(self) -> Status | None:
        """Wait for what is to be posted next; None: that was all."""
        with self._lock:
            while not self._waiting or self._stopped:
                if self._closing:
                    return None
                if not self._changed.wait(self._heartbeat) and self._latest is not None:
                    return self._latest
            return self._waiting[0]

    def _posted(self, status: Status) -> None:
        with self._lock:
            self._failures = 0
            self._arrived = status
            self._leave_out(status)

    def _failed(self, status: Status, broken: Broken) -> None:
        log.info("the status was not posted: %s", broken.reason)
        with self._lock:
            if broken.final:  # the next one may be taken; this one will not
                self._leave_out(status)
                return
            self._failures += 1
            self._changed.wait(self._policy.delay(self._failures))

    def _leave_out(self, status: Status) -> None:
        if self._waiting and self._waiting[0] is status:
            self._waiting.popleft()
