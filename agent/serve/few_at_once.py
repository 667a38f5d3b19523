"""A bound on how much is done, or held, at once: more than that is refused, and may be tried again."""

from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus

from agent.serve.refusal import CallRefused


class FewAtOnce:
    """Counts what is under way. For the event loop alone."""

    def __init__(self, most: int) -> None:
        """Let so many pass."""
        self._most = most
        self._now = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Be one of them for the time of the block. Raises CallRefused."""
        if self._now >= self._most:
            raise CallRefused(
                HTTPStatus.TOO_MANY_REQUESTS,
                "TOO_MANY_CALLS",
                "There are too many calls at once.",
                detail="Several calls are under way.",
                hint="Try again in a moment.",
                Retry_After="5",
            )
        self._now += 1
        try:
            yield
        finally:
            self._now -= 1
