"""An MBR is rewritten for another logical sector size (UEFI 2.10, section 5.2).

It stays in its place. Boot code, disk signature, types and active flags stay; addresses, lengths and CHS of
the entries in use are made anew. Logical partitions are not converted: the records that lead to them stand
between the partitions, in sectors of the old size, and would have to move.
"""

from partitioning.byte_access import ByteStore
from partitioning.mbr import Mbr
from partitioning.mbr_entry import (
    ENTRY_SIZE,
    MAX_SECTORS,
    MbrPartition,
    entry_offset,
    pack_entry,
    size_offset,
)
from partitioning.sector_conversion import SectorConversion


def converted_entries(mbr: Mbr, sizes: SectorConversion) -> dict[int, bytes]:
    """Give the new entries of a plain MBR, by the byte each stands at. Raises NotConvertible."""
    return {entry_offset(part.number): _converted(part, sizes) for part in mbr.primaries}


def rewrite_entries(store: ByteStore, mbr: Mbr, entries: dict[int, bytes]) -> None:
    """Write the entries of a plain MBR, all in one go."""
    record = bytearray(mbr.raw)
    for offset, entry in entries.items():
        record[offset : offset + ENTRY_SIZE] = entry
    store.pwrite(bytes(record), 0)


def rewrite_protective(store: ByteStore, mbr: Mbr, sizes: SectorConversion) -> None:
    """Make the entry that protects a GPT as long as it was, counted in new sectors.

    The largest number means "as much as can be said" and stays.
    """
    entry = mbr.primaries[0]
    if entry.sectors != MAX_SECTORS:
        # An entry without a length would not be one.
        size = max(1, min(sizes.covering(entry.sectors + 1) - 1, MAX_SECTORS))
        store.pwrite(size.to_bytes(4, "little"), size_offset(entry.number))


def _converted(part: MbrPartition, sizes: SectorConversion) -> bytes:
    if part.is_extended:
        raise sizes.refused(
            f"Partition {part.number} is an extended one, whose logical partitions can not be converted.",
            hint="Make the image with a GPT, or with primary partitions only.",
        )
    first = sizes.start(part.number, part.first_lba)
    sectors = sizes.covering(part.last_lba + 1) - first
    if max(first, sectors) > MAX_SECTORS:
        raise sizes.refused(
            f"Partition {part.number} begins at or has more than {MAX_SECTORS} sectors of "
            f"{sizes.sector_size} bytes, the most an MBR can say.",
            hint="Make the image with a GPT.",
        )
    return pack_entry(type_byte=part.type, first_lba=first, sectors=sectors, active=part.active)
