"""Reading an image at any offset by its tables: what inspection needs, before anything is written."""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from agent.images.batch import Unpack
from agent.images.errors import CONVERT, BadFormat, cut_short, unpacks_too_short
from agent.images.extent import Extent
from partitioning.byte_access import ByteReader

_KEPT_EXTENTS = 1 << 17
_KEPT_BYTES = 16 << 20
_MOST_ENTRIES = 1 << 26
"""How many entries of tables are looked at, also again and again where a hostile image wants it: a minute."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How an image's format divides it. Sizes in bytes."""

    kind: str
    """Names the file, such as "qcow2 file"."""
    size: int
    unit: int
    """A cluster or a grain: what is packed by itself."""
    entries_per_table: int

    @property
    def table_span(self) -> int:
        """Bytes of the virtual disk that one table maps."""
        return self.unit * self.entries_per_table


class ExtentReader:
    """A ByteReader over what the image reads as. The last tables and unpacked units are kept."""

    def __init__(
        self, layout: Layout, file: ByteReader, load: Callable[[int], list[Extent]], unpack: Unpack
    ) -> None:
        """``load`` gives the extents of a table by its number, in the order of the disk."""
        self._layout = layout
        self._file = file
        self._load = load
        self._unpack = unpack
        self._entries = 0
        self._tables: OrderedDict[int, list[Extent]] = OrderedDict()
        self._units: OrderedDict[int, bytes] = OrderedDict()

    @property
    def size(self) -> int:
        """Virtual size in bytes."""
        return self._layout.size

    def pread(self, length: int, offset: int) -> bytes:
        """Return exactly ``length`` bytes at ``offset``; EOFError past the end, BadFormat if damaged."""
        if offset < 0 or length < 0 or offset + length > self.size:
            raise EOFError(f"{length} bytes at {offset} are not within {self.size} bytes")
        result, span = bytearray(length), self._layout.table_span
        for number in range(offset // span, -(-(offset + length) // span)):
            self._fill(result, offset, self._table(number))
        return bytes(result)

    def _fill(self, result: bytearray, offset: int, extents: list[Extent]) -> None:
        """Put what the extents have from ``offset`` on into ``result``, where all is zero before."""
        end = offset + len(result)
        index = max(0, bisect_right(extents, offset, key=lambda extent: extent.guest) - 1)
        while index < len(extents) and extents[index].guest < end:
            extent = extents[index]
            first, last = max(offset, extent.guest), min(end, extent.guest + extent.length)
            if first < last:
                part = self._content(extent, first - extent.guest, last - first)
                result[first - offset : last - offset] = part
            index += 1

    def _content(self, extent: Extent, within: int, length: int) -> bytes:
        if not extent.packed:
            return self._read(length, extent.host + within)
        if extent.host not in self._units:
            packed = self._read(min(extent.packed, self._file.size - extent.host), extent.host)
            unit, _ = self._unpack(memoryview(packed))
            if len(unit) < extent.length:
                raise unpacks_too_short(self._layout.kind)
            self._units[extent.host] = unit
            if len(self._units) * self._layout.unit > max(_KEPT_BYTES, self._layout.unit):
                self._units.popitem(last=False)
        self._units.move_to_end(extent.host)
        return self._units[extent.host][within : within + length]

    def _read(self, length: int, offset: int) -> bytes:
        try:
            return self._file.pread(length, offset)
        except EOFError as error:
            raise cut_short(self._layout.kind, self._file.size) from error

    def _table(self, number: int) -> list[Extent]:
        if number not in self._tables:
            self._entries += self._layout.entries_per_table
            if self._entries > _MOST_ENTRIES:
                raise BadFormat(
                    "What has to be looked at in the image is scattered so that it can not be read with"
                    f" reasonable effort: {self._entries} entries of its tables were read.",
                    hint=CONVERT,
                )
            self._tables[number] = self._load(number)
            while len(self._tables) > 1 and sum(map(len, self._tables.values())) > _KEPT_EXTENTS:
                self._tables.popitem(last=False)
        self._tables.move_to_end(number)
        return self._tables[number]
