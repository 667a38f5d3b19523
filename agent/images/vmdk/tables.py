"""The grain directory and the grain tables of a VMDK file: what of the disk stands where in the file.

Source: VMware's "Virtual Disk Format 1.1", "Grain Directory", "Grain Table" and "Grain Marker". Packed grains
are found by the tables, too, and their markers have to agree.
"""

import struct
import sys
from array import array
from collections.abc import Iterator

from agent.images.errors import cut_short
from agent.images.extent import Extent
from agent.images.vmdk.header import FILE, MARKER_BYTES, SECTOR, VmdkHeader, damaged
from partitioning.byte_access import ByteReader

_MARKER = struct.Struct("<QI")
_MOST_TABLES = 1 << 20
"""Those of 32 TiB in grains of 64 KiB."""
_ENTRY_BYTES = 4
_ZEROED = 1
"""The entry of a grain of zeroes, which is not in the file."""


def read_directory(header: VmdkHeader, file: ByteReader) -> "array[int]":
    """Give where each table is (sectors; zero for none), in the order of the disk. Raises BadFormat."""
    tables = read_words(file, header.directory, table_count(header))
    require_tables_once(tables)
    return tables


def tables_come_first(header: VmdkHeader, file: ByteReader) -> bool:
    """Tell whether the directory and all its tables stand before the first grain. Raises BadFormat."""
    if header.directory + _ENTRY_BYTES * table_count(header) > header.first_grain:
        return False
    last = header.first_grain - _ENTRY_BYTES * header.entries_per_table
    return all(sector * SECTOR <= last for sector in read_directory(header, file) if sector)


def table_count(header: VmdkHeader) -> int:
    """Give how many tables the disk needs. Raises BadFormat."""
    count = -(-header.capacity // header.table_span)
    if count > _MOST_TABLES:
        raise damaged(f"it needs {count} grain tables")
    return count


def require_tables_once(tables: "array[int]") -> None:
    """Raise BadFormat where a directory names a table twice."""
    named = [sector for sector in tables if sector]
    if len(named) != len(set(named)):
        raise damaged("it names one grain table for two places of the disk")


def read_table(header: VmdkHeader, file: ByteReader, sector: int, start: int) -> list[Extent]:
    """Give the grains of the table at ``sector``, which maps the disk from ``start`` (bytes) on.

    They are in the order of the disk, and within the file. Raises BadFormat.
    """
    extents = []
    for guest, entry in _grains(header, file, sector, start):
        length = min(header.grain_size, header.capacity - guest)
        packed = _packed_length(header, file, entry * SECTOR, guest) if header.is_compressed else 0
        extent = Extent(entry * SECTOR, guest, length, packed)
        if extent.host_end > file.size:
            raise cut_short(FILE, file.size)
        extents.append(extent)
    return extents


def survey(header: VmdkHeader, file: ByteReader) -> int:
    """Look at all tables, and give how many bytes of the disk have data. Raises BadFormat."""
    tables = enumerate(read_directory(header, file))
    return sum(
        extent.length
        for index, sector in tables
        if sector
        for extent in read_table(header, file, sector, index * header.table_span)
    )


def listed_grains(header: VmdkHeader, file: ByteReader) -> Iterator[tuple[int, int]]:
    """Yield where each grain belongs (bytes) and stands (sectors), as the tables say. Raises BadFormat."""
    for index, sector in enumerate(read_directory(header, file)):
        if sector:
            yield from _grains(header, file, sector, index * header.table_span)


def _grains(header: VmdkHeader, file: ByteReader, sector: int, start: int) -> Iterator[tuple[int, int]]:
    """Yield where each grain of a table belongs (bytes) and where it stands (sectors).

    Entries for what is beyond the end of the disk say nothing.
    """
    entries = read_words(file, sector * SECTOR, header.entries_per_table)
    for guest, entry in zip(range(start, header.capacity, header.grain_size), entries, strict=False):
        if entry > _ZEROED:
            yield guest, entry


def _packed_length(header: VmdkHeader, file: ByteReader, offset: int, guest: int) -> int:
    try:
        sector, length = _MARKER.unpack(file.pread(MARKER_BYTES, offset))
    except EOFError as error:
        raise cut_short(FILE, file.size) from error
    if sector * SECTOR != guest or not 0 < length <= 2 * header.grain_size:
        raise damaged(f"where the grain for byte {guest} of the disk should be, there is something else")
    return MARKER_BYTES + int(length)


def read_words(file: ByteReader, offset: int, count: int) -> "array[int]":
    """Read ``count`` entries of a table or the directory. Raises BadFormat."""
    try:
        words = array("I", file.pread(count * _ENTRY_BYTES, offset))
    except EOFError as error:
        raise cut_short(FILE, file.size) from error
    if sys.byteorder == "big":
        words.byteswap()
    return words
