"""The signatures that were taken lately: a call that somebody sends once more is not taken again."""

import time
from collections import OrderedDict
from collections.abc import Callable

WINDOW = 60
"""Seconds that the time of a call may differ from this server's."""

SAME_AGAIN = 5.0
"""Seconds within which a call that changes nothing is taken again.

The official clients sign with whole seconds, so two equal questions in one second have one signature."""

_MOST = 4096


class SeenSignatures:
    """Remembers them for as long as their time lets them pass, and no more of them than there is room for."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, *, most: int = _MOST) -> None:
        """Remember at most ``most`` of those that change something, and as many that do not."""
        self._clock = clock
        self._most = most
        self._changing: OrderedDict[str, float] = OrderedDict()
        self._asking: OrderedDict[str, float] = OrderedDict()

    def is_new(self, signature: str) -> bool:
        """Take note of a call that changes something; tell whether it is the first of this signature."""
        self._forget_old(self._changing)
        if signature in self._changing:
            return False
        self._changing[signature] = self._clock()
        return True

    def may_ask(self, signature: str) -> bool:
        """Take note of a call that changes nothing; tell whether it is new, or was new a moment ago."""
        self._forget_old(self._asking)
        while len(self._asking) >= self._most:  # what is told again is only the status
            self._asking.popitem(last=False)
        first = self._asking.setdefault(signature, self._clock())
        return self._clock() - first <= SAME_AGAIN

    @property
    def is_full(self) -> bool:
        """Tell whether no further call that changes something can be remembered."""
        self._forget_old(self._changing)
        return len(self._changing) >= self._most

    def _forget_old(self, seen: OrderedDict[str, float]) -> None:
        # From the far end of the window to the other.
        past = self._clock() - 2 * WINDOW - 1
        while seen and next(iter(seen.values())) < past:
            seen.popitem(last=False)
