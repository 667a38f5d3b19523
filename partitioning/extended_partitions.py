"""Logical partitions: the chain of extended boot records, which may be hostile and still has an end."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from partitioning.byte_access import ByteReader
from partitioning.mbr_entry import (
    RECORD_SIGNATURE,
    RECORD_SIZE,
    MbrPartition,
    check_apart,
    entry_offset,
    parse_entry,
    unusable,
)

_FIRST_LOGICAL = 5
_MAX_LOGICALS = 124


def is_extended_record(reader: ByteReader) -> bool:
    """Tell whether ``reader`` begins with an extended boot record: its entries 3 and 4 are always empty."""
    if reader.size < RECORD_SIZE:
        return False
    record = reader.pread(RECORD_SIZE, 0)
    used = record[entry_offset(1) : entry_offset(3)]
    return record[510:512] == RECORD_SIGNATURE and any(used) and not any(record[entry_offset(3) : 510])


def logical_partitions(
    reader: ByteReader, sector_size: int, primaries: Sequence[MbrPartition]
) -> tuple[MbrPartition, ...]:
    """List the logical partitions, numbered from 5. Raises TableUnusable when a chain makes no sense."""
    found: list[MbrPartition] = []
    for container in primaries:
        if container.is_extended:
            inside = list(_walk(reader, sector_size, container, _FIRST_LOGICAL + len(found)))
            check_apart(inside, first_lba=container.first_lba + 1)
            found.extend(inside)
    return tuple(found)


def _walk(
    reader: ByteReader, sector_size: int, container: MbrPartition, number: int
) -> Iterator[MbrPartition]:
    at: int | None = container.first_lba
    seen: set[int] = set()
    while at is not None:
        if at in seen or len(seen) >= _MAX_LOGICALS:
            raise unusable("The chain of extended boot records has no end.")
        seen.add(at)
        record = _extended_record(reader, sector_size, container, at)
        if record is None:
            return
        for entry in _data_entries(record, at, number):
            _check_inside(container, entry)
            yield entry
            number += 1
        at = _next_record(record, container)


def _extended_record(reader: ByteReader, sector_size: int, container: MbrPartition, lba: int) -> bytes | None:
    offset = lba * sector_size
    if not container.first_lba <= lba <= container.last_lba or offset + RECORD_SIZE > reader.size:
        raise unusable(
            f"An extended boot record is said to be at LBA {lba}, outside partition {container.number}."
        )
    record = reader.pread(RECORD_SIZE, offset)
    if record[510:512] == RECORD_SIGNATURE:
        return record
    if lba == container.first_lba:
        return None
    raise unusable(f"There is no extended boot record at LBA {lba}, where the chain points.")


def _data_entries(record: bytes, lba: int, number: int) -> Iterator[MbrPartition]:
    # Only the first two entries of an extended boot record have a meaning; one of them may be the link.
    for slot in (1, 2):
        entry = parse_entry(record, slot, base=lba)
        if entry is not None and not entry.is_extended:
            yield replace(entry, number=number)
            number += 1


def _next_record(record: bytes, container: MbrPartition) -> int | None:
    for slot in (1, 2):
        entry = parse_entry(record, slot, base=container.first_lba)
        if entry is not None and entry.is_extended:
            return entry.first_lba
    return None


def _check_inside(container: MbrPartition, entry: MbrPartition) -> None:
    if entry.first_lba <= container.first_lba or entry.last_lba > container.last_lba:
        raise unusable(f"The logical partition {entry.number} is not inside partition {container.number}.")
