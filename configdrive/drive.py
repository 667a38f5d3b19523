"""The ConfigDrive as a whole: made in memory, put into its partition, read back from there."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from configdrive import metadata
from configdrive.errors import ConfigDriveError
from configdrive.fat_image import build_fat, fat_size, read_fat
from configdrive.iso import build_iso, read_iso
from configdrive.metadata import ConfigDriveData
from partitioning.byte_access import ByteReader, ByteStore
from partitioning.partition_types import LINUX_DATA, PartitionType

__all__ = ["ConfigDriveData", "DriveImage", "FileSystemKind", "build", "partition_size", "verify", "write"]

_MIB = 1 << 20

# Linux never looks at the type; Windows gives a FAT volume a letter only where it is this one.
_BASIC_DATA = PartitionType("Microsoft basic data", UUID("ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"), 0x0E)


class FileSystemKind(StrEnum):
    """The two file systems cloud-init looks for, by the names mount and blkid have for them."""

    ISO9660 = "iso9660"
    VFAT = "vfat"


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveImage:
    """A file system that is ready to be written. Neither its bytes nor its files show in its ``repr``."""

    kind: FileSystemKind
    sector_size: int
    """Logical sector size in bytes of the disk it was made for."""
    content_size: int
    """Bytes of the file system itself, without the padding."""
    data: bytes = field(repr=False)
    """The file system, padded with zeroes to whole sectors."""
    files: Mapping[str, bytes] = field(repr=False)
    """What it carries, by path."""
    partition_type: PartitionType
    """How its partition should be marked in the table."""


def build(data: ConfigDriveData, *, sector_size: int) -> DriveImage:
    """Make the drive for a disk with logical sectors of ``sector_size`` bytes.

    Linux mounts no file system whose blocks are smaller than the disk's sectors, and ISO 9660 has blocks of
    2048 bytes. Raises ConfigDriveError.
    """
    files = metadata.files(data)
    if sector_size > 512:
        content = build_fat(files, sector_size, fat_size(files, sector_size))
        kind, partition_type = FileSystemKind.VFAT, _BASIC_DATA
    else:
        content = build_iso(files)
        kind, partition_type = FileSystemKind.ISO9660, LINUX_DATA
    return DriveImage(
        kind=kind,
        sector_size=sector_size,
        content_size=len(content),
        data=content + bytes(-len(content) % sector_size),
        files=files,
        partition_type=partition_type,
    )


def partition_size(image: DriveImage) -> int:
    """Give the size in bytes of the partition the image wants: whole MiBs, at least one."""
    return -(-len(image.data) // _MIB) * _MIB


# The parameter has the name of the function above it; that is the name everyone has for both.
def write(store: ByteStore, offset: int, partition_size: int, image: DriveImage) -> None:
    """Fill the partition at ``offset`` (bytes) with the image, and with zeroes after it.

    Nothing that was in the partition stays readable there. Raises ConfigDriveError when the image does not
    fit, and what ``store`` raises.
    """
    end = offset + partition_size
    if len(image.data) > partition_size or end > store.size:
        raise ConfigDriveError(
            "The ConfigDrive does not fit its partition.",
            detail=f"{len(image.data)} bytes do not fit {partition_size} bytes at {offset} of {store.size}.",
            hint="Make the user data smaller, or take an image without a config-2 partition of its own.",
        )
    store.pwrite(image.data, offset)
    zeroes = bytes(_MIB)
    for position in range(offset + len(image.data), end, _MIB):
        store.pwrite(zeroes[: end - position], position)


def verify(store: ByteReader, offset: int, image: DriveImage) -> None:
    """Read the drive at ``offset`` (bytes) back and parse it anew, independently of how it was made.

    For the bytes to come from the medium, the caller has to flush and drop caches first. Raises
    ConfigDriveError when a byte or a file differs, and what ``store`` raises.
    """
    data = store.pread(len(image.data), offset)
    if data != image.data:
        raise _differs(
            f"From byte {_first_difference(data, image.data)} of the partition on, the bytes differ."
        )
    found = read_fat(data) if image.kind is FileSystemKind.VFAT else read_iso(data[: image.content_size])
    if found != image.files:
        # Names only: what the files hold may be secret.
        wrong = sorted(path for path in {*found, *image.files} if found.get(path) != image.files.get(path))
        raise _differs(f"These files are not what they should be: {', '.join(wrong)}.")


def _first_difference(one: bytes, other: bytes) -> int:
    return next(position for position, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)


def _differs(why: str) -> ConfigDriveError:
    return ConfigDriveError(
        "The ConfigDrive on the disk is not what was written.",
        detail=why,
        hint="Check the disk (dmesg, smartctl), then deploy again; use another disk if it happens twice.",
    )
