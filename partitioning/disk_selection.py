"""The one disk a deployment goes to: by group, or named directly."""

import os
import stat
from collections.abc import Iterable, Sequence
from pathlib import Path

from partitioning.disk_facts import describe_disk
from partitioning.disks import Disk, IgnoredReason, file_disk, format_size
from partitioning.errors import DiskNotFound, DiskUnsuitable
from partitioning.group_config import GroupConfig
from partitioning.groups import DiskGroup, default_group_id, form_groups
from partitioning.inventory import read_surroundings
from partitioning.sysfs import REAL, BlockNode, Roots, node_at

_SEE_DISKS = "See which disks there are with: byoi-agent disks"

_MAKE_FILE = "A file that is to be used as a disk has to exist: truncate -s SIZE FILE"


def choose(inventory: Sequence[Disk], config: GroupConfig | None, group_id: int | None) -> Disk:
    """Return the first disk of the group; None or 0 means the default group.

    Raises DiskNotFound, which lists the groups there are.
    """
    wanted = group_id or default_group_id(config)
    groups = form_groups(inventory, config)
    group = next((group for group in groups if group.id == wanted), None)
    if group is None or not group.disks:
        raise _no_group(wanted, group, groups, inventory)
    return group.disks[0]


def disk_at(
    path: Path, inventory: Iterable[Disk], sector_size: int | None = None, *, roots: Roots = REAL
) -> Disk:
    """Return the disk ``path`` names: a device, a link to one, or a regular file.

    A device that is in no group is right too. ``sector_size`` (bytes) is for regular files.
    Raises DiskNotFound, and DiskUnsuitable for what is no disk to write an image to.
    """
    mode = _mode(path)
    if stat.S_ISREG(mode):
        _check_writable(path)
        return file_disk(path.resolve(), sector_size=sector_size)
    if not stat.S_ISBLK(mode):
        raise DiskUnsuitable(
            f"{path} is not a disk.",
            detail=f"It is {_sort(mode)}, neither a block device nor a regular file.",
            hint=_SEE_DISKS,
        )
    disk = _device(path, inventory, roots)
    _check_sector_size(disk, sector_size)
    return disk


def _device(path: Path, inventory: Iterable[Disk], roots: Roots) -> Disk:
    number = path.stat().st_rdev
    devno = f"{os.major(number)}:{os.minor(number)}"
    node = node_at(devno, roots)
    if node is None:
        raise DiskNotFound(
            f"There is no disk behind {path}.",
            detail=f"The kernel has no block device with the number {devno}.",
            hint=_SEE_DISKS,
        )
    _check_node(path, node)
    listed = next((disk for disk in inventory if disk.devno == devno), None)
    return listed or describe_disk(node, read_surroundings(roots=roots))


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        raise DiskNotFound(
            f"There is no disk at {path}.",
            detail=f"{os.strerror(error.errno or 0)}.",
            hint=f"{_SEE_DISKS}. {_MAKE_FILE}" if _could_be_made(path, error) else _SEE_DISKS,
        ) from error


def _could_be_made(path: Path, error: OSError) -> bool:
    return isinstance(error, FileNotFoundError) and not path.is_relative_to("/dev")


def _check_node(path: Path, node: BlockNode) -> None:
    if node.is_partition:
        raise DiskUnsuitable(
            f"{path} is a partition, not a disk.",
            detail=f"It is partition {node.read('partition')} of {node.whole.device_name}.",
            hint=f"An image needs the whole disk: name {node.whole.device_name} if that is what you want.",
        )
    if (node.read("dm/uuid") or "").startswith("part"):
        raise DiskUnsuitable(
            f"{path} is a partition, not a disk.",
            detail="It is a device mapper partition.",
            hint="Name the disk it is a partition of.",
        )
    if node.size == 0:
        raise DiskUnsuitable(
            f"The disk {path} has no size.",
            detail="The kernel says it has 0 bytes: no medium, or a loop device without a file.",
            hint="Insert the medium, or choose another disk.",
        )
    if node.number("ro"):
        raise DiskUnsuitable(
            f"The disk {path} is read-only.",
            detail="The kernel marks the device read-only.",
            hint="Remove the write protection (blockdev --setrw, or a switch), or choose another disk.",
        )


def _check_writable(path: Path) -> None:
    if not os.access(path, os.W_OK):
        raise DiskUnsuitable(
            f"The file {path} can not be written to.",
            detail="Its permissions, or the file system it is on, do not allow it.",
            hint="Correct the permissions, run as root, or name another file.",
        )


def _check_sector_size(disk: Disk, sector_size: int | None) -> None:
    if sector_size not in (None, disk.sector_size):
        raise DiskUnsuitable(
            f"The disk {disk.path} has sectors of {disk.sector_size} bytes, not {sector_size}.",
            detail="A sector size can be chosen for regular files only.",
            hint="Leave the sector size out.",
        )


def _sort(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a directory"
    return "a character device" if stat.S_ISCHR(mode) else "a pipe or socket"


def _no_group(
    wanted: int, group: DiskGroup | None, groups: Sequence[DiskGroup], inventory: Sequence[Disk]
) -> DiskNotFound:
    listed = "; ".join(_describe(group) for group in groups if group.disks)
    ignored = "; ".join(f"{disk.path} is {disk.ignored}" for disk in inventory if disk.ignored)
    parts = [
        "No disk fits what the disk group file says of it." if group else None,
        f"Groups: {listed}." if listed else "No disk is in any group.",
        f"In no group: {ignored}." if ignored else None,
    ]
    return DiskNotFound(
        f"There is no disk group {wanted}.",
        detail=" ".join(filter(None, parts)),
        hint=_group_hint(inventory, listed=bool(listed)),
    )


def _group_hint(inventory: Sequence[Disk], *, listed: bool) -> str:
    if listed:
        return "Name one of the groups (diskGroupId), or the disk itself (--disk PATH)."
    if any(disk.ignored is IgnoredReason.RUNNING_SYSTEM for disk in inventory):
        return "Start the server from a rescue system that does not stand on the disk, then try again."
    return "Check that the disks answer (dmesg) and that the rescue kernel has their driver."


def _describe(group: DiskGroup) -> str:
    first = group.disks[0]
    names = ", ".join(str(disk.path) for disk in group.disks)
    return f"{group.id} = {len(group.disks)} x {format_size(first.size)} {first.kind} ({names})"
