"""Moving the backup GPT of an image to the end of the larger disk it was written to.

The backup has to be in the last sectors of the disk (UEFI 2.10, section 5.3.2). What changes on the way:
the primary header's alternate LBA, last usable LBA and CRC; the size in a purely protective MBR; and the
old backup is zeroed. Everything else stays byte for byte: entry array, GUIDs, attributes, boot code,
disk signature, a hybrid MBR.
"""

from dataclasses import replace

from partitioning.byte_access import ByteReader, ByteStore, NotThereYet
from partitioning.errors import NoRoom, TableUnusable
from partitioning.gpt import RESERVED_FOR_ARRAY, Gpt, read_backup
from partitioning.mbr import Mbr, MbrKind
from partitioning.mbr_entry import MAX_SECTORS, size_offset
from partitioning.table import read_records


def moved_to_end(gpt: Gpt, disk_size: int) -> Gpt:
    """Give the primary as it has to be on a disk of ``disk_size`` bytes; unchanged when it fits already.

    Raises NoRoom when a partition, or the table itself, has no room on such a disk.
    """
    last_lba = disk_size // gpt.sector_size - 1
    if gpt.header.alternate_lba == last_lba and _leaves_room(gpt):
        return gpt
    last_usable = _last_usable(gpt, last_lba)
    if gpt.highest_lba > last_usable or gpt.header.first_usable_lba > last_usable:
        raise NoRoom(
            "The disk is too small for the image's partitions.",
            detail=f"They reach to LBA {gpt.highest_lba}; on this disk the last usable LBA is {last_usable} "
            f"({disk_size} bytes, sectors of {gpt.sector_size}).",
            hint="Choose a larger disk, or make the image's last partition smaller.",
        )
    return replace(gpt, header=replace(gpt.header, alternate_lba=last_lba, last_usable_lba=last_usable))


def move_backup(store: ByteStore, sector_size: int) -> Gpt:
    """Move the backup GPT to the end of ``store`` and return the primary as it then is.

    Nothing at all is written when everything is in its place already. Raises TableUnusable when there is
    no usable primary GPT, NoRoom when the disk is too small.
    """
    mbr, old = read_records(store, sector_size)
    if old is None:
        raise TableUnusable(
            "There is no GPT to repair.",
            detail="The partition table is an MBR, which has no copy at the end of the disk.",
            hint="Nothing needs to be moved on an MBR disk.",
        )
    new = moved_to_end(old, store.size)
    if not backup_agrees(store, new):
        _write_backup(store, new.as_backup())
    if new != old:
        store.pwrite(new.header_bytes(), sector_size)
        _zero_stale(store, old, new)
    _resize_protective(store, mbr, store.size // sector_size)
    return new


def backup_agrees(reader: ByteReader, primary: Gpt) -> bool:
    """Tell whether an intact backup that says the same stands in the last LBA of ``reader``."""
    try:
        backup = read_backup(reader, primary.sector_size)
    except TableUnusable:
        return False
    expected = replace(
        primary.header,
        my_lba=primary.header.alternate_lba,
        alternate_lba=primary.header.my_lba,
        entries_lba=backup.header.entries_lba,
    )
    return backup.header == expected and backup.entries == primary.entries


def stale_backup(reader: ByteReader, primary: Gpt) -> tuple[tuple[int, int], ...]:
    """Give what the backup takes where ``primary`` says it is: its array and its header (first LBA, sectors).

    Nothing when no intact one is there, or it has not come yet. Where its array is, the backup says itself:
    see whether that is free.
    """
    try:
        backup = read_backup(reader, primary.sector_size, lba=primary.header.alternate_lba)
    except (TableUnusable, NotThereYet):
        return ()
    return (backup.header.entries_lba, backup.array_sectors), (backup.header.my_lba, 1)


def _leaves_room(gpt: Gpt) -> bool:
    return gpt.header.last_usable_lba < gpt.header.alternate_lba - gpt.array_sectors


def _last_usable(gpt: Gpt, last_lba: int) -> int:
    # An array of few entries has room to grow unless a partition already stands there, as it may on an
    # image whose maker reserved less than the specification wants.
    tight = last_lba - gpt.array_sectors - 1
    roomy = last_lba - -(-RESERVED_FOR_ARRAY // gpt.sector_size) - 1
    return tight if gpt.highest_lba > roomy else min(tight, roomy)


def _write_backup(store: ByteStore, backup: Gpt) -> None:
    store.pwrite(backup.entries_sectors(), backup.header.entries_lba * backup.sector_size)
    store.pwrite(backup.header_sector(), backup.header.my_lba * backup.sector_size)


def _zero_stale(store: ByteStore, old: Gpt, new: Gpt) -> None:
    """Zero the backup at the image's old end, if an intact one is there and nothing else lies on it."""
    end = new.as_backup().header.entries_lba
    for first, count in stale_backup(store, old):
        if new.is_free(first, count) and first + count <= end:
            store.pwrite(bytes(count * old.sector_size), first * old.sector_size)


def _resize_protective(store: ByteStore, mbr: Mbr, sectors: int) -> None:
    """UEFI 2.10 section 5.2.3: the entry covers the whole disk, or as much as 32 bits can say."""
    entry = mbr.primaries[0]
    size = min(sectors - 1, MAX_SECTORS)
    if mbr.kind is MbrKind.PROTECTIVE and entry.sectors != size:
        store.pwrite(size.to_bytes(4, "little"), size_offset(entry.number))
