"""A config drive as a FAT12 or FAT16 image, for disks on which no 2048-byte-sector file system mounts."""

import zlib
from collections.abc import Iterator, Mapping

from configdrive import tree
from configdrive.errors import ConfigDriveError, unreadable
from partitioning.byte_access import BytesReader
from partitioning.errors import NoRoom
from partitioning.fat import writer as fat_writer
from partitioning.fat.file_system import FatError, FatFileSystem

# As Nova's mkfs gets it: cloud-init takes either case, while by-label/config-2 is what scripts mount.
LABEL = "config-2"


def fat_size(files: Mapping[str, bytes], sector_size: int) -> int:
    """Give the smallest size in bytes, in whole MiBs, of an image that carries ``files``."""
    return fat_writer.least_size(files, sector_size)


def build_fat(files: Mapping[str, bytes], sector_size: int, size: int) -> bytes:
    """Give an image of ``size`` bytes that carries ``files``, for a logical sector size of 512 to 4096 bytes.

    The same arguments always give the same image. Raises ConfigDriveError when ``files`` do not fit or
    have a path that cannot stand on a ConfigDrive.
    """
    tree.entries(files)
    try:
        image = fat_writer.build(
            files, sector_size=sector_size, size=size, label=LABEL, volume_id=_serial(files)
        )
    except NoRoom as error:
        raise ConfigDriveError(
            "The ConfigDrive is too small for what it has to carry.",
            detail=f"{error.message} {error.detail}",
            hint="Make the user data smaller, for example by fetching parts of it at first boot.",
        ) from error
    return image.data()


def read_fat(image: bytes) -> dict[str, bytes]:
    """Give the files of a FAT image by path, as the reader for ESPs sees them.

    Raises ConfigDriveError when it cannot be read.
    """
    try:
        return dict(_walk(FatFileSystem(BytesReader(image)), tree.ROOT, len(image)))
    except FatError as error:
        raise unreadable(f"It cannot be parsed as FAT: {error.detail}") from None


def _walk(volume: FatFileSystem, folder: str, limit: int) -> Iterator[tuple[str, bytes]]:
    for entry in volume.list(folder):
        path = f"{folder}/{entry.name}".lstrip("/")
        if entry.is_directory:
            yield from _walk(volume, path, limit)
        else:
            yield path, volume.read(path, limit)


def _serial(files: Mapping[str, bytes]) -> int:
    serial = 0
    for path in sorted(files):
        serial = zlib.crc32(files[path], zlib.crc32(path.encode(), serial))
    return serial
