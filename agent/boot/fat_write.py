"""A FAT file system that is put on the disk, by the agent's own hand: a new one, or an image's made anew."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from agent.images.image import Image
from agent.images.partition_window import partition_window
from partitioning.fat.file_system import FatFileSystem
from partitioning.fat.rebuild import rebuilt
from partitioning.fat.writer import FatImage
from partitioning.new_partition import Placement
from partitioning.table import Partition

CONTENTS_LIMIT = 256 << 20
"""Bytes of files in all file systems that are made anew: they are held in memory."""


class Reason(StrEnum):
    """Why a file system is written; the words follow "it"."""

    ADDED = "is added, as the image has no EFI system partition"
    LOADER = "gets a loader that hands over to the image's own GRUB"
    FALLBACK = "gets its loader at the fallback path as well"
    SECTORS = "is made anew for the disk's sector size"


@dataclass(frozen=True, slots=True, kw_only=True)
class FatWrite:
    """A finished file system and the partition it goes into; the place is in bytes.

    ``guid`` is the unique GUID of a partition that is made for it, None for one of the image's own.
    """

    image: FatImage
    placement: Placement
    reasons: tuple[Reason, ...]
    guid: UUID | None = None


def made_anew(
    image: Image,
    part: Partition,
    *,
    sector_size: int,
    reasons: tuple[Reason, ...],
    add: Mapping[str, bytes],
    limit: int,
) -> FatWrite:
    """Make the FAT file system in ``part`` anew for the disk's sector size, with the files of ``add`` in it.

    It may hold ``limit`` bytes of files.

    Raises FatError where it can not be read, and NoRoom where the files do not fit.
    """
    window = partition_window(image.reader, part)
    return FatWrite(
        image=rebuilt(window, sector_size=sector_size, size=part.size, limit=limit, add=add),
        placement=Placement(start=part.start, size=part.size, number=part.number),
        reasons=reasons,
    )


def volume_in(image: Image, part: Partition) -> FatFileSystem:
    """Open the FAT file system in ``part``. Raises FatError."""
    return FatFileSystem(partition_window(image.reader, part))
