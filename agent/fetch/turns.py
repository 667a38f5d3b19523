"""The places an image can be had from, tried in turn."""

from collections.abc import Mapping
from contextlib import ExitStack
from enum import Enum, auto

from agent.fetch.asking import Asker, Reply
from agent.fetch.broken import Broken
from agent.fetch.local_file import LocalFile
from agent.fetch.retry import RetryPolicy
from agent.fetch.session import Session
from agent.fetch.source import Source


class Turn(Enum):
    """What comes after an attempt that has failed."""

    HERE = auto()
    """The same place once more, or nothing where that is of no use."""
    ELSEWHERE = auto()
    """The next place, at once."""
    ELSEWHERE_LATER = auto()
    """The next place, but all have just failed."""


class Turns:
    """The URL and its mirrors; one of them is asked until it fails."""

    def __init__(self, source: Source, policy: RetryPolicy) -> None:
        """Begin with the URL itself. Nothing is sent yet."""
        self._sources = [source, *(source.mirrored_at(url) for url in source.mirrors)]
        self._policy = policy
        self._askers: dict[int, Asker] = {}
        self._now = 0
        self._given_up: set[int] = set()
        self._failed: set[int] = set()
        self._stack = ExitStack()

    @property
    def source(self) -> Source:
        """Who is asked now."""
        return self._sources[self._now]

    @property
    def has_others(self) -> bool:
        """Tell whether there is another place that was not given up."""
        return bool(self._left() - {self._now})

    def ask(self, extra: Mapping[str, str]) -> Reply:
        """Ask whose turn it is. Raises Broken."""
        if self._now not in self._askers:
            self._askers[self._now] = _asker(self.source, self._policy)
            self._stack.callback(self._askers[self._now].close)
        return self._askers[self._now].ask(extra)

    def after(self, broken: Broken, *, has_moved: bool) -> Turn:
        """Decide what comes after an attempt; ``has_moved``: it has brought something new."""
        if has_moved:
            self._failed.clear()
            if not broken.final:
                return Turn.HERE
        self._failed.add(self._now)
        if broken.final:
            self._given_up.add(self._now)
        if not self.has_others:
            return Turn.HERE
        self._now = self._following()
        if self._now not in self._failed:
            return Turn.ELSEWHERE
        self._failed.clear()
        return Turn.ELSEWHERE_LATER

    def close(self) -> None:
        """Close all connections."""
        self._stack.close()

    def _following(self) -> int:
        count = len(self._sources)
        around = ((self._now + step) % count for step in range(1, count))
        return next(place for place in around if place not in self._given_up)

    def _left(self) -> set[int]:
        return set(range(len(self._sources))) - self._given_up


def _asker(source: Source, policy: RetryPolicy) -> Asker:
    return LocalFile(source.url) if source.is_file else Session(source, policy)
