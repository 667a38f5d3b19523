"""The master boot record (UEFI 2.10, section 5.2): what kind it is, and the partitions it leads to."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from partitioning.byte_access import ByteReader
from partitioning.extended_partitions import logical_partitions
from partitioning.mbr_entry import (
    ACTIVE,
    RECORD_SIGNATURE,
    RECORD_SIZE,
    SLOTS,
    MbrPartition,
    check_apart,
    entry_offset,
    parse_entry,
    unusable,
)
from partitioning.partition_types import MBR_PROTECTIVE

_BOOT_CODE_SIZE = 440


class MbrKind(StrEnum):
    """What the four entries say about the disk."""

    NONE = "none"
    PLAIN = "plain"
    PROTECTIVE = "protective"
    HYBRID = "hybrid"


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
        raise unusable(f"{reader.size} bytes are too few for a partition table.")
    raw = reader.pread(RECORD_SIZE, 0)
    primaries = _primaries(raw)
    kind = _classify(primaries)
    logicals: tuple[MbrPartition, ...] = ()
    if kind is MbrKind.PLAIN:
        check_apart(primaries, first_lba=1)
        logicals = logical_partitions(reader, sector_size, primaries)
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
    return _classify(_primaries(reader.pread(RECORD_SIZE, 0))) if reader.size >= RECORD_SIZE else MbrKind.NONE


def _primaries(raw: bytes) -> tuple[MbrPartition, ...]:
    if raw[510:512] != RECORD_SIGNATURE:
        return ()
    entries = [parse_entry(raw, number) for number in range(1, SLOTS + 1)]
    # The boot sector of a file system ends in 55 AA too; what it has in place of entries is code or text,
    # and Linux tells the two apart by this byte as well (block/partitions/msdos.c).
    if any(raw[entry_offset(number)] not in (0, ACTIVE) for number in range(1, SLOTS + 1)):
        return ()
    return tuple(entry for entry in entries if entry is not None)


def _classify(primaries: Sequence[MbrPartition]) -> MbrKind:
    if not primaries:
        return MbrKind.NONE
    if not any(entry.type == MBR_PROTECTIVE for entry in primaries):
        return MbrKind.PLAIN
    return MbrKind.PROTECTIVE if len(primaries) == 1 else MbrKind.HYBRID
