"""The GUID partition table, read from bytes and written back to bytes (UEFI 2.10, section 5.3).

The raw header and the raw entry array are kept, so that writing a table back changes only the fields meant.
"""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import pairwise
from uuid import UUID
from zlib import crc32

from partitioning.byte_access import ByteReader, ByteStore
from partitioning.errors import TableUnusable
from partitioning.gpt_header import GptHeader, parse_header, unusable
from partitioning.partition_types import UNUSED

# UEFI 2.10 section 5.3.3, table 5.6.
_ENTRY = struct.Struct("<16s16sQQQ72s")
_ENTRY_LBAS = struct.Struct("<QQ")
_ENTRY_LBAS_OFFSET = 32
_LEGACY_BIOS_BOOTABLE = 1 << 2

HEAD_LIMIT = 1 << 20
"""The primary header and its entry array have to lie within this many bytes; a backup array is no larger."""

PRIMARY_LBA = 1
PRIMARY_ARRAY_LBA = 2
"""Where the primary's entry array begins, unless somebody had a reason to put it elsewhere."""

RESERVED_FOR_ARRAY = 16384
"""Bytes; UEFI 2.10 section 5.3.1: at least this much has to be reserved for an entry array."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GptPartition:
    """One used entry of the array. ``index`` counts from 0; LBAs are those of the table's sector size."""

    index: int
    type_guid: UUID
    unique_guid: UUID
    first_lba: int
    last_lba: int
    attributes: int
    name: str
    raw: bytes

    @property
    def number(self) -> int:
        """The partition's number as Linux counts it, from 1."""
        return self.index + 1

    @property
    def legacy_bootable(self) -> bool:
        """Whether attribute bit 2, Legacy BIOS Bootable, is set."""
        return bool(self.attributes & _LEGACY_BIOS_BOOTABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpt:
    """One of a disk's two copies of the table: the header, the raw entry array and the used entries."""

    header: GptHeader
    entries: bytes
    partitions: tuple[GptPartition, ...]
    sector_size: int

    @property
    def array_sectors(self) -> int:
        """How many sectors the entry array takes."""
        return -(-len(self.entries) // self.sector_size)

    @property
    def highest_lba(self) -> int:
        """The last LBA any partition uses; the one before the first usable LBA when there is none."""
        return max((part.last_lba for part in self.partitions), default=self.header.first_usable_lba - 1)

    def with_entry(self, index: int, raw: bytes) -> "Gpt":
        """Give the same table with one entry of the array replaced. Raises TableUnusable as reading does."""
        size = self.header.entry_size
        entries = self.entries[: index * size] + raw.ljust(size, b"\0") + self.entries[(index + 1) * size :]
        return assemble(self.header, entries, self.sector_size)

    def is_free(self, first_lba: int, count: int) -> bool:
        """Tell whether ``count`` sectors lie behind the table's own, and no partition lies on them."""
        end = first_lba + count
        return self.header.first_usable_lba <= first_lba and all(
            end <= part.first_lba or part.last_lba < first_lba for part in self.partitions
        )

    def as_backup(self) -> "Gpt":
        """Give the backup copy of a primary: at its alternate LBA, the entry array right in front of it."""
        my_lba = self.header.alternate_lba
        header = replace(
            self.header,
            my_lba=my_lba,
            alternate_lba=self.header.my_lba,
            entries_lba=my_lba - self.array_sectors,
        )
        return replace(self, header=header)

    def header_bytes(self) -> bytes:
        """Give the header, as long as it says it is, its CRC made anew."""
        return self.header.to_bytes()

    def header_sector(self) -> bytes:
        """Give the whole sector of a header written to a new place: what follows the header is zero."""
        return self.header_bytes().ljust(self.sector_size, b"\0")

    def entries_sectors(self) -> bytes:
        """Give the array filled up with zeroes to whole sectors, for a new place."""
        return self.entries.ljust(self.array_sectors * self.sector_size, b"\0")

    def write(self, store: ByteStore) -> None:
        """Put array and header back where they are, touching no byte beside them."""
        store.pwrite(self.entries, self.header.entries_lba * self.sector_size)
        store.pwrite(self.header_bytes(), self.header.my_lba * self.sector_size)


def read_primary(reader: ByteReader, sector_size: int) -> Gpt:
    """Read and check the primary table, whose header is at LBA 1. ``sector_size`` is in bytes.

    Raises TableUnusable.
    """
    header = _read_header(reader, sector_size, PRIMARY_LBA)
    _check_primary_place(header, sector_size)
    return _read_entries(reader, header, sector_size)


def read_backup(reader: ByteReader, sector_size: int, *, lba: int | None = None) -> Gpt:
    """Read and check the backup table, whose header is at the last LBA unless ``lba`` says where.

    Raises TableUnusable.
    """
    at = reader.size // sector_size - 1 if lba is None else lba
    header = _read_header(reader, sector_size, at)
    _check_backup_place(header, sector_size)
    return _read_entries(reader, header, sector_size)


def has_header(reader: ByteReader, sector_size: int) -> bool:
    """Tell whether an intact header stands where the primary of a table of this sector size has it."""
    try:
        _read_header(reader, sector_size, PRIMARY_LBA)
    except TableUnusable:
        return False
    return True


def assemble(header: GptHeader, entries: bytes, sector_size: int) -> Gpt:
    """Make a table of a header and an entry array, whose CRC is made anew. Raises TableUnusable."""
    header = replace(header, entries_crc=crc32(entries))
    return _assembled(header, entries, sector_size)


def has_backup(reader: ByteReader) -> bool:
    """Tell whether an intact backup stands at the end, for either sector size that disks have."""
    for sector_size in (512, 4096):
        try:
            read_backup(reader, sector_size)
        except TableUnusable:
            continue
        return True
    return False


def pack_entry(
    *, type_guid: UUID, unique_guid: UUID, first_lba: int, last_lba: int, attributes: int, name: str
) -> bytes:
    """Make an entry of 128 bytes; ``name`` is cut to 36 UTF-16 units."""
    encoded = name.encode("utf-16-le")[:72]
    return _ENTRY.pack(type_guid.bytes_le, unique_guid.bytes_le, first_lba, last_lba, attributes, encoded)


def moved_entry(raw: bytes, *, first_lba: int, last_lba: int) -> bytes:
    """Give an entry with other LBAs and every other byte as it is."""
    end = _ENTRY_LBAS_OFFSET + _ENTRY_LBAS.size
    return raw[:_ENTRY_LBAS_OFFSET] + _ENTRY_LBAS.pack(first_lba, last_lba) + raw[end:]


def _read_header(reader: ByteReader, sector_size: int, lba: int) -> GptHeader:
    if lba < 1 or (lba + 1) * sector_size > reader.size:
        raise unusable(f"LBA {lba}, where a header should be, is not on the disk.")
    return parse_header(reader.pread(sector_size, lba * sector_size), lba)


def _array_end(header: GptHeader, sector_size: int) -> int:
    return header.entries_lba * sector_size + header.array_size


def _check_primary_place(header: GptHeader, sector_size: int) -> None:
    if header.entries_lba < PRIMARY_ARRAY_LBA:
        raise unusable(f"The entry array is said to begin at LBA {header.entries_lba}.")
    if _array_end(header, sector_size) > HEAD_LIMIT:
        raise unusable(
            f"{header.entry_count} entries of {header.entry_size} bytes at LBA {header.entries_lba} "
            "do not lie within the first MiB."
        )
    if _array_end(header, sector_size) > header.first_usable_lba * sector_size:
        raise unusable("The entry array reaches into the area for partitions.")


def _check_backup_place(header: GptHeader, sector_size: int) -> None:
    if header.array_size > HEAD_LIMIT:
        raise unusable(f"{header.entry_count} entries of {header.entry_size} bytes are more than one MiB.")
    if header.entries_lba <= header.last_usable_lba:
        raise unusable("The backup's entry array lies in the area for partitions.")
    if _array_end(header, sector_size) > header.my_lba * sector_size:
        raise unusable("The backup's entry array reaches into its header or beyond.")


def _read_entries(reader: ByteReader, header: GptHeader, sector_size: int) -> Gpt:
    if _array_end(header, sector_size) > reader.size:
        raise unusable("The entry array is not on the disk.")
    entries = reader.pread(header.array_size, header.entries_lba * sector_size)
    if crc32(entries) != header.entries_crc:
        raise unusable("The checksum (CRC) of the entry array is wrong.")
    return _assembled(header, entries, sector_size)


def _assembled(header: GptHeader, entries: bytes, sector_size: int) -> Gpt:
    partitions = _parse_entries(header, entries)
    return Gpt(header=header, entries=entries, partitions=partitions, sector_size=sector_size)


def _parse_entries(header: GptHeader, entries: bytes) -> tuple[GptPartition, ...]:
    size = header.entry_size
    unused = UNUSED.bytes_le
    partitions = tuple(
        _parse_entry(index, entries[index * size : (index + 1) * size])
        for index in range(header.entry_count)
        if entries[index * size : index * size + 16] != unused
    )
    for partition in partitions:
        _check_range(header, partition)
    _check_overlaps(partitions)
    return partitions


def _parse_entry(index: int, raw: bytes) -> GptPartition:
    type_guid, unique_guid, first, last, attributes, name = _ENTRY.unpack_from(raw)
    return GptPartition(
        index=index,
        type_guid=UUID(bytes_le=type_guid),
        unique_guid=UUID(bytes_le=unique_guid),
        first_lba=first,
        last_lba=last,
        attributes=attributes,
        name=name.decode("utf-16-le", errors="replace").split("\0")[0],
        raw=raw,
    )


def _check_range(header: GptHeader, partition: GptPartition) -> None:
    first, last = partition.first_lba, partition.last_lba
    if not header.first_usable_lba <= first <= last <= header.last_usable_lba:
        raise unusable(
            f"Partition {partition.number} (LBA {first} to {last}) is not within the usable area "
            f"(LBA {header.first_usable_lba} to {header.last_usable_lba})."
        )


def _check_overlaps(partitions: Iterable[GptPartition]) -> None:
    ordered = sorted(partitions, key=lambda partition: partition.first_lba)
    for one, other in pairwise(ordered):
        if other.first_lba <= one.last_lba:
            raise unusable(f"The partitions {one.number} and {other.number} overlap.")
