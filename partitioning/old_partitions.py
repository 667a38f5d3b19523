"""Where the partitions of a disk's old table are, as far as anybody can still tell."""

from collections.abc import Iterable
from itertools import islice

from partitioning.errors import DiskError
from partitioning.open_disk import OpenDisk
from partitioning.partition_nodes import kernel_partitions
from partitioning.sysfs import REAL, Roots
from partitioning.table import read_table

ByteRange = tuple[int, int]
"""First byte and number of bytes."""

MOST = 256
"""Old partitions that are looked after: the most the kernel makes of one disk (DISK_MAX_PARTS)."""


def old_partitions(disk: OpenDisk, *, roots: Roots = REAL) -> tuple[ByteRange, ...]:
    """Give the ranges of all old partitions: those the kernel knows, and those in the table on the disk.

    The table counts in either sector size: a disk may have been written by somebody who saw another one.
    A table that can not be read is none. Of a table with thousands of entries, made to keep the wipe busy
    for hours, the first count, until there are ``MOST``; those the kernel knows come before all others.
    """
    found = dict.fromkeys(kernel_partitions(disk, roots=roots))
    for sector_size in (512, 4096):
        found |= dict.fromkeys(_of_table(disk, sector_size))
    return tuple(sorted(islice(found, MOST)))


def _of_table(disk: OpenDisk, sector_size: int) -> Iterable[ByteRange]:
    try:
        return [(part.start, part.size) for part in read_table(disk, sector_size).partitions]
    except DiskError:
        return []
