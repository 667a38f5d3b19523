"""What an image is and what is in it, found out before anything is written. Nothing is mounted."""

from dataclasses import dataclass

from agent.images.boot_fit import BootFit, boot_fit
from agent.images.errors import ImageLargerThanDisk, NoUsableTable
from agent.images.image import Image
from agent.images.partition_window import partition_window
from agent.images.sector_fit import fats_to_remake, require_mountable, table_for
from configdrive.find import is_config_drive
from partitioning.errors import TableUnusable
from partitioning.table import Partition, PartitionTable

_MOST_PARTITIONS = 128
"""How many partitions may be there, all of which are looked into; what anybody's tools make has no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What stands in an image: its table, what could start it, a ConfigDrive it brings along.

    ``table`` is as the disk will have it. ``made_for`` is the sector size (bytes) that the image's own counts
    in: where the disk's is another, the table is rewritten, and so are ``fats_of_other_sector_size``.
    """

    table: PartitionTable
    made_for: int
    fats_of_other_sector_size: tuple[Partition, ...] = ()
    boot: BootFit
    config_drive: Partition | None
    other_config_drives: tuple[Partition, ...] = ()
    """Further partitions with a ConfigDrive's label: one of these may win over the first at boot."""


def require_fit(image_size: int, *, disk_size: int, disk_path: str, is_all: bool = True) -> None:
    """Raise ImageLargerThanDisk when an image of ``image_size`` bytes does not fit.

    Without ``is_all`` that is what is known of it so far, and there may be more.
    """
    if image_size > disk_size:
        raise ImageLargerThanDisk(
            image_size=image_size, disk_size=disk_size, disk_path=disk_path, is_all=is_all
        )


def look_inside(image: Image, sector_size: int, *, makes_config_drive: bool = True) -> Contents:
    """Read the table as a disk with ``sector_size`` will have it, and what stands in the partitions.

    ``makes_config_drive``: one is made, in the place of the image's own where it has one. Raises
    NoUsableTable, and NotForSectorSize.
    """
    table, made_for = read_image_table(image, sector_size)
    drives = _config_drives(image, table)
    replaced = drives[0] if drives and makes_config_drive else None
    require_mountable(image, table, made_for, ignoring=replaced)
    return Contents(
        table=table,
        made_for=made_for,
        fats_of_other_sector_size=fats_to_remake(image.reader, table, made_for),
        boot=boot_fit(image.reader, table),
        config_drive=drives[0] if drives else None,
        other_config_drives=drives[1:],
    )


def read_image_table(image: Image, sector_size: int) -> tuple[PartitionTable, int]:
    """Give the table as a disk with ``sector_size`` will have it, and what it is made for.

    Raises NoUsableTable.
    """
    try:
        table, made_for = table_for(image.reader, sector_size)
    except TableUnusable as error:
        raise NoUsableTable(
            "The image's partition table can not be used.",
            detail=f"{error.message} {error.detail}",
            hint=error.hint,
        ) from error
    _refuse_too_many(table)
    return table, made_for


def _refuse_too_many(table: PartitionTable) -> None:
    if len(table.partitions) > _MOST_PARTITIONS:
        raise NoUsableTable(
            "The image's partition table can not be used.",
            detail=f"It has {len(table.partitions)} partitions; {_MOST_PARTITIONS} are the most that are"
            " looked into.",
            hint="Make the image with fewer partitions.",
        )


def _config_drives(image: Image, table: PartitionTable) -> tuple[Partition, ...]:
    candidates = [part for part in table.partitions if not (part.is_extended or part.is_bios_boot)]
    return tuple(part for part in candidates if is_config_drive(partition_window(image.reader, part)))
