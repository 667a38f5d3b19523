"""Rewriting a partition table for a disk whose logical sector size is another than the one it was made for.

The bytes of an image stay where they are on any disk; its table counts in sectors. Whether the file systems
in the partitions can be used on such a disk is another question: see block_size.py.
"""

from dataclasses import replace

from partitioning.byte_access import ByteReader, ByteStore
from partitioning.convert_gpt import converted_gpt, rewrite_gpt
from partitioning.convert_mbr import converted_entries, rewrite_entries, rewrite_protective
from partitioning.errors import NotConvertible, TableUnusable
from partitioning.gpt import Gpt
from partitioning.head_overlay import HeadOverlay
from partitioning.mbr import Mbr, MbrKind
from partitioning.sector_conversion import SectorConversion
from partitioning.sector_size import SIZES
from partitioning.table import Partition, PartitionTable, read_records, read_table

__all__ = ["NotConvertible", "convert_table", "converted_view"]


def convert_table(store: ByteStore, *, made_for: int, sector_size: int) -> None:
    """Rewrite the table of ``store``, made for sectors of ``made_for`` bytes, for ``sector_size`` bytes.

    The partitions keep start, type, GUID, name, attributes and number; one that ends within a new sector is
    rounded up to its end. A GPT's new header and array take the place of what stood there between the
    tables and the first partition; the old header, array and backup are zeroed. The backup is left to
    ``move_backup``, which has to follow. Nothing is written before it has been worked out in memory and
    read back there. Raises NotConvertible, or TableUnusable when there is no usable table for ``made_for``.
    """
    if made_for not in SIZES or sector_size not in SIZES:
        raise ValueError(f"no logical sector sizes: {made_for} and {sector_size}")
    if made_for == sector_size:
        return
    sizes = SectorConversion(made_for=made_for, sector_size=sector_size)
    before = read_table(store, made_for)
    trial = HeadOverlay(store)
    _rewrite(trial, sizes)
    _check(before, _read_again(trial, sizes), sizes)
    _rewrite(store, sizes)


def converted_view(reader: ByteReader, *, made_for: int, sector_size: int) -> HeadOverlay:
    """Give an image as it will read on a disk with sectors of ``sector_size`` bytes, for planning.

    Nothing is written. The view ends with a whole sector; it has no backup GPT. Raises as convert_table does.
    """
    # Against the true size: a partition may end in the sector the view fills up, but not by its own table.
    read_table(reader, made_for)
    view = HeadOverlay(reader, size=-(-reader.size // sector_size) * sector_size)
    convert_table(view, made_for=made_for, sector_size=sector_size)
    return view


def _rewrite(store: ByteStore, sizes: SectorConversion) -> None:
    mbr, gpt = read_records(store, sizes.made_for)
    if gpt is None:
        rewrite_entries(store, mbr, converted_entries(mbr, sizes))
    else:
        _rewrite_gpt(store, mbr, gpt, sizes)


def _rewrite_gpt(store: ByteStore, mbr: Mbr, gpt: Gpt, sizes: SectorConversion) -> None:
    if mbr.kind is MbrKind.HYBRID:
        raise sizes.refused(
            "Its MBR is a hybrid one: it has partitions of its own beside the entry that protects the GPT.",
            hint="Let gdisk write a protective MBR into the image: gdisk IMAGE, then x, n and w.",
        )
    new = converted_gpt(gpt, sizes)
    if (new.header.entries_lba + new.array_sectors) * sizes.sector_size > store.size:
        raise sizes.refused(f"The disk or image has {store.size} bytes, too few for the new table.")
    rewrite_gpt(store, gpt, new)
    rewrite_protective(store, mbr, sizes)


def _read_again(trial: ByteReader, sizes: SectorConversion) -> PartitionTable:
    try:
        return read_table(trial, sizes.sector_size)
    except TableUnusable as error:
        raise sizes.refused(f"Rewritten, it would not be usable. {error.message} {error.detail}") from error


def _check(before: PartitionTable, after: PartitionTable, sizes: SectorConversion) -> None:
    expected = tuple(_rounded(part, sizes.sector_size) for part in before.partitions)
    if (before.kind, expected) != (after.kind, after.partitions):
        raise sizes.refused("Rewritten, it would not name the same partitions.")


def _rounded(part: Partition, sector_size: int) -> Partition:
    return replace(part, size=-(-part.end // sector_size) * sector_size - part.start)
