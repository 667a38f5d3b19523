"""Adding a partition at the end of a disk, and taking one out, with every other byte of the table as it was.

Where a new partition goes is planned first, without writing; all numbers are bytes unless they say LBA.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from partitioning import gpt as gpt_table
from partitioning import mbr_entry
from partitioning.backup_gpt import moved_to_end
from partitioning.byte_access import ByteStore
from partitioning.errors import NoRoom, TableUnusable
from partitioning.gpt import Gpt
from partitioning.partition_types import PartitionType
from partitioning.table import Partition, PartitionTable, read_table

ALIGNMENT = 1 << 20


class TooManyPartitions(NoRoom):
    """The table has no entry left for another partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where a partition will be: bytes from the beginning of the disk, and its number in the table."""

    start: int
    size: int
    number: int

    @property
    def end(self) -> int:
        """The byte after the partition's last."""
        return self.start + self.size


def place_at_end(
    table: PartitionTable,
    disk_size: int,
    size: int,
    *,
    ahead_of: Sequence[Placement] = (),
    ignoring: int | None = None,
) -> Placement:
    """Plan a partition of at least ``size`` bytes as near to the end of the disk as can be.

    It begins on a whole MiB and ends at the last usable LBA of a GPT as it will be on a disk of ``disk_size``
    bytes; on an MBR at the end of the disk or of what 32 bits can address. It ends earlier to be in front of
    the placements ``ahead_of``, which are planned but not made yet.
    ``ignoring`` is the number of a partition that will be removed first.
    Raises TooManyPartitions, or NoRoom when it would lie on another partition.
    """
    kept = [part for part in table.partitions if part.number != ignoring]
    number = _free_number(table, {part.number for part in kept} | {plan.number for plan in ahead_of})
    first, last = _usable(table, disk_size)
    end = min([last, *(plan.start for plan in ahead_of)]) // table.sector_size * table.sector_size
    start = (end - size) // ALIGNMENT * ALIGNMENT
    placement = Placement(start=start, size=end - start, number=number)
    if start < first:
        raise _no_room(
            placement, f"It would begin at byte {start}; the first usable one is {first}.", first - start
        )
    _check_free(placement, kept)
    return placement


def add(
    store: ByteStore, sector_size: int, placement: Placement, *, kind: PartitionType, name: str, guid: UUID
) -> Partition:
    """Enter a planned partition into the table and return it as it is found there again.

    On GPT it goes into both copies, with ``name`` and ``guid`` (its unique GUID); the backup has to be in
    its place. An MBR has neither. Raises NoRoom when the place is taken, TableUnusable.
    """
    table = read_table(store, sector_size)
    if any(part.number == placement.number for part in table.partitions):
        raise _no_room(placement, f"The number {placement.number} is taken.")
    _check_free(placement, table.partitions)
    first_lba, sectors = placement.start // sector_size, placement.size // sector_size
    if table.gpt is None:
        entry = mbr_entry.pack_entry(type_byte=kind.mbr, first_lba=first_lba, sectors=sectors)
        store.pwrite(entry, mbr_entry.entry_offset(placement.number))
    else:
        entry = gpt_table.pack_entry(
            type_guid=kind.guid,
            unique_guid=guid,
            first_lba=first_lba,
            last_lba=first_lba + sectors - 1,
            attributes=0,
            name=name,
        )
        _write_both(store, table.gpt, placement.number, entry)
    return _find_again(read_table(store, sector_size), placement, guid)


def remove(store: ByteStore, sector_size: int, number: int) -> None:
    """Take the partition out of the table; what stands in it is not touched.

    Raises TableUnusable when there is no such partition, or it is an extended or logical one.
    """
    table = read_table(store, sector_size)
    require_removable(table, number)
    if table.gpt is not None:
        _write_both(store, table.gpt, number, b"")
    else:
        store.pwrite(bytes(mbr_entry.ENTRY_SIZE), mbr_entry.entry_offset(number))


def require_removable(table: PartitionTable, number: int) -> None:
    """Raise, for planning, the TableUnusable that ``remove`` would raise; nothing is written."""
    part = table.by_number(number)
    if part is None:
        raise _unusable(f"There is no partition {number}.")
    if table.gpt is None and (number > mbr_entry.SLOTS or part.is_extended):
        raise _unusable(f"Partition {number} is an extended or logical one, which is not taken out.")


def _usable(table: PartitionTable, disk_size: int) -> tuple[int, int]:
    """Give the first usable byte, and the one after the last."""
    sector = table.sector_size
    if table.gpt is None:
        return ALIGNMENT, min(disk_size, mbr_entry.MAX_SECTORS * sector)
    header = moved_to_end(table.gpt, disk_size).header
    return header.first_usable_lba * sector, (header.last_usable_lba + 1) * sector


def _free_number(table: PartitionTable, taken: set[int]) -> int:
    slots = mbr_entry.SLOTS if table.gpt is None else table.gpt.header.entry_count
    for number in range(1, slots + 1):
        if number not in taken:
            return number
    what = "four primary" if table.gpt is None else str(slots)
    raise TooManyPartitions(
        "The partition table has no entry left for another partition.",
        detail=f"All {what} entries of the {table.kind.upper()} are taken.",
        hint="Remove a partition from the image, or make the image with a GPT that has free entries.",
    )


def _check_free(placement: Placement, partitions: Iterable[Partition]) -> None:
    for part in partitions:
        if part.start < placement.end and placement.start < part.end:
            raise _no_room(
                placement,
                f"Bytes {placement.start} to {placement.end - 1} are needed; "
                f"partition {part.number} takes bytes {part.start} to {part.end - 1}.",
                part.end - placement.start,
            )


def _write_both(store: ByteStore, primary: Gpt, number: int, entry: bytes) -> None:
    backup = gpt_table.read_backup(store, primary.sector_size, lba=primary.header.alternate_lba)
    if backup.entries != primary.entries:
        raise _unusable("The entries of the primary and the backup GPT differ.")
    changed = [copy.with_entry(number - 1, entry) for copy in (backup, primary)]
    for copy in changed:
        copy.write(store)


def _find_again(table: PartitionTable, placement: Placement, guid: UUID) -> Partition:
    part = table.by_number(placement.number) if table.gpt is None else table.by_guid(guid)
    if part is None or (part.start, part.size) != (placement.start, placement.size):
        raise _unusable(f"The new partition at byte {placement.start} was not found again.")
    return part


def _no_room(placement: Placement, detail: str, missing: int = 0) -> NoRoom:
    """``missing`` is how many bytes further back it would have to begin; 0 where that is not it."""
    amount = -(-missing // ALIGNMENT)
    larger = f"a disk that is at least {amount} MiB larger" if amount else "a larger disk"
    smaller = f"the image's last partition {amount} MiB smaller" if amount else "the image's last one smaller"
    return NoRoom(
        f"There is no room for a partition of {placement.size} bytes at the end of the disk.",
        detail=detail,
        hint=f"Choose {larger}, or make {smaller}.",
    )


def _unusable(detail: str) -> TableUnusable:
    return TableUnusable(
        "The partition table can not be changed.",
        detail=detail,
        hint="Look at the image's partition table (sgdisk -p IMAGE or sfdisk -l IMAGE) and correct it there.",
    )
