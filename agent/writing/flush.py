"""The flush, with progress: on a slow disk it takes minutes, and that is not a hang."""

from collections.abc import Callable

from partitioning.open_disk import OpenDisk


def flush(disk: OpenDisk, on_progress: Callable[[int, int], None]) -> None:
    """Flush ``disk``; ``on_progress`` gets the bytes that have left the cache, and how many there were.

    Raises DiskWriteError; see partitioning/flushing.py.
    """
    disk.flush(on_progress)
