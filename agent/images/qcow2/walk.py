"""A qcow2 image in pieces, in the order of its file, so that it can be written while it arrives.

Tables and data are taken as they come in the file. Data that stands before its table is kept until the table
is there; it was kept because nothing is given back that no table has claimed, as long as there are tables to
come. Where nothing stands before its table, as in what qemu-img writes, memory for a few pieces is enough.
"""

import heapq
from collections.abc import Iterator
from functools import partial

from agent.images.batch import Batch
from agent.images.errors import CONVERT, BadFormat, cut_short
from agent.images.extent import Extent
from agent.images.pieces import MOST_BYTES, Incoming, Piece, ZeroPiece
from agent.images.qcow2.clusters import Mapping
from agent.images.qcow2.header import Qcow2Header
from agent.images.qcow2.tables import FILE, Table, read_l1, read_table
from agent.images.qcow2.unpack import unpacker
from agent.ranges import Ranges

_SECTOR = 512
_MOST_EXTENTS = 4096
_MOST_WAITING = 1 << 20
"""Extents whose data stands behind tables that were read: 150 MB of memory."""


def walk(header: Qcow2Header, file: Incoming) -> Iterator[Piece]:
    """Yield all of the virtual disk, each byte once. Raises BadFormat, and what reading the file raises."""
    tables, without = read_l1(header, file)
    yield from _zeroes(without)
    yield from _Walk(header, file, sorted(tables, reverse=True)).pieces()


def _zeroes(mapping: Mapping) -> Iterator[Piece]:
    for zero in mapping.zero:
        yield ZeroPiece(zero.guest, zero.length)


class _Walk:
    def __init__(self, header: Qcow2Header, file: Incoming, tables: list[Table]) -> None:
        """``tables`` are those that were not read, the first in the file last."""
        self._header = header
        self._unpacker = partial(unpacker, header.compression, header.cluster_size)
        self._file = file
        self._tables = tables
        self._waiting: list[Extent] = []  # a heap, by the place in the file
        self._taken = Ranges()

    def pieces(self) -> Iterator[Piece]:
        while self._tables or self._waiting:
            if self._tables and (not self._waiting or self._tables[-1].host <= self._waiting[0].host):
                mapping = self._take_table()
                yield from _zeroes(mapping)
            else:
                yield self._take_batch()

    def _take_table(self) -> Mapping:
        table = self._tables.pop()
        mapping = read_table(self._header, self._file, table)
        if not self._tables or self._tables[-1].host != table.host:
            self._file.release(table.host, table.host + self._header.cluster_size)
            self._taken.add(table.host, table.host + self._header.cluster_size)
        for extent in mapping.data:
            heapq.heappush(self._waiting, extent)
        if len(self._waiting) > _MOST_WAITING:
            raise BadFormat(
                "The data of the qcow2 file is scattered so that it can not be followed in the file's order.",
                hint=CONVERT,
            )
        return mapping

    def _take_batch(self) -> Batch:
        """Take what stands together in the file, as far as the next table or until it is enough."""
        stop = self._tables[-1].host if self._tables else self._file.size
        extents = [self._take_extent(MOST_BYTES)]
        length, end = extents[0].length, extents[0].host_end
        while self._waiting and length < MOST_BYTES and len(extents) < _MOST_EXTENTS:
            following = self._waiting[0]
            if following.host > end or following.host >= stop:
                break
            extents.append(self._take_extent(MOST_BYTES - length))
            length, end = length + extents[-1].length, max(end, extents[-1].host_end)
        if not self._tables:
            self._release_before(extents[0].host)
        self._taken.add(extents[0].host, end)
        return Batch(self._file, extents, self._unpacker, kind=FILE)

    def _release_before(self, host: int) -> None:
        """Give back what no table names, now that all are known. Raises BadFormat where the file ends."""
        for start, end in list(self._taken.gaps(host)):
            for at in range(start, end, MOST_BYTES):
                # What has not come yet can not be given back.
                following = min(end, at + MOST_BYTES)
                if self._file.come(following) < following:
                    raise cut_short(FILE, self._file.size)
                self._file.release(at, following)
            self._taken.add(start, end)

    def _take_extent(self, most: int) -> Extent:
        """Take the next one, or the first ``most`` bytes of it."""
        extent = heapq.heappop(self._waiting)
        most = max(_SECTOR, most)
        if extent.packed or extent.length <= most:
            return extent
        host, guest, length, _ = extent
        heapq.heappush(self._waiting, Extent(host + most, guest + most, length - most, 0))
        return Extent(host, guest, most, 0)
