"""Reading a qcow2 image at any offset: what inspection needs, before anything is written."""

from bisect import bisect_right
from collections import OrderedDict

from agent.images.errors import CONVERT, BadFormat
from agent.images.extent import Extent
from agent.images.qcow2.clusters import Mapping
from agent.images.qcow2.header import Qcow2Header
from agent.images.qcow2.tables import Table, read, read_l1, read_table
from agent.images.qcow2.unpack import unpacker
from partitioning.byte_access import ByteReader

_KEPT_EXTENTS = 1 << 17
_KEPT_BYTES = 16 << 20
_MOST_TABLE_BYTES = 512 << 20
"""How much of L2 tables is decoded in all, again and again where a hostile image wants it: a minute."""


class Qcow2Reader:
    """A ByteReader over what the image reads as. The last tables and unpacked clusters are kept."""

    def __init__(self, header: Qcow2Header, file: ByteReader) -> None:
        """Read the image in ``file``. Raises BadFormat."""
        self._header = header
        self._file = file
        tables, _ = read_l1(header, file)
        self._tables = {table.start: table for table in tables}
        self._mappings: OrderedDict[int, tuple[list[int], Mapping]] = OrderedDict()
        self._table_bytes = 0
        self._clusters: OrderedDict[int, bytes] = OrderedDict()
        self._unpack = unpacker(header.compression, header.cluster_size)

    @property
    def size(self) -> int:
        """Virtual size in bytes."""
        return self._header.virtual_size

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``; EOFError past the end, BadFormat where damaged."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise EOFError(f"{length} bytes at {offset} are not within {self.size} bytes")
        result, span = bytearray(length), self._header.table_span
        end = offset + length
        for start in range(offset // span * span, end, span):
            if (table := self._tables.get(start)) is not None:
                self._fill(result, offset, end, table)
        return bytes(result)

    def _fill(self, result: bytearray, offset: int, end: int, table: Table) -> None:
        """Put what the table maps between ``offset`` and ``end`` into its place; the rest is zero already."""
        guests, mapping = self._mapping(table)
        index = max(0, bisect_right(guests, offset) - 1)
        while index < len(guests) and guests[index] < end:
            extent = mapping.data[index]
            first, last = max(offset, extent.guest), min(end, extent.guest + extent.length)
            if first < last:
                result[first - offset : last - offset] = self._read(
                    extent, first - extent.guest, last - first
                )
            index += 1

    def _read(self, extent: Extent, within: int, length: int) -> bytes:
        if not extent.packed:
            return read(self._file, length, extent.host + within)
        if extent.host not in self._clusters:
            packed = read(self._file, min(extent.packed, self._file.size - extent.host), extent.host)
            self._clusters[extent.host], _ = self._unpack(memoryview(packed))
            if len(self._clusters) * self._header.cluster_size > max(_KEPT_BYTES, self._header.cluster_size):
                self._clusters.popitem(last=False)
        self._clusters.move_to_end(extent.host)
        return self._clusters[extent.host][within : within + length]

    def _mapping(self, table: Table) -> tuple[list[int], Mapping]:
        if table.start not in self._mappings:
            self._table_bytes += self._header.cluster_size
            if self._table_bytes > _MOST_TABLE_BYTES:
                raise BadFormat(
                    "What has to be looked at in the image is scattered so that it can not be read with"
                    f" reasonable effort: {self._table_bytes} bytes of its tables were read.",
                    hint=CONVERT,
                )
            mapping = read_table(self._header, self._file, table)
            self._mappings[table.start] = ([extent.guest for extent in mapping.data], mapping)
            while sum(len(guests) for guests, _ in self._mappings.values()) > _KEPT_EXTENTS:
                if len(self._mappings) == 1:
                    break
                self._mappings.popitem(last=False)
        self._mappings.move_to_end(table.start)
        return self._mappings[table.start]
