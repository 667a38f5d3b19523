"""The partition table of a disk or an image, GPT or MBR, in one form that does not depend on which."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from partitioning.byte_access import ByteReader, NotThereYet
from partitioning.errors import SectorSizeMismatch, TableUnusable
from partitioning.gpt import Gpt, GptPartition, has_header, read_backup, read_primary
from partitioning.mbr import Mbr, MbrKind, read_mbr
from partitioning.mbr_entry import MbrPartition
from partitioning.partition_types import BIOS_BOOT, ESP, MBR_EXTENDED, guid_name, mbr_id, mbr_name
from partitioning.sector_size import detect_sector_size, mbr_evidence, other_size

__all__ = [
    "NoTable",
    "Partition",
    "PartitionTable",
    "TableKind",
    "detect_sector_size",
    "read_records",
    "read_table",
]


class NoTable(TableUnusable):
    """There is no partition table at all."""


class TableKind(StrEnum):
    """Which of the two sorts of table."""

    GPT = "gpt"
    MBR = "mbr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition; ``start`` and ``size`` are bytes from the beginning of the disk.

    ``type`` is the type GUID in lower case or the MBR type as ``0x83``; ``partuuid`` is what Linux calls it
    by (PARTUUID). Only a GPT partition has a ``guid`` and a ``name``.
    """

    number: int
    start: int
    size: int
    type: str
    type_name: str
    name: str
    guid: UUID | None
    partuuid: str
    is_esp: bool
    is_bios_boot: bool
    legacy_bootable: bool
    is_extended: bool

    @property
    def end(self) -> int:
        """The byte after the partition's last."""
        return self.start + self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionTable:
    """A table that was read and checked, with the raw records it came from."""

    kind: TableKind
    sector_size: int
    partitions: tuple[Partition, ...]
    mbr: Mbr
    gpt: Gpt | None

    @property
    def has_boot_code(self) -> bool:
        """Whether anything but zeroes stands where legacy firmware looks for boot code."""
        return self.mbr.has_boot_code

    def by_number(self, number: int) -> Partition | None:
        """Find the partition with this number."""
        return next((part for part in self.partitions if part.number == number), None)

    def by_guid(self, guid: UUID) -> Partition | None:
        """Find the GPT partition with this unique GUID."""
        return next((part for part in self.partitions if part.guid == guid), None)


def read_table(reader: ByteReader, sector_size: int) -> PartitionTable:
    """Read the table as firmware and Linux would on a disk with this logical sector size (bytes).

    A backup GPT need not be there: it is missing or elsewhere on an image that is smaller than the disk.
    A GPT counts only behind a protective or hybrid MBR (UEFI 2.10 section 5.3.1).
    Raises NoTable, SectorSizeMismatch, or TableUnusable.
    """
    mbr, gpt = read_records(reader, sector_size)
    table = _mbr_table(mbr, sector_size) if gpt is None else _gpt_table(mbr, gpt, sector_size)
    _check_on_disk(table, reader.size)
    return table


def read_records(reader: ByteReader, sector_size: int) -> tuple[Mbr, Gpt | None]:
    """Read the same, but give the raw records; partitions may reach beyond the end of ``reader``."""
    mbr = _read_mbr(reader, sector_size)
    if mbr.kind is MbrKind.PLAIN:
        _refuse_mbr_of_other_size(reader, mbr, sector_size)
        return mbr, None
    if not mbr.points_to_gpt:
        raise _no_table(reader, sector_size)
    return mbr, _primary(reader, sector_size)


def _read_mbr(reader: ByteReader, sector_size: int) -> Mbr:
    try:
        return read_mbr(reader, sector_size)
    except TableUnusable as error:
        other = other_size(sector_size)
        if detect_sector_size(reader) == other:
            raise _mismatch(made_for=other, disk_has=sector_size) from error
        raise


def _primary(reader: ByteReader, sector_size: int) -> Gpt:
    try:
        return read_primary(reader, sector_size)
    except TableUnusable as error:
        _refuse_other_size(reader, sector_size)
        if _backup_is_good(reader, sector_size):
            raise TableUnusable(
                "Only the backup GPT is good, the primary is not.",
                detail=f"{error.detail} The copy at the end of the disk is intact.",
                hint="Restore the primary from it in the image: gdisk IMAGE, then r, b and w.",
            ) from error
        raise


def _backup_is_good(reader: ByteReader, sector_size: int) -> bool:
    try:
        read_backup(reader, sector_size)
    except (TableUnusable, NotThereYet):
        return False
    return True


def _refuse_other_size(reader: ByteReader, sector_size: int) -> None:
    other = other_size(sector_size)
    if has_header(reader, other) and not has_header(reader, sector_size):
        raise _mismatch(made_for=other, disk_has=sector_size)


def _refuse_mbr_of_other_size(reader: ByteReader, mbr: Mbr, sector_size: int) -> None:
    other = other_size(sector_size)
    if mbr_evidence(reader, mbr, sector_size) == other:
        raise _mismatch(made_for=other, disk_has=sector_size)


def _mismatch(*, made_for: int, disk_has: int) -> SectorSizeMismatch:
    return SectorSizeMismatch(
        f"The partition table is made for {made_for}-byte sectors, but the disk has {disk_has}-byte sectors.",
        detail=f"A {made_for}-byte table on a disk with {disk_has}-byte sectors looks like no table: "
        f"its addresses count in sectors of {made_for} bytes, and firmware and kernel look elsewhere.",
        hint=f"Use an image made for {disk_has}-byte sectors, or a disk with {made_for}-byte sectors "
        "(many NVMe disks can be reformatted: nvme id-ns, nvme format --lbaf).",
    )


def _no_table(reader: ByteReader, sector_size: int) -> TableUnusable:
    if has_header(reader, sector_size):
        return TableUnusable(
            "The GPT has no protective MBR.",
            detail="Without an entry of type 0xEE that begins at LBA 1, firmware and Linux ignore the GPT.",
            hint="Let gdisk write a protective MBR into the image: gdisk IMAGE, then x, n and w.",
        )
    if has_header(reader, other_size(sector_size)):
        return _mismatch(made_for=other_size(sector_size), disk_has=sector_size)
    return NoTable(
        "There is no partition table.",
        detail="The first sectors hold neither a GPT nor an MBR with partitions.",
        hint="Use an image of a whole disk; one of a single file system can not be started from.",
    )


def _check_on_disk(table: PartitionTable, size: int) -> None:
    for part in table.partitions:
        if part.end > size:
            raise TableUnusable(
                f"Partition {part.number} reaches beyond the end.",
                detail=f"It ends at byte {part.end}, the disk or image at byte {size}.",
                hint="The image was cut short, or made for a larger disk. Make it again.",
            )


def _gpt_table(mbr: Mbr, gpt: Gpt, sector_size: int) -> PartitionTable:
    return PartitionTable(
        kind=TableKind.GPT,
        sector_size=sector_size,
        partitions=tuple(_from_gpt(part, sector_size) for part in gpt.partitions),
        mbr=mbr,
        gpt=gpt,
    )


def _mbr_table(mbr: Mbr, sector_size: int) -> PartitionTable:
    return PartitionTable(
        kind=TableKind.MBR,
        sector_size=sector_size,
        partitions=tuple(_from_mbr(part, mbr.disk_signature, sector_size) for part in mbr.partitions),
        mbr=mbr,
        gpt=None,
    )


def _from_gpt(part: GptPartition, sector_size: int) -> Partition:
    return Partition(
        number=part.number,
        start=part.first_lba * sector_size,
        size=(part.last_lba - part.first_lba + 1) * sector_size,
        type=str(part.type_guid),
        type_name=guid_name(part.type_guid),
        name=part.name,
        guid=part.unique_guid,
        partuuid=str(part.unique_guid),
        is_esp=part.type_guid == ESP.guid,
        is_bios_boot=part.type_guid == BIOS_BOOT,
        legacy_bootable=part.legacy_bootable,
        is_extended=False,
    )


def _from_mbr(part: MbrPartition, disk_signature: int, sector_size: int) -> Partition:
    return Partition(
        number=part.number,
        start=part.first_lba * sector_size,
        size=part.sectors * sector_size,
        type=mbr_id(part.type),
        type_name=mbr_name(part.type),
        name="",
        guid=None,
        partuuid=f"{disk_signature:08x}-{part.number:02x}",
        is_esp=part.type == ESP.mbr,
        is_bios_boot=False,
        legacy_bootable=part.active,
        is_extended=part.type in MBR_EXTENDED,
    )
