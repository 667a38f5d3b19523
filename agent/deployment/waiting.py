"""What waiting for an image's file says of what sets the pace, and what it does not."""

from agent.effort import Effort, Limit


class Beside(Effort):
    """For a download that goes on beside other work: what it takes of the processor counts.

    That it waits for the network is no matter, as long as nobody waits for it.
    """

    def __init__(self, effort: Effort) -> None:
        """Tell ``effort``."""
        super().__init__()
        self._effort = effort
        self.busy = 0.0
        """Seconds for which it had the processor."""

    def add(self, limit: Limit | None, seconds: float) -> None:
        """``seconds`` were spent on, or with waiting for, what ``limit`` names."""
        if limit is Limit.PROCESSOR:
            self.busy += seconds
            self._effort.add(limit, seconds)


class Waiting(Effort):
    """For who waits for a file to come, and calls that waiting for the network."""

    def __init__(self, effort: Effort, *, is_local: bool, beside: Beside | None = None) -> None:
        """Tell ``effort``. The file may be one of this system, and ``beside`` may be what brings it."""
        super().__init__()
        self._effort = effort
        self._name = None if is_local else Limit.NETWORK
        self._beside = beside
        self._busy = 0.0

    def add(self, limit: Limit | None, seconds: float) -> None:
        """``seconds`` were spent on, or with waiting for, what ``limit`` names."""
        if limit is Limit.NETWORK:
            self._effort.add(self._name, max(0.0, seconds - self._newly_busy()))
        else:
            self._effort.add(limit, seconds)

    def _newly_busy(self) -> float:
        """Give the seconds in which the download has computed sums since the last time."""
        if self._beside is None:
            return 0.0
        before, self._busy = self._busy, self._beside.busy
        return self._busy - before
