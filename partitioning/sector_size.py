"""Which logical sector size a partition table was made for: a table does not say, one has to look.

A GPT stands at LBA 1, which is byte 512 or byte 4096: where an intact header is, the size is known.

An MBR is the same bytes either way and only its addresses mean something else. What can be seen:
a file system, or an extended boot record, stands where a partition begins when its address is
taken to count in one of the sizes. Evidence for 4096 bytes and none for 512 is a table for 4096; when
partitions would end beyond the disk at 4096 but not at 512 it is one for 512. Without evidence it is 512,
which practically all MBR images are made for.
"""

from collections.abc import Iterable

from partitioning.byte_access import ByteReader, NotThereYet, RangeReader
from partitioning.errors import TableUnusable
from partitioning.extended_partitions import is_extended_record
from partitioning.gpt import has_header
from partitioning.mbr import Mbr, MbrKind, mbr_kind, read_mbr
from partitioning.mbr_entry import MbrPartition
from partitioning.signatures import identify

SIZES = (512, 4096)


def other_size(sector_size: int) -> int:
    """Give the other of the two sizes that disks have."""
    return 4096 if sector_size == 512 else 512


def detect_sector_size(reader: ByteReader) -> int | None:
    """Tell for which logical sector size (bytes) the table was made; None when there is no usable table."""
    if mbr_kind(reader) is not MbrKind.PLAIN:
        return next((size for size in SIZES if has_header(reader, size)), None)
    try:
        mbr = read_mbr(reader, SIZES[0])
    except TableUnusable:
        return _only_for_4096(reader)
    return mbr_evidence(reader, mbr, SIZES[0]) or SIZES[0]


def mbr_evidence(reader: ByteReader, mbr: Mbr, sector_size: int) -> int | None:
    """Tell for which size a plain MBR was made, if anything on the disk shows it.

    ``sector_size`` is the size to believe in where both are possible.
    """
    other = other_size(sector_size)
    here = _shown(reader, mbr.primaries, sector_size)
    there = _shown(reader, mbr.primaries, other)
    if here != there:
        return sector_size if here else other
    if _fits(reader, mbr, other) and not _fits(reader, mbr, sector_size):
        return other
    return None


def _only_for_4096(reader: ByteReader) -> int | None:
    # An extended partition whose chain makes no sense at 512 may make sense at 4096.
    try:
        read_mbr(reader, 4096)
    except TableUnusable:
        return None
    return 4096


def _fits(reader: ByteReader, mbr: Mbr, sector_size: int) -> bool:
    return all((part.last_lba + 1) * sector_size <= reader.size for part in mbr.primaries)


def _shown(reader: ByteReader, partitions: Iterable[MbrPartition], sector_size: int) -> bool:
    return any(_begins_at(reader, part, sector_size) for part in partitions)


def _begins_at(reader: ByteReader, part: MbrPartition, sector_size: int) -> bool:
    start = part.first_lba * sector_size
    there = max(0, reader.size - start)
    window = RangeReader(reader, start, min(part.sectors * sector_size, there))
    try:
        return is_extended_record(window) if part.is_extended else identify(window) is not None
    except NotThereYet:
        return False
