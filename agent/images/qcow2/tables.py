"""The tables of a qcow2 file: where they are, read when they are wanted, checked before they are believed."""

from collections.abc import Iterator
from typing import NamedTuple

from agent.images.errors import CONVERT, BadFormat, cut_short
from agent.images.qcow2.clusters import OFFSET, Mapping, damaged, mapping_of, words_of
from agent.images.qcow2.header import Qcow2Header
from partitioning.byte_access import ByteReader

FILE = "qcow2 file"
_MOST_TABLES = 1 << 20
"""Those of 2 TiB in clusters of 4 KiB, or of 512 TiB in clusters of 64 KiB: 300 MB of memory."""


class Table(NamedTuple):
    """An L2 table: where it is in the file, and from which byte of the virtual disk on it maps."""

    host: int
    start: int


def read_l1(header: Qcow2Header, file: ByteReader) -> tuple[list[Table], Mapping]:
    """Give the L2 tables in the order of the virtual disk, and what is zero because it has none.

    Raises BadFormat.
    """
    span = header.table_span
    count = -(-header.virtual_size // span)
    tables, without = [], Mapping()
    seen: set[int] = set()
    for index, word in enumerate(words_of(read(file, count * 8, header.l1_offset))):
        start, host = index * span, word & OFFSET
        if not host:
            without.add_zero(start, min(span, header.virtual_size - start))
            continue
        if host % header.cluster_size:
            raise damaged("an L2 table whose place in the file is not that of a cluster")
        if host in seen:
            raise damaged("one L2 table for two places of the disk")
        if host + header.cluster_size > file.size:
            raise cut_short(FILE, file.size)
        if len(seen) == _MOST_TABLES:
            raise BadFormat(
                f"The qcow2 file has more than {_MOST_TABLES} L2 tables: its clusters are too small for its"
                " size.",
                hint=CONVERT,
            )
        seen.add(host)
        tables.append(Table(host, start))
    return tables, without


def read_table(header: Qcow2Header, file: ByteReader, table: Table) -> Mapping:
    """Read an L2 table, and make sure that what it maps is within the file. Raises BadFormat."""
    mapping = mapping_of(header, read(file, header.cluster_size, table.host), table.start)
    for extent in mapping.data:
        if extent.least_end > file.size:
            raise cut_short(FILE, file.size)
    return mapping


def survey(header: Qcow2Header, file: ByteReader) -> int:
    """Look at all tables, and give how many bytes of the virtual disk have data. Raises BadFormat."""
    return sum(extent.length for mapping in _mappings(header, file) for extent in mapping.data)


def _mappings(header: Qcow2Header, file: ByteReader) -> Iterator[Mapping]:
    tables, without = read_l1(header, file)
    yield without
    for table in tables:
        yield read_table(header, file, table)


def read(file: ByteReader, length: int, offset: int) -> bytes:
    """Read from the file; BadFormat where it ends before."""
    try:
        return file.pread(length, offset)
    except EOFError as error:
        raise cut_short(FILE, file.size) from error
