"""The image as it stands on the disk, before the disk can boot: its first MiB is still in memory.

What could not be looked at while the image came is looked at there, with the same code.
"""

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from agent.images.image import Image
from agent.images.pieces import Piece
from agent.images.view import View
from partitioning.byte_access import RangeReader
from partitioning.held_head import HEAD_SIZE, HeldHead
from partitioning.open_disk import OpenDisk

_CLUSTER_BITS = 16
_CLUSTER = 1 << _CLUSTER_BITS
_PER_TABLE = _CLUSTER // 8
_COPIED = 1 << 63


@contextmanager
def written_image(image: Image, size: int, disk: OpenDisk, held: HeldHead) -> Iterator[Image]:
    """Give ``image`` as one that is read from where it was written; it has ``size`` bytes there."""
    head = _memory(overlay(size, held.pread(min(HEAD_SIZE, size), 0)))
    try:
        yield Image(
            type=image.type,
            file_size=image.file_size,
            virtual_size=size,
            held=0,
            reader=RangeReader(held, 0, size),
            pieces=_none,
            view=View(
                fd=disk.fd,
                format="raw",
                is_block_device=disk.is_block_device,
                window=(0, size),
                overlay=head,
            ),
        )
    finally:
        os.close(head)


def overlay(size: int, head: bytes) -> bytes:
    """Give a qcow2 file of a disk of ``size`` bytes that has ``head``, and leaves the rest to what is below.

    Source: QEMU's docs/interop/qcow2.txt, version 2. Header, reference counts, L1 and L2 table take a cluster
    or a few each, and the head begins behind them.
    """
    tables = -(-size // (_PER_TABLE * _CLUSTER))
    l1_clusters = -(-tables * 8 // _CLUSTER)
    # Clusters in order: header, reference table, reference block, L1, one L2 table, data.
    l2 = 3 + l1_clusters
    data = [head[at : at + _CLUSTER].ljust(_CLUSTER, b"\0") for at in range(0, len(head), _CLUSTER)]
    count = l2 + 1 + len(data)
    fields = (b"QFI\xfb", 2, 0, 0, _CLUSTER_BITS, size, 0, tables, 3 * _CLUSTER, _CLUSTER, 1, 0, 0)
    entries = [(l2 + 1 + number) * _CLUSTER | _COPIED for number in range(len(data))]
    clusters = [
        struct.pack(">4sIQIIQIIQQIIQ", *fields),
        struct.pack(">Q", 2 * _CLUSTER),
        struct.pack(f">{count}H", *[1] * count),
        struct.pack(">Q", l2 * _CLUSTER | _COPIED).ljust(l1_clusters * _CLUSTER, b"\0"),
        struct.pack(f">{len(entries)}Q", *entries),
        *data,
    ]
    return b"".join(cluster.ljust(_CLUSTER, b"\0") for cluster in clusters)


def _memory(data: bytes) -> int:
    fd = os.memfd_create("byoi-head", os.MFD_CLOEXEC)
    with open(fd, "wb", closefd=False) as file:
        file.write(data)
    return fd


def _none() -> Iterator[Piece]:
    yield from ()
