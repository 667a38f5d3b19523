"""The header of a GUID partition table (UEFI 2.10, section 5.3.2, table 5.5)."""

import struct
from dataclasses import dataclass
from uuid import UUID
from zlib import crc32

from partitioning.errors import TableUnusable

SIGNATURE = b"EFI PART"
MIN_ENTRY_SIZE = 128

# Signature, revision, header size, header CRC, reserved, my LBA, alternate LBA, first and last usable LBA,
# disk GUID, LBA of the entry array, number of entries, size of an entry, CRC of the array.
_FIELDS = struct.Struct("<8s4sII4sQQQQ16sQIII")
_MAJOR_VERSION = slice(2, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class GptHeader:
    """A header's fields. LBAs and counts are as they stand on the disk.

    ``reserved`` and ``extra`` (what follows the specification's 92 bytes) are kept to be written back.
    """

    revision: bytes
    reserved: bytes
    my_lba: int
    alternate_lba: int
    first_usable_lba: int
    last_usable_lba: int
    disk_guid: UUID
    entries_lba: int
    entry_count: int
    entry_size: int
    entries_crc: int
    extra: bytes

    @property
    def array_size(self) -> int:
        """Size of the entry array in bytes."""
        return self.entry_count * self.entry_size

    def to_bytes(self) -> bytes:
        """Give the header with its CRC made anew; bytes that have no field here are as they were read."""
        return self._pack(crc32(self._pack(0)))

    def _pack(self, crc: int) -> bytes:
        fields = _FIELDS.pack(
            SIGNATURE,
            self.revision,
            _FIELDS.size + len(self.extra),
            crc,
            self.reserved,
            self.my_lba,
            self.alternate_lba,
            self.first_usable_lba,
            self.last_usable_lba,
            self.disk_guid.bytes_le,
            self.entries_lba,
            self.entry_count,
            self.entry_size,
            self.entries_crc,
        )
        return fields + self.extra


def parse_header(sector: bytes, lba: int) -> GptHeader:
    """Read and check the header in ``sector``, which was read from ``lba``. Raises TableUnusable."""
    if not sector.startswith(SIGNATURE):
        raise unusable(f"There is no GPT header at LBA {lba}.")
    raw = _checked_raw(sector, lba)
    (_, revision, _, _, reserved, mine, alternate, first, last, guid, entries, count, size, crc) = (
        _FIELDS.unpack_from(raw)
    )
    if mine != lba:
        raise unusable(f"The header at LBA {lba} says it belongs at LBA {mine}.")
    _check_usable_area(first, last)
    _check_entries(count, size)
    return GptHeader(
        revision=revision,
        reserved=reserved,
        my_lba=mine,
        alternate_lba=alternate,
        first_usable_lba=first,
        last_usable_lba=last,
        disk_guid=UUID(bytes_le=guid),
        entries_lba=entries,
        entry_count=count,
        entry_size=size,
        entries_crc=crc,
        extra=raw[_FIELDS.size :],
    )


def unusable(detail: str) -> TableUnusable:
    """Make the error for a GPT that can not be worked with."""
    return TableUnusable(
        "The GPT is not usable.",
        detail=detail,
        hint="Look at the image with: sgdisk -v IMAGE (a qcow2 converted to raw). Repair or rebuild it.",
    )


def _checked_raw(sector: bytes, lba: int) -> bytes:
    _, revision, size, crc, *_ = _FIELDS.unpack_from(sector)
    if revision[_MAJOR_VERSION] != b"\1\0":
        raise unusable(f"The header at LBA {lba} is of an unknown version.")
    if not _FIELDS.size <= size <= len(sector):
        raise unusable(f"The header at LBA {lba} says it is {size} bytes long.")
    raw = sector[:size]
    if crc32(raw[:16] + bytes(4) + raw[20:]) != crc:
        raise unusable(f"The checksum (CRC) of the header at LBA {lba} is wrong.")
    return raw


def _check_usable_area(first: int, last: int) -> None:
    if not first <= last:
        raise unusable(f"The usable area is said to go from LBA {first} to {last}.")


def _check_entries(count: int, size: int) -> None:
    # UEFI 2.10 section 5.3.2: the size of an entry is 128 x 2^n.
    if size < MIN_ENTRY_SIZE or size & (size - 1):
        raise unusable(f"An entry is said to have {size} bytes.")
    if count == 0:
        raise unusable("The entry array is said to have no entries.")
