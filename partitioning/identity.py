"""The check that a disk that was opened is the one that was planned with.

Between planning and opening a name may have come to mean another disk: a device that was lost and came
back, a loop device set up anew, a file that was replaced. The wrong disk would be erased.
"""

import fcntl
import os
import struct

from partitioning.disks import Disk, FileId
from partitioning.errors import DiskNotFound
from partitioning.open_disk import OpenDisk

# linux/fs.h, since Linux 5.15
_BLKGETDISKSEQ = 0x80081280


def assert_same_disk(disk: Disk, open_disk: OpenDisk) -> None:
    """Raise DiskNotFound unless ``open_disk`` is the very ``disk`` of the inventory, unchanged."""
    planned, opened = _planned(disk, open_disk), _opened(disk, open_disk)
    differing = [f"{key} {planned[key]} → {opened[key]}" for key in planned if planned[key] != opened[key]]
    if differing:
        raise DiskNotFound(
            f"{disk.path} is no longer the disk that was chosen.",
            detail=f"Since it was chosen it has changed: {', '.join(differing)}. Nothing was written to it.",
            hint="See the disks there are now (byoi-agent disks), then start again.",
        )


def _planned(disk: Disk, open_disk: OpenDisk) -> dict[str, object]:
    facts: dict[str, object] = {"size": disk.size, "sector size": disk.sector_size}
    if disk.is_file:
        return {**facts, "file": disk.file_id}
    facts["device number"] = disk.devno
    # A kernel before 5.15 has no sequence numbers.
    if disk.diskseq is not None and open_disk.is_block_device:
        facts["disk sequence number"] = disk.diskseq
    return facts


def _opened(disk: Disk, open_disk: OpenDisk) -> dict[str, object]:
    status = os.fstat(open_disk.fd)
    facts: dict[str, object] = {
        "size": open_disk.size,
        "sector size": open_disk.sector_size,
        "file": FileId(device=status.st_dev, inode=status.st_ino),
        "device number": f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}",
    }
    if disk.diskseq is not None and open_disk.is_block_device:
        answer = fcntl.ioctl(open_disk.fd, _BLKGETDISKSEQ, bytes(8))
        facts["disk sequence number"] = struct.unpack("Q", answer)[0]
    return facts
