"""Asking the kernel to look at a disk's partition table again."""

import fcntl
import logging
import os

from partitioning.open_disk import OpenDisk

log = logging.getLogger(__name__)

# linux/fs.h
_BLKRRPART = 0x125F


def reread_partitions(disk: OpenDisk) -> None:
    """Let the kernel show the disk's partitions. Nothing here depends on it, so a refusal is only logged.

    A loop device without partition scanning refuses, and so does a disk that somebody has begun to use.
    """
    if not disk.is_block_device:
        return
    try:
        fcntl.ioctl(disk.fd, _BLKRRPART)
    except OSError as error:
        log.info("%s: the kernel did not read the table again: %s", disk.path, os.strerror(error.errno or 0))
