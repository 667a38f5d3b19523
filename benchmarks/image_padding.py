"""Fills a disk image up with data that is like that of a system, in extents with holes between."""

import os
import random
from collections.abc import Callable, Iterator
from pathlib import Path

CLUSTER = 64 << 10
ZEROS = bytes(CLUSTER)
_LONGEST = 512
"""Clusters in one extent at the most: 32 MiB."""
_ALREADY_PACKED = 48
"""Every so many clusters one can not be compressed, as files that are compressed already."""


def pad(disk: Path, *, start: int, end: int, length: int) -> None:
    """Spread ``length`` bytes evenly over ``disk`` from ``start`` to ``end``, all multiples of 64 KiB.

    The data is what the disk has already, over and over. Clusters of qcow2 are compressed one by one, and a
    compressor's window is smaller than a system: to both, it is as if all of it were new.
    """
    random_ = random.Random(1)
    packed = 0
    with disk.open("r+b") as file:
        next_cluster = _cycle(disk)
        for offset, clusters in _extents(random_, start=start, end=end, length=length):
            file.seek(offset)
            for _ in range(clusters):
                packed = (packed + 1) % _ALREADY_PACKED
                file.write(next_cluster() if packed else random_.randbytes(CLUSTER))


def _extents(random_: random.Random, *, start: int, end: int, length: int) -> Iterator[tuple[int, int]]:
    """Offset in bytes and length in clusters; most are short, most data is in long ones."""
    done, total, room = 0, length // CLUSTER, (end - start) // CLUSTER
    while done < total:
        clusters = min(round(_LONGEST ** random_.random()), total - done)
        yield start + done * room // total * CLUSTER, clusters
        done += clusters


def _cycle(disk: Path) -> Callable[[], bytes]:
    """The clusters of ``disk`` as it is now that are not all zero, in order and over again."""
    file = os.open(disk, os.O_RDONLY)
    try:
        size = os.fstat(file).st_size
        found = [data for at in range(0, size, CLUSTER) if (data := os.pread(file, CLUSTER, at)) != ZEROS]
    finally:
        os.close(file)
    position = 0

    def next_cluster() -> bytes:
        nonlocal position
        position = (position + 1) % len(found)
        return found[position]

    return next_cluster
