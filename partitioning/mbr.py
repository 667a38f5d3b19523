"""The master boot record and the chain of extended boot records (UEFI 2.10, section 5.2).

All of this is in the first 512 bytes of a sector, whatever the sector size; addresses count in sectors.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from partitioning.byte_access import ByteReader
from partitioning.errors import TableUnusable
from partitioning.partition_types import MBR_EXTENDED, MBR_PROTECTIVE, MBR_UNUSED

MBR_SIZE = 512
SLOTS = 4
ENTRIES_OFFSET = 446
ENTRY_SIZE = 16
MAX_SECTORS = 0xFFFFFFFF
"""Addresses and lengths are 32 bits wide."""

_BOOT_CODE_SIZE = 440
_SIGNATURE = b"\x55\xaa"
_ENTRY = struct.Struct("<B3sB3sII")
_ACTIVE = 0x80
_FIRST_LOGICAL = 5
_MAX_LOGICALS = 124


class MbrKind(StrEnum):
    """What the four entries say about the disk."""

    NONE = "none"
    PLAIN = "plain"
    PROTECTIVE = "protective"
    HYBRID = "hybrid"


@dataclass(frozen=True, slots=True, kw_only=True)
class MbrPartition:
    """A used entry: 1 to 4 are primary (or extended), 5 and up logical. LBAs are absolute."""

    number: int
    type: int
    first_lba: int
    sectors: int
    active: bool

    @property
    def last_lba(self) -> int:
        """The last LBA that belongs to the partition."""
        return self.first_lba + self.sectors - 1

    @property
    def is_extended(self) -> bool:
        """Whether it is the container of logical partitions."""
        return self.type in MBR_EXTENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Mbr:
    """The record, its used entries, and the logical partitions found through it."""

    kind: MbrKind
    has_boot_code: bool
    disk_signature: int
    primaries: tuple[MbrPartition, ...]
    logicals: tuple[MbrPartition, ...]
    raw: bytes

    @property
    def points_to_gpt(self) -> bool:
        """Whether an entry of type 0xEE begins at LBA 1; without it firmware and Linux ignore a GPT."""
        return any(entry.type == MBR_PROTECTIVE and entry.first_lba == 1 for entry in self.primaries)

    @property
    def partitions(self) -> tuple[MbrPartition, ...]:
        """All of them, containers included."""
        return self.primaries + self.logicals


def read_mbr(reader: ByteReader, sector_size: int) -> Mbr:
    """Read the MBR. None at all is ``MbrKind.NONE``; TableUnusable when its partitions make no sense."""
    if reader.size < sector_size:
        raise _unusable(f"{reader.size} bytes are too few for a partition table.")
    raw = reader.pread(MBR_SIZE, 0)
    primaries = _primaries(raw)
    kind = _classify(primaries)
    logicals: tuple[MbrPartition, ...] = ()
    if kind is MbrKind.PLAIN:
        _check_apart(primaries, first_lba=1)
        logicals = _logicals(reader, sector_size, primaries)
    return Mbr(
        kind=kind,
        has_boot_code=any(raw[:_BOOT_CODE_SIZE]),
        disk_signature=int.from_bytes(raw[440:444], "little"),
        primaries=primaries,
        logicals=logicals,
        raw=raw,
    )


def mbr_kind(reader: ByteReader) -> MbrKind:
    """Tell what the four entries say, without following an extended partition; raises nothing of its own."""
    return _classify(_primaries(reader.pread(MBR_SIZE, 0))) if reader.size >= MBR_SIZE else MbrKind.NONE


def is_extended_record(reader: ByteReader) -> bool:
    """Tell whether ``reader`` begins with an extended boot record: its entries 3 and 4 are always empty."""
    if reader.size < MBR_SIZE:
        return False
    record = reader.pread(MBR_SIZE, 0)
    used = record[entry_offset(1) : entry_offset(3)]
    return record[510:512] == _SIGNATURE and any(used) and not any(record[entry_offset(3) : 510])


def entry_offset(number: int) -> int:
    """Give the byte at which primary entry ``number`` (1 to 4) stands in the MBR."""
    return ENTRIES_OFFSET + (number - 1) * ENTRY_SIZE


def size_offset(number: int) -> int:
    """Give the byte at which the length in sectors of primary entry ``number`` stands."""
    return entry_offset(number) + 12


def pack_entry(*, type_byte: int, first_lba: int, sectors: int) -> bytes:
    """Make an entry that is not active. Both numbers are sectors and have to fit 32 bits."""
    last_lba = first_lba + sectors - 1
    return _ENTRY.pack(0, _chs(first_lba), type_byte, _chs(last_lba), first_lba, sectors)


def _chs(lba: int) -> bytes:
    # Everybody reads the LBA; tools check that CHS agrees with it. 255 heads and 63 sectors is the geometry
    # all of them assume, and FE FF FF is what stands where it does not reach.
    cylinder, rest = divmod(lba, 255 * 63)
    if cylinder > 1023:
        return b"\xfe\xff\xff"
    head, sector = divmod(rest, 63)
    return bytes((head, (sector + 1) | (cylinder >> 8) << 6, cylinder & 0xFF))


def _primaries(raw: bytes) -> tuple[MbrPartition, ...]:
    if raw[510:512] != _SIGNATURE:
        return ()
    entries = [_entry(raw, number) for number in range(1, SLOTS + 1)]
    # The boot sector of a file system ends in 55 AA too; what it has in place of entries is code or text,
    # and Linux tells the two apart by this byte as well (block/partitions/msdos.c).
    if any(raw[entry_offset(number)] not in (0, _ACTIVE) for number in range(1, SLOTS + 1)):
        return ()
    return tuple(entry for entry in entries if entry is not None)


def _entry(raw: bytes, number: int, *, base: int = 0) -> MbrPartition | None:
    status, _, kind, _, first, sectors = _ENTRY.unpack_from(raw, entry_offset(number))
    if kind == MBR_UNUSED or sectors == 0:
        return None
    return MbrPartition(
        number=number,
        type=kind,
        first_lba=base + first,
        sectors=sectors,
        active=status == _ACTIVE,
    )


def _classify(primaries: Sequence[MbrPartition]) -> MbrKind:
    if not primaries:
        return MbrKind.NONE
    if not any(entry.type == MBR_PROTECTIVE for entry in primaries):
        return MbrKind.PLAIN
    return MbrKind.PROTECTIVE if len(primaries) == 1 else MbrKind.HYBRID


def _check_apart(entries: Sequence[MbrPartition], *, first_lba: int) -> None:
    ordered = sorted(entries, key=lambda entry: entry.first_lba)
    for entry in ordered[:1]:
        if entry.first_lba < first_lba:
            raise _unusable(f"Partition {entry.number} begins at LBA {entry.first_lba}.")
    for one, other in pairwise(ordered):
        if other.first_lba <= one.last_lba:
            raise _unusable(f"The partitions {one.number} and {other.number} overlap.")


def _logicals(
    reader: ByteReader, sector_size: int, primaries: Sequence[MbrPartition]
) -> tuple[MbrPartition, ...]:
    found: list[MbrPartition] = []
    for container in primaries:
        if container.is_extended:
            inside = list(_walk(reader, sector_size, container, _FIRST_LOGICAL + len(found)))
            _check_apart(inside, first_lba=container.first_lba + 1)
            found.extend(inside)
    return tuple(found)


def _walk(
    reader: ByteReader, sector_size: int, container: MbrPartition, number: int
) -> Iterator[MbrPartition]:
    at: int | None = container.first_lba
    seen: set[int] = set()
    while at is not None:
        if at in seen or len(seen) >= _MAX_LOGICALS:
            raise _unusable("The chain of extended boot records has no end.")
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
    if not container.first_lba <= lba <= container.last_lba or offset + MBR_SIZE > reader.size:
        raise _unusable(
            f"An extended boot record is said to be at LBA {lba}, outside partition {container.number}."
        )
    record = reader.pread(MBR_SIZE, offset)
    if record[510:512] == _SIGNATURE:
        return record
    if lba == container.first_lba:
        return None
    raise _unusable(f"There is no extended boot record at LBA {lba}, where the chain points.")


def _data_entries(record: bytes, lba: int, number: int) -> Iterator[MbrPartition]:
    # Only the first two entries of an extended boot record have a meaning; one of them may be the link.
    for slot in (1, 2):
        entry = _entry(record, slot, base=lba)
        if entry is not None and not entry.is_extended:
            yield MbrPartition(
                number=number,
                type=entry.type,
                first_lba=entry.first_lba,
                sectors=entry.sectors,
                active=entry.active,
            )
            number += 1


def _next_record(record: bytes, container: MbrPartition) -> int | None:
    for slot in (1, 2):
        entry = _entry(record, slot, base=container.first_lba)
        if entry is not None and entry.is_extended:
            return entry.first_lba
    return None


def _check_inside(container: MbrPartition, entry: MbrPartition) -> None:
    if entry.first_lba <= container.first_lba or entry.last_lba > container.last_lba:
        raise _unusable(f"The logical partition {entry.number} is not inside partition {container.number}.")


def _unusable(detail: str) -> TableUnusable:
    return TableUnusable(
        "The MBR partition table is not usable.",
        detail=detail,
        hint="Look at the image with: sfdisk -V IMAGE (a qcow2 converted to raw). Repair or rebuild it.",
    )
