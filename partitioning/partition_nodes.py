"""The partitions the kernel knows of a disk, and making it forget them."""

import ctypes
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from partitioning.errors import DiskBusy
from partitioning.open_disk import OpenDisk
from partitioning.sysfs import REAL, BlockNode, Roots, node_at

# linux/blkpg.h
_BLKPG = 0x1269
_BLKPG_DEL_PARTITION = 2
_NAME_LENGTH = 64

# No such partition (any more), and devices without partitions.
_NOTHING_TO_DROP = frozenset({errno.ENXIO, errno.ENOTTY, errno.EINVAL, errno.EOPNOTSUPP})

# udev and blkid look into a partition for a moment whenever it changes.
_BUSY_WAIT = 10.0
_BUSY_POLL = 0.1


class _Partition(ctypes.Structure):
    """struct blkpg_partition."""

    _fields_ = (
        ("start", ctypes.c_longlong),
        ("length", ctypes.c_longlong),
        ("number", ctypes.c_int),
        ("device_name", ctypes.c_char * _NAME_LENGTH),
        ("volume_name", ctypes.c_char * _NAME_LENGTH),
    )


class _Request(ctypes.Structure):
    """struct blkpg_ioctl_arg."""

    _fields_ = (
        ("operation", ctypes.c_int),
        ("flags", ctypes.c_int),
        ("data_length", ctypes.c_int),
        ("data", ctypes.c_void_p),
    )


def partition_path(disk: Path, number: int) -> str:
    """Give the name under which the kernel shows a partition (block/genhd.c): sda1, nvme0n1p1."""
    return f"{disk}p{number}" if disk.name[-1:].isdigit() else f"{disk}{number}"


def kernel_partitions(open_disk: OpenDisk, *, roots: Roots = REAL) -> tuple[tuple[int, int], ...]:
    """Return the partitions the kernel knows as (first byte, bytes); none for a regular file."""
    return tuple((node.start, node.size) for node in _nodes(open_disk, roots))


def drop_partition_nodes(open_disk: OpenDisk, *, roots: Roots = REAL) -> None:
    """Make the kernel forget every partition of the disk; their nodes under /dev go away.

    Raises DiskBusy when a partition stays in use.
    """
    # A logical partition goes before the extended one it lies in.
    for node in reversed(tuple(_nodes(open_disk, roots))):
        _drop(open_disk, node)


def _nodes(open_disk: OpenDisk, roots: Roots) -> Iterator[BlockNode]:
    if open_disk.is_block_device:
        number = os.fstat(open_disk.fd).st_rdev
        node = node_at(f"{os.major(number)}:{os.minor(number)}", roots)
        yield from node.partitions() if node else ()


def _drop(open_disk: OpenDisk, node: BlockNode) -> None:
    deadline = time.monotonic() + _BUSY_WAIT
    while True:
        try:
            _delete_partition(open_disk.fd, node.number("partition"))
        except OSError as error:
            if error.errno in _NOTHING_TO_DROP:
                return
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise DiskBusy(
                    f"The partition {node.device_name} is in use.",
                    detail=f"The kernel does not let go of it: {os.strerror(error.errno or 0)}.",
                    hint=f"Find who has it open (lsof {node.device_name}), stop that, then start again.",
                ) from error
        else:
            return
        time.sleep(_BUSY_POLL)


def _delete_partition(fd: int, number: int) -> None:
    partition = _Partition(number=number)
    request = _Request(
        operation=_BLKPG_DEL_PARTITION,
        data_length=ctypes.sizeof(partition),
        data=ctypes.addressof(partition),
    )
    fcntl.ioctl(fd, _BLKPG, bytes(request))
