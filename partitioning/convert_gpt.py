"""A GPT is rewritten for another logical sector size (UEFI 2.10, sections 5.3.1 to 5.3.3).

Header and entry array stand at LBA 1 and from LBA 2, so they move too. What is left of the old ones and the
old backup is zeroed, so that nobody who reads with the old sector size finds a table. Entry count, entry
size, GUIDs, attributes, names, numbers and whatever a vendor has put behind the fields stay.
"""

from dataclasses import replace

from partitioning.backup_gpt import stale_backup
from partitioning.byte_access import ByteStore
from partitioning.gpt import (
    PRIMARY_ARRAY_LBA,
    PRIMARY_LBA,
    RESERVED_FOR_ARRAY,
    Gpt,
    GptPartition,
    assemble,
    moved_entry,
)
from partitioning.gpt_header import GptHeader
from partitioning.sector_conversion import SectorConversion

_MAX_LBA = (1 << 64) - 1


def converted_gpt(old: Gpt, sizes: SectorConversion) -> Gpt:
    """Give the primary table for the new sector size.

    A partition's end within a sector is rounded up: nothing else begins in that sector. The alternate LBA
    is where the image ends; ``move_backup`` sets it, and the last usable LBA, for the disk. Raises
    NotConvertible, and TableUnusable where the old table makes no sense.
    """
    if len(old.header_bytes()) > sizes.sector_size:
        raise sizes.refused(f"Its header has {len(old.header_bytes())} bytes, more than a sector.")
    array_end = PRIMARY_ARRAY_LBA - (-old.header.array_size // sizes.sector_size)
    moved = [_moved(part, sizes, array_end) for part in old.partitions]
    first_usable = _first_usable(old.header, sizes, array_end, [part.first_lba for part in moved])
    header = replace(
        old.header,
        my_lba=PRIMARY_LBA,
        alternate_lba=_limited(sizes.covering(old.header.alternate_lba + 1) - 1),
        first_usable_lba=_limited(first_usable),
        last_usable_lba=_limited(_last_usable(old.header, sizes, first_usable, moved)),
        entries_lba=PRIMARY_ARRAY_LBA,
    )
    return assemble(header, _with_entries(old, moved), sizes.sector_size)


def rewrite_gpt(store: ByteStore, old: Gpt, new: Gpt) -> None:
    """Write ``new``, and leave nothing of ``old`` where one would look for it."""
    for first, count in stale_backup(store, old):
        if old.is_free(first, count):
            store.pwrite(bytes(count * old.sector_size), first * old.sector_size)
    store.pwrite(bytes(old.sector_size), old.header.my_lba * old.sector_size)
    store.pwrite(bytes(len(old.entries)), old.header.entries_lba * old.sector_size)
    store.pwrite(new.entries_sectors(), new.header.entries_lba * new.sector_size)
    store.pwrite(new.header_sector(), new.header.my_lba * new.sector_size)


def _moved(part: GptPartition, sizes: SectorConversion, array_end: int) -> GptPartition:
    first = sizes.start(part.number, part.first_lba)
    last = sizes.covering(part.last_lba + 1) - 1
    if first < array_end:
        raise sizes.refused(
            f"Partition {part.number} begins at byte {first * sizes.sector_size}; "
            f"the table will reach to byte {array_end * sizes.sector_size}.",
        )
    raw = moved_entry(part.raw, first_lba=first, last_lba=last)
    return replace(part, first_lba=first, last_lba=last, raw=raw)


def _first_usable(header: GptHeader, sizes: SectorConversion, array_end: int, starts: list[int]) -> int:
    # As much as the specification wants is reserved unless a partition already stands there.
    least = max(array_end, sizes.covering(header.first_usable_lba))
    wanted = PRIMARY_ARRAY_LBA + RESERVED_FOR_ARRAY // sizes.sector_size
    return max(least, min([wanted, *starts]))


def _last_usable(
    header: GptHeader, sizes: SectorConversion, first_usable: int, moved: list[GptPartition]
) -> int:
    unrounded = sizes.within(header.last_usable_lba + 1) - 1
    return max([unrounded, first_usable, *(part.last_lba for part in moved)])


def _limited(lba: int) -> int:
    # What a header says of the end of the disk may be anything; the partitions have been found on the disk.
    return min(lba, _MAX_LBA)


def _with_entries(old: Gpt, moved: list[GptPartition]) -> bytes:
    size = old.header.entry_size
    entries = bytearray(old.entries)
    for part in moved:
        entries[part.index * size : (part.index + 1) * size] = part.raw
    return bytes(entries)
