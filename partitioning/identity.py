"""The check that a disk is still the one that was planned with: by its name, and once it is open.

Between planning and opening a name may have come to mean another disk: a device that was lost and came
back, a loop device set up anew, a file that was replaced. What stands on the wrong disk would be stopped,
and the wrong disk erased.
"""

import fcntl
import os
import struct
from collections.abc import Mapping

from partitioning.disk_facts import Surroundings, describe_disk, worldwide_name
from partitioning.disks import Disk, FileId
from partitioning.errors import DiskNotFound
from partitioning.open_disk import OpenDisk
from partitioning.sysfs import REAL, BlockNode, Roots, node_at
from partitioning.udev import properties_for

# linux/fs.h, since Linux 5.15
_BLKGETDISKSEQ = 0x80081280

Facts = dict[str, object]


def assert_still_there(disk: Disk, *, roots: Roots = REAL) -> None:
    """Raise DiskNotFound unless the name of ``disk`` still means that very disk; it is not opened."""
    if disk.is_file:
        _compare(disk, _planned_file(disk), _file_now(disk))
        return
    node = node_at(disk.devno or "", roots)
    if node is None:
        raise _changed(disk, "the kernel no longer has it")
    now: Facts = {"size": node.size, "disk sequence number": node.number("diskseq") or None}
    planned: Facts = {"size": disk.size}
    if disk.diskseq is not None:
        planned["disk sequence number"] = disk.diskseq
    _compare(disk, planned, now)
    _compare_names(disk, node, roots)


def assert_same_disk(disk: Disk, open_disk: OpenDisk, *, roots: Roots = REAL) -> None:
    """Raise DiskNotFound unless ``open_disk`` is the very ``disk`` of the inventory, unchanged."""
    _compare(disk, _planned(disk, open_disk), _opened(disk, open_disk))
    node = None if disk.is_file else node_at(disk.devno or "", roots)
    if node is not None:
        _compare_names(disk, node, roots)


def _compare(disk: Disk, planned: Mapping[str, object], now: Mapping[str, object]) -> None:
    differing = [f"{key} {planned[key]} → {now[key]}" for key in planned if planned[key] != now[key]]
    if differing:
        raise _changed(disk, f"since it was chosen it has changed: {', '.join(differing)}")


def _compare_names(disk: Disk, node: BlockNode, roots: Roots) -> None:
    """Compare serial number and worldwide name; the sequence number, where there is one, proves more."""
    if disk.diskseq is not None:
        return
    # udev and sysfs may spell them differently, and udev may have come to know the disk only now.
    told = [
        _names(describe_disk(node, Surroundings(properties=properties)))
        for properties in (properties_for(roots), {})
    ]
    for key, value in _names(disk).items():
        if value is not None and value not in [names[key] for names in told]:
            _compare(disk, {key: value}, told[0])


def _names(disk: Disk) -> dict[str, str | None]:
    return {"serial number": disk.serial, "worldwide name": worldwide_name(disk.wwn) if disk.wwn else None}


def _planned_file(disk: Disk) -> Facts:
    return {"size": disk.size, "file": disk.file_id}


def _file_now(disk: Disk) -> Facts:
    try:
        status = disk.path.stat()
    except OSError as error:
        raise _changed(disk, f"it can not be found: {os.strerror(error.errno or 0)}") from error
    return {"size": status.st_size, "file": FileId(device=status.st_dev, inode=status.st_ino)}


def _planned(disk: Disk, open_disk: OpenDisk) -> Facts:
    facts: Facts = {"size": disk.size, "sector size": disk.sector_size}
    if disk.is_file:
        return {**facts, "file": disk.file_id}
    facts["device number"] = disk.devno
    # A kernel before 5.15 has no sequence numbers.
    if disk.diskseq is not None and open_disk.is_block_device:
        facts["disk sequence number"] = disk.diskseq
    return facts


def _opened(disk: Disk, open_disk: OpenDisk) -> Facts:
    status = os.fstat(open_disk.fd)
    facts: Facts = {
        "size": open_disk.size,
        "sector size": open_disk.sector_size,
        "file": FileId(device=status.st_dev, inode=status.st_ino),
        "device number": f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}",
    }
    if disk.diskseq is not None and open_disk.is_block_device:
        answer = fcntl.ioctl(open_disk.fd, _BLKGETDISKSEQ, bytes(8))
        facts["disk sequence number"] = struct.unpack("Q", answer)[0]
    return facts


def _changed(disk: Disk, why: str) -> DiskNotFound:
    return DiskNotFound(
        f"{disk.path} is no longer the disk that was chosen.",
        detail=f"{why[0].upper()}{why[1:]}. Nothing was written to it.",
        hint="See the disks there are now (byoi-agent disks), then start again.",
    )
