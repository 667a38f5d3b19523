"""One entry of a partition record: the MBR has four, an extended boot record two (UEFI 2.10, section 5.2.1).

All of a record is in the first 512 bytes of a sector, whatever the sector size; addresses count in sectors.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from partitioning.errors import TableUnusable
from partitioning.partition_types import MBR_EXTENDED, MBR_UNUSED

RECORD_SIZE = 512
RECORD_SIGNATURE = b"\x55\xaa"
SLOTS = 4
ENTRY_SIZE = 16
MAX_SECTORS = 0xFFFFFFFF
"""Addresses and lengths are 32 bits wide."""
ACTIVE = 0x80

_ENTRIES_OFFSET = 446
_ENTRY = struct.Struct("<B3sB3sII")


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


def entry_offset(number: int) -> int:
    """Give the byte at which primary entry ``number`` (1 to 4) stands in the MBR."""
    return _ENTRIES_OFFSET + (number - 1) * ENTRY_SIZE


def size_offset(number: int) -> int:
    """Give the byte at which the length in sectors of primary entry ``number`` stands."""
    return entry_offset(number) + 12


def pack_entry(*, type_byte: int, first_lba: int, sectors: int, active: bool = False) -> bytes:
    """Make an entry. ``first_lba`` and ``sectors`` have to fit 32 bits."""
    last_lba = first_lba + sectors - 1
    status = ACTIVE if active else 0
    return _ENTRY.pack(status, _chs(first_lba), type_byte, _chs(last_lba), first_lba, sectors)


def _chs(lba: int) -> bytes:
    # Everybody reads the LBA; tools check that CHS agrees with it. 255 heads and 63 sectors is the geometry
    # all of them assume, and FE FF FF is what stands where it does not reach.
    cylinder, rest = divmod(lba, 255 * 63)
    if cylinder > 1023:
        return b"\xfe\xff\xff"
    head, sector = divmod(rest, 63)
    return bytes((head, (sector + 1) | (cylinder >> 8) << 6, cylinder & 0xFF))


def parse_entry(raw: bytes, number: int, *, base: int = 0) -> MbrPartition | None:
    """Read the entry in slot ``number`` (from 1), its address counted from ``base``; None when unused."""
    status, _, kind, _, first, sectors = _ENTRY.unpack_from(raw, entry_offset(number))
    if kind == MBR_UNUSED or sectors == 0:
        return None
    return MbrPartition(
        number=number,
        type=kind,
        first_lba=base + first,
        sectors=sectors,
        active=status == ACTIVE,
    )


def check_apart(entries: Sequence[MbrPartition], *, first_lba: int) -> None:
    """Raise TableUnusable when entries overlap or begin before ``first_lba``."""
    ordered = sorted(entries, key=lambda entry: entry.first_lba)
    for entry in ordered[:1]:
        if entry.first_lba < first_lba:
            raise unusable(f"Partition {entry.number} begins at LBA {entry.first_lba}.")
    for one, other in pairwise(ordered):
        if other.first_lba <= one.last_lba:
            raise unusable(f"The partitions {one.number} and {other.number} overlap.")


def unusable(detail: str) -> TableUnusable:
    """Make the error for an MBR that can not be worked with."""
    return TableUnusable(
        "The MBR partition table is not usable.",
        detail=detail,
        hint="Look at the image with: sfdisk -V IMAGE (a qcow2 converted to raw). Repair or rebuild it.",
    )
