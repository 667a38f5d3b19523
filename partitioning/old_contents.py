"""What stands on a disk before it is erased, for the person who is asked whether it may be."""

from collections.abc import Iterator
from itertools import islice

from partitioning.byte_access import RangeReader
from partitioning.disks import Disk
from partitioning.errors import DiskError
from partitioning.gpt import has_backup
from partitioning.open_disk import OpenDisk, open_for_reading
from partitioning.sector_size import SIZES
from partitioning.signature_fields import FileSystem
from partitioning.signatures import identify
from partitioning.table import Partition, PartitionTable, read_table

_MOST = 32
"""Things that are told of one disk."""


def old_contents(disk: Disk) -> tuple[str, ...]:
    """Name what is on ``disk``, a few words each: signatures on the whole disk, tables, partitions.

    Nothing for an empty disk, and for one that can not be read. Nothing is written.
    """
    sector_size = disk.sector_size if disk.is_file else None
    try:
        with open_for_reading(disk.path, sector_size=sector_size) as opened:
            return tuple(islice(_found(opened), _MOST))
    except DiskError:
        return ()


def _found(opened: OpenDisk) -> Iterator[str]:
    whole = identify(opened)
    table = _table(opened)
    if whole is not None:
        yield f"{_words(whole)} on the whole disk"
    if table is not None:
        yield f"{table.kind.upper()} for sectors of {table.sector_size} bytes"
        yield from (_partition_words(opened, part) for part in table.partitions)
    elif has_backup(opened):
        yield "a backup GPT at the end"


def _table(opened: OpenDisk) -> PartitionTable | None:
    for size in sorted(SIZES, key=lambda size: size != opened.sector_size):
        try:
            return read_table(opened, size)
        except DiskError:
            continue
    return None


def _partition_words(opened: OpenDisk, part: Partition) -> str:
    found = None if part.is_extended else identify(RangeReader(opened, part.start, part.size))
    contents = f", {_words(found)}" if found is not None else ""
    return f"partition {part.number}: {part.type_name}{contents}"


def _words(found: FileSystem) -> str:
    return f"{found.type} labelled {found.label}" if found.label else found.type
