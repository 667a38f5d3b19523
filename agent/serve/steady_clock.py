"""The time of day, as it was when the server started, and from there on as steady as time is.

A rescue system begins with the clock of its hardware, which may be wrong, and corrects it later. If the
window in which a call counts moved with it, a call that was taken, and forgotten, would count once more.
"""

import time


class SteadyClock:
    """Gives seconds since 1970; they pass as they do, whatever becomes of the system's clock."""

    def __init__(self) -> None:
        """Take the time."""
        self._from = time.time() - time.monotonic()

    def __call__(self) -> float:
        """Give the time."""
        return self._from + time.monotonic()
