"""Wiping: after it nothing on the disk can be recognised, assembled or booted.

What makes a disk recognisable stands within the first and the last few MiB of the disk and of each of its
partitions: partition tables (the backup GPT at the end), md 0.90 and 1.0 (the last 128 KiB), ZFS (the
last 512 KiB), LUKS2 (a second header within 4 MiB), bcache, LVM, and file systems.
"""

from collections.abc import Callable, Iterable

from partitioning.old_partitions import ByteRange
from partitioning.open_disk import OpenDisk

MARGIN = 8 << 20
_ERASE_PIECE = 256 << 20

OnProgress = Callable[[int], None]
"""Called with the bytes done so far."""


def plan_wipe(size: int, partitions: Iterable[ByteRange] = ()) -> tuple[ByteRange, ...]:
    """Return the ranges to zero on a disk of ``size`` bytes, in order and without overlap.

    They are the first and the last 8 MiB of the disk and of each of ``partitions``, as far as these are
    within the disk.
    """
    ends = sorted(edge for whole in ((0, size), *partitions) for edge in _edges(*whole, size))
    merged: list[ByteRange] = []
    for start, end in ends:
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        elif start < end:
            merged.append((start, end))
    return tuple((start, end - start) for start, end in merged)


def wipe_signatures(open_disk: OpenDisk, partitions: Iterable[ByteRange] = ()) -> None:
    """Make the disk unrecognisable: zero both ends of it and of each old partition.

    What ``partitions`` there were (``old_partitions``) is asked, and the kernel made to forget them
    (``drop_partition_nodes``), before; one that is in use shows then, while the disk is still whole.
    Raises DiskWriteError.
    """
    for start, length in plan_wipe(open_disk.size, partitions):
        open_disk.zero(start, length)
    open_disk.flush()
    open_disk.drop_cache()


def erase_all(open_disk: OpenDisk, on_progress: OnProgress | None = None) -> None:
    """Zero the whole disk, piece by piece. Raises DiskWriteError.

    Each piece is flushed before it counts as done: without a fast way to zero, the last flush would else
    take as long as all the rest.
    """
    done = 0
    while done < open_disk.size:
        piece = min(_ERASE_PIECE, open_disk.size - done)
        open_disk.zero(done, piece)
        open_disk.flush()
        done += piece
        if on_progress is not None:
            on_progress(done)
    open_disk.drop_cache()


def _edges(start: int, length: int, size: int) -> tuple[ByteRange, ByteRange]:
    """Return both ends of a range as (first byte, byte after), clamped to the disk."""
    first, end = max(0, start), start + length
    clamped = (min(end, first + MARGIN), max(first, end - MARGIN))
    return (min(first, size), min(clamped[0], size)), (min(clamped[1], size), min(end, size))
