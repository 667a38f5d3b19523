"""Whether an image fits a disk whose sectors have another size than those it was made for.

The partition table is rewritten and FAT file systems are made anew. Other file systems stay as they are, and
Linux mounts none whose blocks are smaller than the disk's sectors.
"""

from agent.images.errors import NotForSectorSize
from agent.images.image import Image
from agent.images.partition_window import partition_window
from agent.images.stacked_systems import beginnings_of_stacked
from partitioning.block_size import fat_of_other_size, unusable_on
from partitioning.byte_access import ByteReader
from partitioning.convert_table import converted_view
from partitioning.errors import SectorSizeMismatch
from partitioning.sector_size import other_size
from partitioning.table import Partition, PartitionTable, read_table


def table_for(reader: ByteReader, sector_size: int) -> tuple[PartitionTable, int]:
    """Give the table as a disk with sectors of ``sector_size`` bytes will have it, and what it is made for.

    Raises TableUnusable, also for a table that can not be converted. Nothing is written.
    """
    try:
        return read_table(reader, sector_size), sector_size
    except SectorSizeMismatch:
        made_for = other_size(sector_size)
    view = converted_view(reader, made_for=made_for, sector_size=sector_size)
    return read_table(view, sector_size), made_for


def fats_to_remake(reader: ByteReader, table: PartitionTable, made_for: int) -> tuple[Partition, ...]:
    """Give the partitions with a FAT file system that has to be made anew for the disk's sectors."""
    return tuple(
        part
        for part in table.partitions
        if not part.is_extended
        and _is_to_be_remade(partition_window(reader, part), table.sector_size, made_for)
    )


def require_mountable(
    image: Image, table: PartitionTable, made_for: int, *, ignoring: Partition | None = None
) -> None:
    """Raise NotForSectorSize for a file system that can not be mounted on a disk with the table's sectors.

    ``ignoring`` is a partition that is filled anew, or taken out.
    """
    if made_for >= table.sector_size:
        return
    for part in table.partitions:
        skipped = part.is_extended or part == ignoring
        why = None if skipped else unusable_on(partition_window(image.reader, part), table.sector_size)
        if why is not None:
            raise _not_mountable(f"Partition {part.number}: {why}", table.sector_size, made_for)
    for name, beginning in beginnings_of_stacked(image, table):
        if (why := unusable_on(beginning, table.sector_size)) is not None:
            raise _not_mountable(f"{name}: {why}", table.sector_size, made_for)


def _is_to_be_remade(window: ByteReader, sector_size: int, made_for: int) -> bool:
    has = fat_of_other_size(window, sector_size)
    # Linux mounts larger sectors than the disk's: an image that is made so for its disk is left alone.
    return has is not None and (has < sector_size or made_for != sector_size)


def _not_mountable(detail: str, sector_size: int, made_for: int) -> NotForSectorSize:
    return NotForSectorSize(
        f"The image can not be used on a disk with sectors of {sector_size} bytes.",
        detail=detail,
        hint=f"Use an image made for sectors of {sector_size} bytes, or a disk with sectors of {made_for}"
        " bytes (many NVMe disks can be reformatted: nvme id-ns, nvme format --lbaf).",
    )
