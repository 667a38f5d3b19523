"""The file systems on LVM and md in an image: GRUB's drivers reach them, and nothing is assembled."""

from collections.abc import Iterator

from agent.images.errors import NotForSectorSize
from agent.images.grub_look import beginning, file_systems, in_time
from agent.images.image import Image
from agent.images.partition_window import partition_window
from agent.images.raw_view import raw_view
from partitioning.byte_access import ByteReader, BytesReader
from partitioning.command import CommandError
from partitioning.signatures import identify
from partitioning.table import PartitionTable

_MEMBERS = ("LVM2_member", "linux_raid_member")
_STACKED = ("lvm", "md")


def beginnings_of_stacked(image: Image, table: PartitionTable) -> Iterator[tuple[str, ByteReader]]:
    """Yield the name and the first bytes of each such file system.

    Raises NotForSectorSize where that can not be found out here.
    """
    if not _has_members(image, table):
        return
    try:
        with raw_view(image) as fd:
            stacked = [system for system in file_systems(fd) if system.device.startswith(_STACKED)]
            for system in in_time(stacked):
                yield system.device, BytesReader(beginning(fd, system))
    except CommandError as error:
        raise _unknown(f"They can not be read here: {error.message} {error.detail}") from error


def _has_members(image: Image, table: PartitionTable) -> bool:
    windows = (partition_window(image.reader, part) for part in table.partitions)
    return any(found is not None and found.type in _MEMBERS for found in map(identify, windows))


def _unknown(why: str) -> NotForSectorSize:
    return NotForSectorSize(
        "It can not be told whether the image can be used on a disk with sectors of this size.",
        detail=f"It was made for smaller sectors and has file systems on LVM or md. {why}",
        hint="Install grub-common and qemu-system-common on the rescue system, load the module fuse, or use"
        " an image made for this sector size.",
    )
