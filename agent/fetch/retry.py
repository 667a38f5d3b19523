"""How long to wait, how often to try again, and when to give up."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.fetch.broken import Broken

_CHANCE = random.Random()  # noqa: S311 - it spreads retries, and hides nothing
"""Its own, so that threads which wait change nothing in what others draw."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """All limits of a download; times are seconds, sizes bytes."""

    retries: int = 6
    """Attempts in a row, after the first, that may fail without having brought anything new."""
    base_delay: float = 1.0
    """The wait before the first retry; doubled for each one after it."""
    max_delay: float = 30.0
    retry_after_limit: float = 120.0
    """A server that asks for a longer wait (Retry-After) is asked again after this time."""
    silence_limit: float = 600.0
    """Give up when no byte has come for this long, whatever number of retries is left."""
    whole_limit: float = 24 * 3600.0
    """Give up when the whole download takes longer."""
    min_progress: int = 64 << 10
    """An attempt has brought something new when at least so many bytes were added to the most ever held."""
    connect_timeout: float = 15.0
    """For each address of the host."""
    answer_timeout: float = 60.0
    """From the connection to the end of the answer's header, however slowly it drips."""
    stall_timeout: float = 60.0
    """No byte for this long is a stall."""
    min_speed: float = 1024.0
    """Bytes a second; less, averaged over ``stall_timeout``, is a stall as well."""
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    chance: Callable[[], float] = _CHANCE.random
    """A number from 0 to 1, for the jitter."""

    def delay(self, retry: int) -> float:
        """Return the wait before retry number ``retry`` (from 1): half of it is fixed, half is chance.

        Servers that were all cut off at the same moment must not all come back at the same moment.
        """
        whole = min(self.max_delay, self.base_delay * 2.0 ** min(retry - 1, 32))
        return whole * (1 + self.chance()) / 2


class Patience:
    """Counts what was tried and decides after each failure. One for each download."""

    def __init__(self, policy: RetryPolicy) -> None:
        """Start the clock."""
        self._policy = policy
        self._started = policy.clock()
        self._heard = self._started
        self._most = 0
        self._most_at_retry = 0
        self.retry = 0
        """How many retries in a row have brought nothing new."""

    def received(self, held: int) -> None:
        """Bytes have come; ``held`` are there now. Raises Broken when the whole takes too long."""
        self._heard = self._policy.clock()
        self._most = max(self._most, held)
        if self._heard - self._started > self._policy.whole_limit:
            raise Broken(
                f"It is not complete after {self._policy.whole_limit:.0f} s, and that is the limit.",
                hint="Put the image on a server with a faster way to this one.",
                final=True,
            )

    def pause(self, seconds: float) -> None:
        """Leave out the time in which nothing could be taken."""
        self._started += seconds

    def wait(self, broken: Broken) -> float | None:
        """Return how long to wait before the next attempt, or None: it is not worth another one."""
        if self._most - self._most_at_retry >= self._policy.min_progress:
            self._most_at_retry = self._most
            self.retry = 0
        self.retry += 1
        if broken.final or self.retry > self._policy.retries:
            return None
        delay = max(self._policy.delay(self.retry), self._asked_for(broken))
        return delay if self._in_time(delay) else None

    def _asked_for(self, broken: Broken) -> float:
        return min(broken.retry_after or 0.0, self._policy.retry_after_limit)

    def _in_time(self, delay: float) -> bool:
        then = self._policy.clock() + delay
        return (
            then - self._heard <= self._policy.silence_limit
            and then - self._started <= self._policy.whole_limit
        )


class SpeedGuard:
    """Tells a transfer that drips from one that flows. One for each attempt."""

    def __init__(self, policy: RetryPolicy, held: int) -> None:
        """Start the first window; ``held`` bytes are there."""
        self._policy = policy
        self._since = policy.clock()
        self._held = held

    def pause(self, seconds: float) -> None:
        """Leave out the time in which nothing could be taken."""
        self._since += seconds

    def check(self, held: int) -> None:
        """Raise Broken when the window that ends now brought too little."""
        now = self._policy.clock()
        seconds = now - self._since
        if seconds < self._policy.stall_timeout:
            return
        if held - self._held < self._policy.min_speed * seconds:
            raise Broken(
                f"The transfer stalled: {held - self._held} bytes came in {seconds:.0f} s.",
                hint="Look for what slows the network or the server down, then start the deployment again.",
            )
        self._since, self._held = now, held
