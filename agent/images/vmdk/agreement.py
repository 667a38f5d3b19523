"""Whether the tables of a stream-optimised VMDK file name just the grains that have passed.

Who has all of the file goes by its tables, as QEMU does; who reads it on the way, by the markers. A file in
which they differ would be two disks, and is refused. Source: VMware's "Virtual Disk Format 1.1",
"Stream-Optimized Compressed Sparse Extents".
"""

import struct
from array import array
from collections.abc import Iterable
from hashlib import blake2b

from agent.images.errors import cut_short
from agent.images.extent import Extent
from agent.images.pieces import Incoming
from agent.images.vmdk.header import FILE, SECTOR, VmdkHeader, damaged, require_footer
from agent.images.vmdk.markers import Kind, Passed
from agent.images.vmdk.tables import listed_grains, read_words, require_tables_once, table_count

_ENTRY = struct.Struct("<II")
_ZEROED = 1


class Agreement:
    """Takes what passes, in the order of the file. Of each table a sum is kept, and no more."""

    def __init__(self, header: VmdkHeader, file: Incoming) -> None:
        """Read the tables, where they stand in front. Raises BadFormat, and what reading the file raises."""
        self._header = header
        self._file = file
        self._came = _Sums(header)
        self._behind = _TablesBehind(header, file) if header.tables_come_last else None
        self._in_front = _Sums(header)
        if self._behind is None:
            for guest, sector in listed_grains(header, file):
                self._in_front.add(guest, sector)

    def grain(self, extent: Extent) -> None:
        """A grain passes."""
        self._came.add(extent.guest, extent.host // SECTOR)

    def passed(self, what: Passed) -> None:
        """Something else passes, which can still be read. Raises BadFormat, and what reading it raises."""
        if self._behind is not None:
            self._behind.take(what)

    def check(self) -> None:
        """All has passed. Raises BadFormat where the tables say something else."""
        if self._behind is None and self._came.count < self._in_front.count:
            raise cut_short(FILE, self._file.size)
        listed = self._in_front.by_table() if self._behind is None else self._behind.sums()
        if listed != self._came.by_table():
            raise damaged("its tables do not name the grains that are in it")


class _Sums:
    """Sums of the grains of each table; the grains are added in the order of the disk."""

    def __init__(self, header: VmdkHeader) -> None:
        self.count = 0
        self._header = header
        self._done: dict[int, bytes] = {}
        self._number = 0
        self._sum = _new_sum()

    def add(self, guest: int, sector: int) -> None:
        number, within = divmod(guest, self._header.table_span)
        if number != self._number:
            self.by_table()
            self._number, self._sum = number, _new_sum()
        self._sum.update(_ENTRY.pack(within // self._header.grain_size, sector))
        self.count += 1

    def by_table(self) -> dict[int, bytes]:
        """Give the sums of all tables that name any."""
        if self._sum.digest() != _EMPTY:
            self._done[self._number] = self._sum.digest()
        return self._done


class _TablesBehind:
    """The tables, the directory and the footer, as they pass behind the grains."""

    def __init__(self, header: VmdkHeader, file: Incoming) -> None:
        self._header = header
        self._file = file
        self._count = table_count(header)
        grains = -(-header.capacity // header.grain_size)
        self._entries_in_last = grains - (self._count - 1) * header.entries_per_table
        self._tables: dict[int, tuple[bytes, bytes]] = {}
        self._directory: tuple[int, array[int]] | None = None
        self._footer = 0

    def take(self, what: Passed) -> None:
        start = what.start + SECTOR
        match what.kind:
            case Kind.TABLE:
                self._take_table(start)
            case Kind.DIRECTORY:
                self._directory = start // SECTOR, read_words(self._file, start, self._count)
            case Kind.FOOTER:
                self._footer = require_footer(self._header, self._file, start)

    def _take_table(self, start: int) -> None:
        if len(self._tables) == self._count:
            raise damaged("it has more grain tables than its disk needs")
        entries = read_words(self._file, start, self._header.entries_per_table)
        # Which table it is the directory tells, and of the last one a part says nothing.
        self._tables[start // SECTOR] = _sum_of(entries), _sum_of(entries[: self._entries_in_last])

    def sums(self) -> dict[int, bytes]:
        """Give the sums of all tables that name any grain."""
        if self._directory is None or self._directory[0] != self._footer:
            raise damaged("its footer does not say where its tables are")
        named = self._directory[1]
        require_tables_once(named)
        if missing := [sector for sector in named if sector and sector not in self._tables]:
            raise damaged(f"there is no grain table in sector {missing[0]}, where one should be")
        last = self._count - 1
        sums = {number: self._tables[sector][number == last] for number, sector in enumerate(named) if sector}
        return {number: its for number, its in sums.items() if its != _EMPTY}


def _new_sum() -> blake2b:
    return blake2b(digest_size=16)


def _sum_of(entries: Iterable[int]) -> bytes:
    digest = _new_sum()
    for index, sector in enumerate(entries):
        if sector > _ZEROED:
            digest.update(_ENTRY.pack(index, sector))
    return digest.digest()


_EMPTY = _new_sum().digest()
